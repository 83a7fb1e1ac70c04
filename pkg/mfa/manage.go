package mfa

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// Confirm judges the first proof of an authenticator that was associated with an access
// token for /mfa/, and of no other: it is never a login (Auth0 MFA API, 3.4 and Q6).
func (v *Verifier) Confirm(ctx context.Context, c Credential, a Attempt) (Clearance, error) {
	if c.Client != a.Client {
		return Clearance{}, fault.ForeignMFAToken
	}
	factor, ok := v.Factor(a.Type)
	if !ok {
		return Clearance{}, fault.UnknownFactor
	}
	if a.Audience != "" && !slices.Contains(c.Audience, a.Audience) {
		return Clearance{}, fault.Param(fault.BadRequest, "The access token was issued for another audience.")
	}
	var err error
	if a.named, err = a.await(ctx, factor, c.Handle); err != nil {
		return Clearance{}, err
	}
	now := v.now()
	if !now.Before(c.ExpiresAt) { // it was good when the wait began
		return Clearance{}, fault.MalformedMFAToken
	}
	all, err := v.Authenticators.Authenticators(ctx, c.Subject, now)
	if err != nil {
		return Clearance{}, fault.Because(fault.Unavailable, fmt.Errorf("confirm: %w", err))
	}
	tried := slices.DeleteFunc(slices.Clone(all), func(x Authenticator) bool { return x.Type != a.Type || !x.Pending(c.Handle, now) })
	if len(tried) == 0 || a.Type == RecoveryCode || Enrolled(all) && !c.Strong(all) {
		return Clearance{}, fault.MalformedMFAToken
	}
	if tried, err = only(tried, a.named); err != nil {
		return Clearance{}, err
	}
	// The new authenticator was proved to be there, which is no authentication: the answer
	// is neither stronger nor longer good than the token that it was asked for with.
	scopes := slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return s == "offline_access" })
	l := Login{Subject: c.Subject, Client: c.Client, Origin: FromManagement, Grant: a.Grant, Address: a.Address,
		Scopes: a.narrow(scopes), Audience: c.Audience, Session: c.Session.ID, Proofs: c.Session.Proofs, Until: c.ExpiresAt}
	proved, verified, err := try(ctx, factor, tried, a.proof())
	if err := v.let(ctx, l, a, tried, err); err != nil {
		return Clearance{}, err
	}
	confirmation := record.Confirmation{Authenticator: proved.ID, Handle: c.Handle, First: !Enrolled(all)}
	return Clearance{login: l, valid: true, reply: verified.Reply,
		consumes: append([]record.Consumption{confirmation}, verified.Consumes...)}, nil
}
