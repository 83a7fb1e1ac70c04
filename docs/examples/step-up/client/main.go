// Command client calls an API that asks for more than a password, and goes through the step-up
// without a browser: it takes the API's challenge to the gateway, proves a second factor
// there, and calls again.
//
// It prints a line for each step. README.md lists the variables it takes, each with
// SALLYPORT_ before its name.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/sallyport/sallyport/pkg/stepup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	g, err := newGateway()
	if err != nil {
		return err
	}
	token := os.Getenv("SALLYPORT_ACCESS_TOKEN")
	if token == "" {
		if token, err = g.login(os.Getenv("SALLYPORT_USERNAME"), os.Getenv("SALLYPORT_PASSWORD")); err != nil {
			return err
		}
	}
	if err := mustCall(http.MethodGet, token); err != nil {
		return err
	}
	refusal, err := call(http.MethodPost, token)
	if err != nil {
		return err
	}
	if refusal != nil {
		if token, err = g.stepUp(token, *refusal); err != nil {
			return err
		}
		if err := mustCall(http.MethodPost, token); err != nil {
			return err
		}
	}
	say("access_token", token)
	return nil
}

// call sends a request to the API. It returns the challenge if the API asks for a
// step-up.
func call(method, token string) (*stepup.Challenge, error) {
	request, err := http.NewRequest(method, os.Getenv("SALLYPORT_API"), nil) //nolint:gosec // who runs this names the API
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request) //nolint:gosec // who runs this names the API
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	step := method + " " + request.URL.Path
	if response.StatusCode < 300 {
		say(step, response.Status)
		return nil, nil
	}
	challenge, ok := stepup.ParseChallenge(response.Header)
	say(step, response.Status+" "+challenge.String())
	if !ok || challenge.Error != stepup.UserAuthentication {
		return nil, errors.New("the API refuses the token for good")
	}
	return &challenge, nil
}

// mustCall is call where a step-up would not help: who is not content with what a step-up
// gave never will be.
func mustCall(method, token string) error {
	refusal, err := call(method, token)
	if err == nil && refusal != nil {
		err = errors.New("the API asks for a step-up in vain")
	}
	return err
}

// stepUp gets a token that meets a challenge, for one that does not (RFC 9470, section 4,
// with the gateway's grant in place of a browser).
func (g gateway) stepUp(token string, c stepup.Challenge) (string, error) {
	form := url.Values{"grant_type": {"mfa_token"}, "access_token": {token}}
	for name, value := range map[string]string{"acr_values": c.ACRValues, "max_age": c.MaxAge, "scope": c.Scope} {
		if value != "" {
			form.Set(name, value)
		}
	}
	a, err := g.token(form)
	if err != nil {
		return "", err
	}
	if a.AccessToken != "" {
		say("mfa_token", "a token at once: "+a.Scope)
		return a.AccessToken, nil
	}
	say("mfa_token", "a second factor is asked for")
	return g.secondFactor(a)
}

// say prints a step.
func say(step, text string) { fmt.Printf("%-13s %s\n", step, text) }
