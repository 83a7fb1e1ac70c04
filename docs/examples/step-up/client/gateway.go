package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

// A gateway is where tokens are from.
type gateway struct {
	url    string
	client url.Values // who asks
	now    time.Time  // the time of one-time passwords
}

// An answer is what the gateway says, whatever it was asked.
type answer struct {
	AccessToken string `json:"access_token"`
	Scope       string `json:"scope"`

	Error       string `json:"error"`
	Description string `json:"error_description"`

	MFAToken     string `json:"mfa_token"`
	Requirements struct {
		Enroll    []factor `json:"enroll"`
		Challenge []factor `json:"challenge"`
	} `json:"mfa_requirements"`

	Secret        string   `json:"secret"`
	RecoveryCodes []string `json:"recovery_codes"`
}

type factor struct {
	Type string `json:"type"`
}

func newGateway() (gateway, error) {
	g := gateway{url: "https://" + os.Getenv("SALLYPORT_DOMAIN") + "/", now: time.Now(),
		client: url.Values{"client_id": {os.Getenv("SALLYPORT_CLIENT_ID")}}}
	if secret := os.Getenv("SALLYPORT_CLIENT_SECRET"); secret != "" {
		g.client.Set("client_secret", secret)
	}
	if at := os.Getenv("SALLYPORT_OTP_TIME"); at != "" {
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return g, fmt.Errorf("SALLYPORT_OTP_TIME: %w", err)
		}
		g.now = time.Unix(seconds, 0)
	}
	return g, nil
}

// login gets a token that may read, for a password.
func (g gateway) login(username, password string) (string, error) {
	a, err := g.token(url.Values{
		"grant_type": {"password"}, "username": {username}, "password": {password},
		"audience": {os.Getenv("SALLYPORT_AUDIENCE")}, "scope": {"read:things"},
	})
	if err != nil {
		return "", err
	}
	if a.AccessToken != "" {
		say("password", "a token for "+a.Scope)
		return a.AccessToken, nil
	}
	say("password", "a second factor is asked for")
	return g.secondFactor(a)
}

// secondFactor proves that the user has an authenticator app, which is set up first if
// there is none.
func (g gateway) secondFactor(asked answer) (string, error) {
	secret := os.Getenv("SALLYPORT_SECRET")
	if offers(asked.Requirements.Enroll) {
		app, err := g.enroll(asked.MFAToken)
		if err != nil {
			return "", err
		}
		secret = app.Secret // which a person scans as a QR code
		say("enroll", "secret "+app.Secret+", recovery code "+strings.Join(app.RecoveryCodes, " "))
	} else if !offers(asked.Requirements.Challenge) || secret == "" {
		return "", errors.New("set SALLYPORT_SECRET: the gateway asks for the user's authenticator app")
	}
	code, err := totp.GenerateCode(secret, g.now)
	if err != nil {
		return "", fmt.Errorf("compute the one-time password: %w", err)
	}
	a, err := g.token(url.Values{
		"grant_type": {"http://auth0.com/oauth/grant-type/mfa-otp"}, "mfa_token": {asked.MFAToken}, "otp": {code},
	})
	if err != nil {
		return "", err
	}
	say("mfa-otp", "a token for "+a.Scope)
	return a.AccessToken, nil
}

func offers(list []factor) bool { return slices.Contains(list, factor{Type: "otp"}) }

// token asks the token endpoint. That a second factor is asked for is no error.
func (g gateway) token(form url.Values) (answer, error) {
	for name := range g.client {
		form.Set(name, g.client.Get(name))
	}
	request, err := http.NewRequest(http.MethodPost, g.url+"oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(request)
}

// enroll sets up an authenticator app for a user who has no second factor.
func (g gateway) enroll(mfaToken string) (answer, error) {
	request, err := http.NewRequest(http.MethodPost, g.url+"mfa/associate", strings.NewReader(`{"authenticator_types": ["otp"]}`))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+mfaToken)
	return send(request)
}

func send(request *http.Request) (answer, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("%s answers %s, and no JSON", request.URL, response.Status)
	}
	if a.Error != "" && a.Error != "mfa_required" {
		return answer{}, fmt.Errorf("%s answers %s %s: %s", request.URL, response.Status, a.Error, a.Description)
	}
	return a, nil
}
