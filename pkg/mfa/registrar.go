package mfa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// pendingLimit bounds how many associations of one subject wait at a time.
const pendingLimit = 10

// Registrar keeps a subject's authenticators.
type Registrar struct{ Options }

// NewRegistrar makes a registrar.
func NewRegistrar(o Options) *Registrar { return &Registrar{Options: o} }

// Credential is what authenticates a request about a subject's authenticators.
type Credential struct {
	Subject string
	Client  string
	Handle  string // the transaction or access token id; only it may confirm what it associates
	// Transaction is the one of an mfa_token: it may enroll the first authenticator and
	// nothing more. Otherwise the credential is an access token for /mfa/.
	Transaction *Transaction
	// Scopes, Audience, Session and ExpiresAt are those of an access token.
	Scopes    []string
	Audience  []string
	Session   record.Session
	ExpiresAt time.Time
}

// strong reports whether the session behind an access token proved a second factor that
// the subject still has.
func (c Credential) strong(all []Authenticator) bool { return strong(c.Session.Proofs, all) }

// stale reports whether the password behind the credential was proved longer ago than
// that. An mfa_token that was the answer to a password never is: it lives too shortly.
func (c Credential) stale(now time.Time, longest time.Duration) bool {
	proofs := c.Session.Proofs
	if c.Transaction != nil {
		if c.Transaction.Login.Origin == FromPassword {
			return false
		}
		proofs = c.Transaction.Login.Proofs
	}
	return now.Sub(record.PasswordTime(proofs)) > longest
}

// Credential reads an mfa_token that came as a bearer token; the client is the one
// that it was issued to. It fails with fault.BadBearer or fault.MFATokenExpired.
func (r *Registrar) Credential(ctx context.Context, token secret.Text) (Credential, error) {
	h, err := r.Handles.Read(token)
	if err != nil {
		return Credential{}, fault.BadBearer
	}
	if !r.now().Before(h.ExpiresAt) {
		return Credential{}, fault.MFATokenExpired
	}
	t, err := r.load(ctx, h)
	if err == nil {
		err = r.alive(ctx, t)
	}
	if errors.Is(err, fault.MalformedMFAToken) {
		return Credential{}, fault.BadBearer
	}
	if err != nil {
		return Credential{}, err
	}
	return Credential{Subject: t.Login.Subject, Client: t.Login.Client, Handle: t.ID, Transaction: &t}, nil
}

// List returns the subject's authenticators, active and pending, oldest first.
func (r *Registrar) List(ctx context.Context, c Credential) ([]Authenticator, error) {
	all, err := r.Authenticators.Authenticators(ctx, c.Subject, r.now())
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("list authenticators: %w", err))
	}
	if c.Transaction != nil && c.Transaction.reset(all) {
		return nil, fault.BadBearer
	}
	return all, nil
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
func (r *Registrar) Associate(ctx context.Context, c Credential, a Association) (map[string]any, error) {
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
	e := Enrolling{Subject: c.Subject, Client: c.Client, Handle: c.Handle, Account: account, Channel: channel, Params: a.Params,
		OwnAddress: c.Transaction != nil, Address: a.Address, Locale: a.Locale}
	for range pendingLimit + 1 { // after that many others the limit is reached
		reply, err := r.associate(ctx, c, f, e, a.Address)
		if !errors.Is(err, ErrChanged) {
			return reply, r.recorded(ctx, c.event(audit.Associated, a.Address), err)
		}
	}
	return nil, &fault.Details{Kind: fault.TooManyAttempts, RetryAfter: r.Enrolling}
}

// associate decides by what the subject has, and stores only if that is so still.
func (r *Registrar) associate(ctx context.Context, c Credential, f Enroller, e Enrolling, address string) (map[string]any, error) {
	all, err := r.List(ctx, c)
	if err != nil {
		return nil, err
	}
	switch first := !Enrolled(all); {
	case !first && !c.strong(all):
		return nil, fault.AlreadyEnrolled
	case first && c.stale(r.now(), r.PasswordProof): // who has a session need not be who opened it (C-10)
		return nil, fault.StalePassword
	case first && r.VerifiedFirst && !e.Account.Verified:
		return nil, fault.UnverifiedAddress
	case pending(all) >= pendingLimit:
		return nil, &fault.Details{Kind: fault.TooManyAttempts, RetryAfter: r.Enrolling}
	}
	made, err := f.Enroll(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("associate %s: %w", f.Type(), err)
	}
	if err := r.accompany(ctx, c, all, e, &made); err != nil {
		return nil, err
	}
	if err := r.keep(ctx, c, all, made.Authenticators, address); err != nil {
		return nil, err
	}
	return made.Reply, nil
}

func (r *Registrar) enroller(a Association) (Enroller, string, error) {
	if len(a.Wanted) == 0 {
		return nil, "", fault.Param(fault.MissingParameter, "authenticator_types")
	}
	if len(a.Wanted) > 1 {
		return nil, "", fault.Param(fault.BadRequest, "authenticator_types: name exactly one type.")
	}
	channel := ""
	if AuthenticatorType(a.Wanted[0]) == OOB {
		if len(a.Channels) == 0 {
			return nil, "", fault.Param(fault.MissingParameter, "oob_channels")
		}
		channel = a.Channels[0]
	}
	f, ok := r.factor(AuthenticatorType(a.Wanted[0]))
	if !ok {
		return nil, "", fault.UnknownFactor
	}
	e, ok := f.(Enroller)
	if !ok {
		return nil, "", fault.UnknownFactor
	}
	return e, channel, nil
}

// accompany adds what comes with a subject's first authenticator, once per handle.
func (r *Registrar) accompany(ctx context.Context, c Credential, all []Authenticator, e Enrolling, made *Enrollment) error {
	if Enrolled(all) {
		return nil
	}
	for _, f := range r.Factors {
		companion, ok := f.(Companion)
		if !ok || slices.ContainsFunc(all, func(a Authenticator) bool { return a.Type == f.Type() && a.Handle == c.Handle }) {
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

// event is the record of what was tried with a credential.
func (c Credential) event(kind audit.Type, address string) audit.Event {
	e := audit.Event{Type: kind, Subject: c.Subject, Client: c.Client, Session: c.Session.ID, Address: address}
	if c.Transaction != nil {
		e.Transaction = c.Transaction.ID
	}
	return e
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
func (r *Registrar) keep(ctx context.Context, c Credential, seen, made []Authenticator, address string) error {
	now := r.now()
	e := c.event(audit.Associated, address)
	e.At, e.Success = now, true
	for i := range made {
		m := &made[i]
		m.Subject, m.Handle, m.Origin = c.Subject, c.Handle, "mfa_api"
		m.CreatedAt, m.ExpiresAt = now, now.Add(r.Enrolling)
		if m.Type == RecoveryCode {
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

func pending(all []Authenticator) int {
	return len(slices.DeleteFunc(slices.Clone(all), func(a Authenticator) bool { return a.Active() || a.Type == RecoveryCode }))
}

// Window is how long an association waits for its first proof, unless configured
// otherwise: the contract has five minutes for push and the same serves the others.
const Window = 5 * time.Minute
