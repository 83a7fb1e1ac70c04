package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/signer"
)

// logins is how often the walk logs in.
const logins = 7

// claims are what an API looks at in a token.
type claims struct {
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	ExpiresAt int64    `json:"exp"`
	Methods   []string `json:"amr"`
}

// audience is a string or a list of them (RFC 7519, section 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// verify checks the access and ID token of every login against the published keys, the
// way an API and an application do.
func (p *player) verify() error {
	p.printf("\n")
	note(p.Stdout, "12. Verify the tokens of every login against the published keys.")
	if len(p.issued) != logins {
		return fmt.Errorf("%d logins gave tokens, not %d", len(p.issued), logins)
	}
	for i, members := range p.issued {
		for _, t := range []struct{ member, typ, audience string }{
			{"access_token", "at+jwt", api},
			{"id_token", "JWT", client},
		} {
			if err := p.verifyToken(text(members[t.member]), t.typ, t.audience); err != nil {
				return fmt.Errorf("login %d, %s: %w", i+1, t.member, err)
			}
		}
		p.printf("login %d: of access and ID token, signature, iss, aud, exp and amr hold\n", i+1)
	}
	p.printf("\nThe tokens verified.\n")
	return nil
}

func (p *player) verifyToken(token, typ, audience string) error {
	var c claims
	if err := signer.VerifyWithJWKS(p.keys, token, typ, &c); err != nil {
		return err
	}
	switch {
	case c.Issuer != p.url:
		return fmt.Errorf("its issuer is %q, not %q", c.Issuer, p.url)
	case !slices.Contains(c.Audience, audience):
		return fmt.Errorf("it is for %q, not for %q", c.Audience, audience)
	case !p.Now().Before(time.Unix(c.ExpiresAt, 0)):
		return errors.New("it is expired")
	case !slices.Contains(c.Methods, "mfa"):
		return fmt.Errorf("its amr %q does not say mfa", c.Methods)
	}
	return nil
}
