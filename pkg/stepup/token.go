package stepup

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/signer"
)

// leeway is how far the clocks of issuer and API may be apart.
const leeway = 30 * time.Second

// A Token is what a verified access token says.
type Token struct {
	Subject   string
	Client    string
	Scopes    []string
	ACR       string    // empty when the issuer vouches for nothing
	AMR       []string  // RFC 8176: "pwd", "otp", "mfa"
	AuthTime  time.Time // of the latest proof; zero if the issuer does not say, or no user is behind it
	ExpiresAt time.Time
}

// claims are those of an access token (RFC 9068, section 2.2) that are looked at.
type claims struct {
	issuer, subject, client, party, scope, acr string
	audience                                   audience
	amr                                        []string
	expires, notBefore, issued, authTime       int64
	bound                                      json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler. It takes names exactly as they are, where
// tags of a struct would take "SUB" for "sub".
func (c *claims) UnmarshalJSON(raw []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for name, into := range map[string]any{
		"iss": &c.issuer, "sub": &c.subject, "aud": &c.audience, "client_id": &c.client, "azp": &c.party,
		"exp": &c.expires, "nbf": &c.notBefore, "iat": &c.issued, "scope": &c.scope, "cnf": &c.bound,
		"acr": &c.acr, "amr": &c.amr, "auth_time": &c.authTime,
	} {
		if value, ok := all[name]; ok {
			if err := json.Unmarshal(value, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// An audience is a text or a list of texts (RFC 7519, section 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// token verifies the access token of a request.
func (g *Guard) token(r *http.Request) (Token, *refusal) {
	text, no := bearer(r)
	if no != nil {
		return Token{}, no
	}
	kid, err := signer.KeyID(text)
	if err != nil {
		return Token{}, invalid(err)
	}
	published, no := g.keys.with(r.Context(), kid)
	if no != nil {
		return Token{}, no
	}
	var c claims
	switch err := published.Verify(text, []string{"at+jwt", "application/at+jwt"}, &c); {
	case err == nil:
	case !g.o.Auth0:
		return Token{}, invalid(err)
	default:
		// An ID token is signed by the same keys and has the same typ.
		if c, err = auth0Claims(published, text); err != nil {
			return Token{}, invalid(err)
		}
	}
	if err := g.check(c); err != nil {
		return Token{}, invalid(err)
	}
	return c.token(), nil
}

// auth0Claims verifies a token of Auth0's dialect, whose client is its azp. An ID token
// has none, or is for it (OpenID Connect Core, section 2).
func auth0Claims(published *signer.PublishedKeys, text string) (claims, error) {
	var c claims
	if err := published.Verify(text, []string{"JWT"}, &c); err != nil {
		return claims{}, err
	}
	if slices.Contains(c.audience, c.party) {
		return claims{}, errors.New("it is an ID token")
	}
	c.client = c.party
	return c, nil
}

// check judges the claims of a token whose signature is right (RFC 9068, section 4).
func (g *Guard) check(c claims) error {
	now := g.o.Now()
	switch {
	case c.issuer != g.o.Issuer:
		return errors.New("it is of another issuer")
	case !slices.Contains(c.audience, g.o.Audience):
		return errors.New("it is for another audience")
	case c.subject == "" || c.client == "":
		return errors.New("it names no subject, or no client")
	case !now.Before(time.Unix(c.expires, 0).Add(leeway)):
		return errors.New("it is expired")
	case now.Before(time.Unix(max(c.notBefore, c.issued), 0).Add(-leeway)):
		return errors.New("it is not valid yet")
	case c.bound != nil:
		// Whoever shows it would have to prove a key, which this guard cannot check.
		return errors.New("it is bound to a key")
	}
	return nil
}

func (c claims) token() Token {
	t := Token{
		Subject: c.subject, Client: c.client, Scopes: strings.Fields(c.scope),
		ACR: c.acr, AMR: c.amr, ExpiresAt: time.Unix(c.expires, 0).UTC(),
	}
	if c.authTime != 0 {
		t.AuthTime = time.Unix(c.authTime, 0).UTC()
	}
	return t
}

// bearer is the token of the Authorization header (RFC 6750, section 2.1): the only
// transport, since URLs end up in logs and forms in the hands of handlers.
func bearer(r *http.Request) (string, *refusal) {
	all := r.Header.Values("Authorization")
	if len(all) > 1 {
		return "", malformed(errors.New("there are several Authorization headers"))
	}
	scheme, text, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", missing()
	}
	if text = strings.TrimSpace(text); !found || !b64token(text) {
		return "", malformed(errors.New("the Authorization header has no token in it"))
	}
	return text, nil
}

// b64token is what a token looks like in a header (RFC 6750, section 2.1).
func b64token(text string) bool {
	bare := strings.TrimRight(text, "=")
	return bare != "" && !strings.ContainsFunc(bare, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("-._~+/", r)
	})
}
