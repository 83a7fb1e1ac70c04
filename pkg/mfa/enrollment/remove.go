package enrollment

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// Remove deletes one of the subject's authenticators, with its twins; with the last
// factor go the recovery codes, which stand in for it and go no other way. Whoever has
// proved no factor removes only what waits under the same token.
func (r *Registrar) Remove(ctx context.Context, c mfa.Credential, id, address string) error {
	for range pendingLimit {
		err := r.remove(ctx, c, id, address)
		if !errors.Is(err, mfa.ErrChanged) {
			e := event(c, audit.Removed, address)
			e.Grant, e.Authenticators = "DELETE", []string{id}
			return r.recorded(ctx, e, err)
		}
	}
	return fault.Because(fault.Unavailable, errors.New("remove an authenticator: it changes all the time"))
}

func (r *Registrar) remove(ctx context.Context, c mfa.Credential, id, address string) error {
	all, err := r.List(ctx, c)
	if err != nil {
		return err
	}
	gone := leaving(all, id)
	if len(gone) == 0 {
		return fault.NoAuthenticator
	}
	if slices.ContainsFunc(all, func(a mfa.Authenticator) bool { return a.ID == id && a.Automatic }) {
		return fault.NotRemovable // it is the account's (Auth0 MFA API, 4.3)
	}
	own := func(a mfa.Authenticator) bool {
		return a.ID == id && a.Pending(c.Handle, r.now()) && a.Type != mfa.RecoveryCode
	}
	if !c.Strong(all) && !slices.ContainsFunc(all, own) {
		return fault.NotRemovable // the password alone takes nothing away (R6)
	}
	left := slices.DeleteFunc(slices.Clone(all), func(a mfa.Authenticator) bool { return slices.Contains(gone, a.ID) })
	if slices.ContainsFunc(all, func(a mfa.Authenticator) bool { return a.ID == id && a.Type == mfa.RecoveryCode }) {
		return fault.NotRemovable
	}
	if mfa.Enrolled(all) && !mfa.Enrolled(left) {
		gone = append(gone, standIns(left)...)
	}
	e := event(c, audit.Removed, address)
	e.At, e.Success, e.Grant, e.Authenticators = r.now(), true, "DELETE", gone
	if err := r.Authenticators.Remove(ctx, c, all, gone, e); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("remove an authenticator: %w", err))
	}
	return nil
}

// standIns names the active recovery codes.
func standIns(all []mfa.Authenticator) []string {
	var ids []string
	for _, a := range all {
		if a.Type == mfa.RecoveryCode && a.Active() {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// leaving names an authenticator and its twins.
func leaving(all []mfa.Authenticator, id string) []string {
	i := slices.IndexFunc(all, func(a mfa.Authenticator) bool { return a.ID == id })
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
