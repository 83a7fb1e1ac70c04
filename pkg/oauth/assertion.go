package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife is how far ahead an assertion may expire. It bounds how many are
	// remembered (R25).
	assertionLife = 5 * time.Minute
	// assertionSkew is how far ahead the clock of a client may be.
	assertionSkew = time.Minute
	// assertionKind is how a used assertion is called among what was redeemed.
	assertionKind = "client_assertion"
)

// assertionTypes are what "typ" may say, if it says anything.
var assertionTypes = []string{"JWT", "client-authentication+jwt"}

// readAssertion takes a client's assertion from the body. The client_id may be absent,
// for the assertion names the client (RFC 7521, 4.2).
func readAssertion(form url.Values) (presented, error) {
	p := presented{id: form.Get("client_id"), assertion: secret.New(form.Get("client_assertion"))}
	if p.assertion.Empty() || form.Get("client_assertion_type") != assertionType {
		return presented{}, fault.BadClient
	}
	if p.id == "" {
		p.id = claimedSubject(p.assertion)
	}
	return p, nil
}

// claimedSubject is whom an assertion names before anything of it was verified.
func claimedSubject(assertion secret.Text) string {
	parts := strings.Split(assertion.Reveal(), ".")
	if len(parts) != 3 {
		return ""
	}
	// What cannot be read names nobody.
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]json.RawMessage
	_ = json.Unmarshal(raw, &claims)
	var subject string
	_ = json.Unmarshal(claims["sub"], &subject)
	return subject
}

// asserted verifies an assertion of the client (RFC 7523, 3) and uses it up, last of
// all: one that does not hold uses nothing up. It fails with fault.BadClient, or with
// fault.Unavailable when nobody can say whether it was used before.
func (a *Authenticator) asserted(ctx context.Context, c record.Client, assertion secret.Text) error {
	if !c.Confidential || len(c.Keys) == 0 {
		return fault.BadClient
	}
	keys, err := signer.ParseForeignKeys(c.Keys)
	if err != nil {
		return fmt.Errorf("read the keys of a client: %w", err)
	}
	var members map[string]json.RawMessage
	if err := keys.Verify(assertion.Reveal(), assertionTypes, &members); err != nil {
		return fault.Because(fault.BadClient, err)
	}
	claims, err := readStatement(members)
	if err == nil {
		err = a.check(claims, c.ID)
	}
	if err != nil {
		return fault.Because(fault.BadClient, err)
	}
	first, err := a.Redeemer.Redeem(ctx, record.Redemption{
		Kind: assertionKind, Hash: secret.Hash(secret.New(c.ID + "\x00" + claims.id)), ExpiresAt: time.Unix(claims.expires, 0).UTC(),
	})
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("use up an assertion: %w", err))
	}
	if !first {
		return fault.Because(fault.BadClient, errors.New("the assertion was used before"))
	}
	return nil
}

// statement is what an assertion says.
type statement struct {
	issuer, subject, id        string
	audience                   audiences
	expires, issued, notBefore int64 // seconds since 1970; 0: not said
}

// readStatement takes the claims by their exact names; a structure would take "EXP" for
// "exp".
func readStatement(members map[string]json.RawMessage) (statement, error) {
	var s statement
	for name, into := range map[string]any{
		"iss": &s.issuer, "sub": &s.subject, "jti": &s.id, "aud": &s.audience,
		"exp": &s.expires, "iat": &s.issued, "nbf": &s.notBefore,
	} {
		if raw, ok := members[name]; ok && json.Unmarshal(raw, into) != nil {
			return statement{}, fmt.Errorf("the assertion has no %s that can be read", name)
		}
	}
	return s, nil
}

// check judges the claims of an assertion that the client signed.
func (a *Authenticator) check(s statement, client string) error {
	now := a.Now().Unix()
	ahead := now + int64(assertionSkew.Seconds())
	foreign := func(audience string) bool { return !slices.Contains(a.Audiences, audience) }
	switch {
	case s.issuer != client || s.subject != client:
		return errors.New("the assertion is not the client's about itself")
	case len(s.audience) == 0 || slices.ContainsFunc(s.audience, foreign):
		return errors.New("the assertion is meant for somebody else")
	case s.expires <= now:
		return errors.New("the assertion is expired, or does not say when it will be")
	case s.expires > now+int64(assertionLife.Seconds()):
		return errors.New("the assertion expires too late")
	case s.issued > ahead || s.notBefore > ahead || s.issued > s.expires:
		return errors.New("the assertion is from the future")
	case s.id == "":
		return errors.New("the assertion has no jti")
	}
	return nil
}
