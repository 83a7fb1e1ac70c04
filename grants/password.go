package grants

import (
	"context"
	"errors"
	"slices"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// extension begins the grant types that are Auth0's own.
const extension = "http://auth0.com/oauth/grant-type/"

// The password grants: RFC 6749's own, and Auth0's, whose bare name is accepted as well.
const (
	grantPassword      = "password"
	grantPasswordRealm = "password-realm"
)

// Password handles the resource owner password grants (RFC 6749, 4.3), which only
// first-party clients may use.
type Password struct{ issuing }

var _ fosite.TokenEndpointHandler = (*Password)(nil)

// NewPassword makes the handler.
func NewPassword(o Options) *Password {
	return &Password{issuing{o, func(grant string) (string, bool) {
		if grant == grantPassword {
			return grantPassword, true
		}
		return grantPasswordRealm, bare(grant) == grantPasswordRealm
	}}}
}

// GrantTypes lists what the handler serves, as discovery names it.
func (*Password) GrantTypes() []string {
	return []string{grantPassword, extension + grantPasswordRealm}
}

// HandleTokenEndpointRequest checks the password and asks the gate what else is
// needed.
func (p *Password) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	name, ok := p.serves(ar)
	if !ok {
		return fosite.ErrUnknownRequest
	}
	r, err := p.check(ctx, ar, name)
	if err != nil {
		return err
	}
	if !r.client.FirstParty {
		return fault.Param(fault.GrantNotAllowed, r.grant)
	}
	c, err := credentials(r)
	if err != nil {
		return err
	}
	w, err := p.wish(ctx, r)
	if err != nil {
		return err
	}
	who, err := p.authenticate(ctx, r, c)
	if err != nil {
		return err
	}
	r.session.clearance, err = p.Verifier.Begin(ctx, mfa.Login{
		Subject:  who.User.ID,
		Client:   r.client.ID,
		Origin:   mfa.FromPassword,
		Grant:    r.grant,
		Scopes:   w.scopes,
		Audience: w.audience,
		Proofs:   []record.Proof{{Methods: slices.Clone(who.Methods), At: who.At, PasswordAt: who.User.PasswordAt}},
		Address:  r.session.Address,
	}, w.demand)
	return err
}

// authenticate checks the password, unless too many were wrong; the right one gets no
// further than a wrong one then. What did not hold is recorded, and whose it was if
// somebody was named. The answer does not tell an unknown user from a wrong password
// (R24).
func (p *Password) authenticate(ctx context.Context, r request, c identity.Credentials) (identity.Identity, error) {
	username, ok := identity.Normalize(c.Username)
	if !ok {
		username = c.Username // names nobody
	}
	t := throttle.Try{Username: username, Address: r.session.Address}
	if err := p.Passwords.Allow(ctx, t); err != nil {
		return identity.Identity{}, err
	}
	who, err := p.Users.Verify(ctx, c)
	t.Subject = who.User.ID
	if err == nil || errors.Is(err, fault.UserBlocked) {
		if refusal := p.Passwords.Right(ctx, t); refusal != nil {
			err = refusal
		}
	}
	if err == nil {
		return who, nil
	}
	kind := fault.Of(err)
	e := audit.Event{At: p.Verifier.Now().UTC(), Type: audit.PasswordRefused, Reason: kind.Error(),
		Subject: who.User.ID, Client: r.client.ID, Grant: r.grant, Address: r.session.Address}
	var other error
	switch kind {
	case fault.WrongPassword:
		other = p.Passwords.Wrong(ctx, t, e)
	case fault.UserBlocked, fault.TooManyAttempts:
		other = fault.Because(fault.Unavailable, p.Verifier.Audit.Append(ctx, e))
	default:
	}
	if other != nil {
		return identity.Identity{}, other
	}
	return identity.Identity{}, err
}

// credentials reads user name, password and realm. The realm is honored on both
// grants: one SDK sends it with the plain one.
func credentials(r request) (identity.Credentials, error) {
	c := identity.Credentials{Connection: r.form.Get("realm"), Username: r.form.Get("username")}
	if c.Username == "" {
		return c, fault.Param(fault.MissingParameter, "username")
	}
	var err error
	if c.Password, err = r.take("password"); err != nil {
		return c, err
	}
	if c.Connection == "" {
		c.Connection = identity.DefaultConnection
	}
	if c.Connection != identity.DefaultConnection {
		return c, fault.Param(fault.BadRequest, "Unknown realm.")
	}
	return c, nil
}
