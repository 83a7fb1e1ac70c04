// Package enrollment keeps a subject's authenticators: who may add one, who may take one
// away, and what comes along.
package enrollment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// pendingLimit bounds how many associations of one subject wait at a time. It is above what
// messages are sent to a user at a time: those have limits that say so.
const pendingLimit = 30

// Registrar keeps a subject's authenticators.
type Registrar struct{ mfa.Options }

// NewRegistrar makes a registrar.
func NewRegistrar(o mfa.Options) *Registrar { return &Registrar{Options: o} }

func (r *Registrar) now() time.Time { return r.Now().UTC().Truncate(time.Millisecond) }

// List returns the subject's authenticators, active and pending, oldest first. An address
// that nobody enrolled is there if codes are sent to such.
func (r *Registrar) List(ctx context.Context, c mfa.Credential) ([]mfa.Authenticator, error) {
	all, err := r.Authenticators.Authenticators(ctx, c.Subject, r.now())
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("list authenticators: %w", err))
	}
	if c.Transaction != nil && c.Transaction.Reset(all) {
		return nil, fault.BadBearer
	}
	return slices.DeleteFunc(all, func(a mfa.Authenticator) bool { return a.Automatic && !r.Serves(a) }), nil
}

// Association asks to enroll an authenticator.
type Association struct {
	Wanted   []string // authenticator_types; exactly one is served
	Channels []string // oob_channels; the first one counts
	Params   map[string]string
	Address  string
	Locale   string // the languages of the person, as Accept-Language has them
}

// Associate makes a pending authenticator and returns the members of the answer. With
// the subject's first one come recovery codes. What others associate for the subject at
// the same moment is seen: then everything is decided again.
func (r *Registrar) Associate(ctx context.Context, c mfa.Credential, a Association) (map[string]any, error) {
	f, channel, err := r.enroller(a)
	if err != nil {
		return nil, err
	}
	account, err := r.Authenticators.Account(ctx, c.Subject)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.UserBlocked) {
		return nil, fault.BadBearer // deleted or blocked since the credential was issued
	}
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("associate: %w", err))
	}
	e := mfa.Enrolling{Subject: c.Subject, Client: c.Client, Handle: c.Handle, Account: account, Channel: channel, Params: a.Params,
		Address: a.Address, Locale: a.Locale}
	for range pendingLimit + 1 { // after that many others the limit is reached
		reply, err := r.associate(ctx, c, f, e)
		if !errors.Is(err, mfa.ErrChanged) {
			return reply, r.recorded(ctx, event(c, audit.Associated, a.Address), err)
		}
	}
	return nil, &fault.Details{Kind: fault.TooManyAttempts, RetryAfter: r.Enrolling}
}

// associate decides by what the subject has, and stores only if that is so still.
func (r *Registrar) associate(ctx context.Context, c mfa.Credential, f mfa.Enroller, e mfa.Enrolling) (map[string]any, error) {
	all, err := r.List(ctx, c)
	if err != nil {
		return nil, err
	}
	switch first := !mfa.Enrolled(all); {
	case !first && !c.Strong(all):
		return nil, fault.AlreadyEnrolled
	case first && c.Stale(r.now(), r.PasswordProof): // who has a session need not be who opened it (C-10)
		return nil, fault.StalePassword
	case first && r.VerifiedFirst && !e.Account.Verified:
		return nil, fault.UnverifiedAddress
	case pending(all) >= pendingLimit:
		return nil, &fault.Details{Kind: fault.TooManyAttempts, RetryAfter: r.Enrolling}
	}
	e.OwnAddress = !c.Strong(all)
	made, err := f.Enroll(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("associate %s: %w", f.Type(), err)
	}
	if made.Send != nil {
		return r.send(ctx, c, all, e, made)
	}
	if err := r.accompany(ctx, c, all, e, &made); err != nil {
		return nil, err
	}
	if err := r.keep(ctx, c, all, made.Authenticators, e.Address); err != nil {
		return nil, err
	}
	return made.Reply, nil
}

// send associates what the person has to be told of. What comes along is made when that has
// happened: nobody has to be without recovery codes that went with an answer that never was.
func (r *Registrar) send(ctx context.Context, c mfa.Credential, all []mfa.Authenticator, e mfa.Enrolling, made mfa.Enrollment) (map[string]any, error) {
	if err := r.keep(ctx, c, all, made.Authenticators, e.Address); err != nil {
		return nil, err
	}
	err := made.Send(ctx)
	if err == nil {
		err = r.along(ctx, c, e, made.Reply)
	}
	if err != nil {
		return nil, r.withdraw(ctx, c, made.Authenticators, fmt.Errorf("associate %s: %w", e.Channel, err))
	}
	return made.Reply, nil
}

// along adds what comes along with an association that is there.
func (r *Registrar) along(ctx context.Context, c mfa.Credential, e mfa.Enrolling, reply map[string]any) error {
	for range pendingLimit + 1 {
		all, err := r.List(ctx, c)
		if err != nil {
			return err
		}
		with := mfa.Enrollment{Reply: map[string]any{}}
		if err := r.accompany(ctx, c, all, e, &with); err != nil || len(with.Authenticators) == 0 {
			return err
		}
		if err = r.keep(ctx, c, all, with.Authenticators, e.Address); err == nil {
			maps.Copy(reply, with.Reply)
		}
		if !errors.Is(err, mfa.ErrChanged) {
			return err
		}
	}
	return &fault.Details{Kind: fault.TooManyAttempts, RetryAfter: r.Enrolling}
}

// withdrawing bounds how long the answer waits for an association to be taken back. It has
// time of its own: a provider that hangs has used up the request's.
const withdrawing = 500 * time.Millisecond

// withdraw takes back what nobody was told of: the client has no oob_code. What was confirmed
// all the same stays.
func (r *Registrar) withdraw(ctx context.Context, c mfa.Credential, made []mfa.Authenticator, because error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawing)
	defer cancel()
	e := event(c, audit.Removed, "")
	e.At, e.Success, e.Reason, e.Grant = r.now(), true, fault.Of(because).Error(), "associate"
	for range pendingLimit {
		seen, err := r.Authenticators.Authenticators(ctx, c.Subject, r.now())
		e.Authenticators = waiting(seen, made)
		if err == nil && len(e.Authenticators) > 0 {
			err = r.Authenticators.Remove(ctx, c, seen, e.Authenticators, e)
		}
		if !errors.Is(err, mfa.ErrChanged) {
			return errors.Join(because, err)
		}
	}
	return because
}

// waiting names those that were made and are pending still.
func waiting(seen, made []mfa.Authenticator) (ids []string) {
	for _, s := range seen {
		if !s.Active() && slices.ContainsFunc(made, func(m mfa.Authenticator) bool { return m.ID == s.ID }) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (r *Registrar) enroller(a Association) (mfa.Enroller, string, error) {
	if len(a.Wanted) == 0 {
		return nil, "", fault.Param(fault.MissingParameter, "authenticator_types")
	}
	if len(a.Wanted) > 1 {
		return nil, "", fault.Param(fault.BadRequest, "authenticator_types: name exactly one type.")
	}
	channel := ""
	if mfa.AuthenticatorType(a.Wanted[0]) == mfa.OOB {
		if len(a.Channels) == 0 {
			return nil, "", fault.Param(fault.MissingParameter, "oob_channels")
		}
		channel = a.Channels[0]
	}
	f, ok := r.Factor(mfa.AuthenticatorType(a.Wanted[0]))
	if !ok {
		return nil, "", fault.UnknownFactor
	}
	e, ok := f.(mfa.Enroller)
	if !ok {
		return nil, "", fault.UnknownFactor
	}
	return e, channel, nil
}

// accompany adds what comes with a subject's first authenticator, once per handle.
func (r *Registrar) accompany(ctx context.Context, c mfa.Credential, all []mfa.Authenticator, e mfa.Enrolling, made *mfa.Enrollment) error {
	if mfa.Enrolled(all) {
		return nil
	}
	for _, f := range r.Factors {
		companion, ok := f.(mfa.Companion)
		if !ok || slices.ContainsFunc(all, func(a mfa.Authenticator) bool { return a.Type == f.Type() && a.Handle == c.Handle }) {
			continue
		}
		with, err := companion.Accompany(ctx, e)
		if err != nil {
			return fmt.Errorf("associate %s: %w", f.Type(), err)
		}
		made.Authenticators = append(made.Authenticators, with.Authenticators...)
		maps.Copy(made.Reply, with.Reply)
	}
	return nil
}

// recorded records that a credential was not enough to change what its subject has:
// somebody may be at work who has no more than the password.
func (r *Registrar) recorded(ctx context.Context, e audit.Event, refusal error) error {
	kind := fault.Of(refusal)
	if !slices.Contains([]fault.Kind{fault.AlreadyEnrolled, fault.StalePassword, fault.UnverifiedAddress, fault.NotRemovable}, kind) {
		return refusal
	}
	e.At, e.Reason = r.now(), kind.Error()
	if err := r.Audit.Append(ctx, e); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("record a refusal: %w", err))
	}
	return refusal
}

// keep stores what enrolling made, pending, beside what was seen.
func (r *Registrar) keep(ctx context.Context, c mfa.Credential, seen, made []mfa.Authenticator, address string) error {
	now := r.now()
	e := event(c, audit.Associated, address)
	e.At, e.Success = now, true
	for i := range made {
		m := &made[i]
		m.Subject, m.Handle, m.Origin = c.Subject, c.Handle, "mfa_api"
		m.CreatedAt, m.ExpiresAt = now, now.Add(r.Enrolling)
		if m.Type == mfa.RecoveryCode {
			// They were shown, and whatever the handle confirms at last takes them along.
			m.ExpiresAt = now.Add(max(r.Enrolling, r.Lifetime))
		}
		e.Authenticators = append(e.Authenticators, m.ID)
	}
	if err := r.Authenticators.Associate(ctx, c, seen, made, e); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("associate: %w", err))
	}
	return nil
}

// pending is how many associations wait. Twins came with one.
func pending(all []mfa.Authenticator) int {
	groups := map[string]bool{}
	for _, a := range all {
		if !a.Active() && a.Type != mfa.RecoveryCode {
			groups[cmp.Or(a.Group, a.ID)] = true // twins are one
		}
	}
	return len(groups)
}

// event is the record of what was tried with a credential.
func event(c mfa.Credential, kind audit.Type, address string) audit.Event {
	e := audit.Event{Type: kind, Subject: c.Subject, Client: c.Client, Session: c.Session.ID, Address: address}
	if c.Transaction != nil {
		e.Transaction = c.Transaction.ID
	}
	return e
}
