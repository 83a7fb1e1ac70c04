package mfa

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

// candidates are what the subject of a transaction can prove with a factor of the type; with
// a name, that one alone.
func (v *Verifier) candidates(ctx context.Context, t Transaction, of AuthenticatorType, named *Answered) ([]Authenticator, error) {
	all, err := v.Authenticators.Authenticators(ctx, t.Login.Subject, v.now())
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("verify: %w", err))
	}
	if t.Reset(all) {
		return nil, fault.MalformedMFAToken
	}
	tried, err := candidates(all, t.ID, of, v.now())
	if err != nil {
		return nil, err
	}
	return only(tried, named)
}

// candidates picks the authenticators that a proof of the type may be held against.
// A pending one counts only for who has no factor yet: its seed alone must never
// satisfy the login of somebody who has one.
func candidates(all []Authenticator, handle string, t AuthenticatorType, now time.Time) ([]Authenticator, error) {
	enrolled := Enrolled(all)
	var out []Authenticator
	for _, a := range all {
		fits := a.Usable()
		if !enrolled {
			fits = a.Type != RecoveryCode && a.Pending(handle, now)
		}
		if a.Type == t && fits {
			out = append(out, a)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case !enrolled:
		return nil, fault.NotEnrolled
	case t == RecoveryCode:
		return nil, fault.NoRecoveryCode
	default:
		return nil, fault.UnsupportedType
	}
}

// try holds a proof against each authenticator. All are tried, so that the answer
// does not tell by its time which one would have fit.
func try(ctx context.Context, f Factor, tried []Authenticator, p Proof) (Authenticator, Verified, error) {
	var proved *Authenticator
	var verified Verified
	var refusal error
	for i, a := range tried {
		got, err := f.Verify(ctx, a, p)
		switch {
		case err == nil && proved == nil:
			proved, verified = &tried[i], got
		case err != nil && !fault.Of(err).Guess() && !fault.Of(err).Replay():
			return Authenticator{}, Verified{}, fmt.Errorf("verify %s: %w", f.Type(), err)
		case err != nil && (refusal == nil || fault.Of(err).Replay()):
			refusal = err
		}
	}
	if proved == nil {
		return Authenticator{}, Verified{}, refusal
	}
	return *proved, verified, nil
}

// await waits for an answer that is given elsewhere. It names the one authenticator that
// the proof is about; nil: it may be any of its type.
func (a Attempt) await(ctx context.Context, f Factor, handle string) (*Answered, error) {
	awaited, ok := f.(Awaited)
	if !ok {
		return nil, nil //nolint:nilnil // any authenticator will do, which is no failure
	}
	named, err := awaited.Await(ctx, handle, a.proof(), a.Wait)
	return &named, err
}

// only leaves the named one of candidates. A code that leads to none is of no use any more.
func only(tried []Authenticator, named *Answered) ([]Authenticator, error) {
	if named == nil {
		return tried, nil
	}
	i := slices.IndexFunc(tried, func(a Authenticator) bool { return a.ID == named.Authenticator })
	if i < 0 {
		return nil, fault.MalformedOOBCode
	}
	return tried[i : i+1], nil
}
