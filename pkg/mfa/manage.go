package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// Confirm judges the first proof of an authenticator that was associated with an access
// token for /mfa/, and of no other: it is never a login (Auth0 MFA API, 3.4 and Q6).
func (v *Verifier) Confirm(ctx context.Context, c Credential, a Attempt) (Clearance, error) {
	if c.Client != a.Client {
		return Clearance{}, fault.ForeignMFAToken
	}
	factor, ok := v.factor(a.Type)
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
	if len(tried) == 0 || a.Type == RecoveryCode || Enrolled(all) && !c.strong(all) {
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

// Remove deletes one of the subject's authenticators, with its twins; with the last
// factor go the recovery codes, which stand in for it and go no other way. Whoever has
// proved no factor removes only what waits under the same token.
func (r *Registrar) Remove(ctx context.Context, c Credential, id, address string) error {
	for range pendingLimit {
		err := r.remove(ctx, c, id, address)
		if !errors.Is(err, ErrChanged) {
			e := c.event(audit.Removed, address)
			e.Grant, e.Authenticators = "DELETE", []string{id}
			return r.recorded(ctx, e, err)
		}
	}
	return fault.Because(fault.Unavailable, errors.New("remove an authenticator: it changes all the time"))
}

func (r *Registrar) remove(ctx context.Context, c Credential, id, address string) error {
	all, err := r.List(ctx, c)
	if err != nil {
		return err
	}
	gone := leaving(all, id)
	if len(gone) == 0 {
		return fault.NoAuthenticator
	}
	own := func(a Authenticator) bool {
		return a.ID == id && a.Pending(c.Handle, r.now()) && a.Type != RecoveryCode
	}
	if !c.strong(all) && !slices.ContainsFunc(all, own) {
		return fault.NotRemovable // the password alone takes nothing away (R6)
	}
	left := slices.DeleteFunc(slices.Clone(all), func(a Authenticator) bool { return slices.Contains(gone, a.ID) })
	if slices.ContainsFunc(all, func(a Authenticator) bool { return a.ID == id && a.Type == RecoveryCode }) {
		return fault.NotRemovable
	}
	if Enrolled(all) && !Enrolled(left) {
		gone = append(gone, standIns(left)...)
	}
	e := c.event(audit.Removed, address)
	e.At, e.Success, e.Grant, e.Authenticators = r.now(), true, "DELETE", gone
	if err := r.Authenticators.Remove(ctx, c, all, gone, e); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("remove an authenticator: %w", err))
	}
	return nil
}

// standIns names the active recovery codes.
func standIns(all []Authenticator) []string {
	var ids []string
	for _, a := range all {
		if a.Type == RecoveryCode && a.Active() {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// leaving names an authenticator and its twins.
func leaving(all []Authenticator, id string) []string {
	i := slices.IndexFunc(all, func(a Authenticator) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	gone := []string{id}
	for _, a := range all {
		if a.ID != id && a.Group != "" && a.Group == all[i].Group {
			gone = append(gone, a.ID)
		}
	}
	return gone
}
