package oob

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// Await implements mfa.Awaited. A poll is one step of the store.
func (f *Factor) Await(ctx context.Context, handle string, p mfa.Proof, wait time.Duration) (mfa.Answered, error) {
	code, err := f.codes.Read(p["oob_code"])
	switch {
	case err != nil:
		return mfa.Answered{}, fault.MalformedOOBCode
	case !f.o.Now().Before(code.ExpiresAt.Add(Window)):
		return mfa.Answered{}, fault.OOBCodeExpired
	case !code.For(handle):
		return mfa.Answered{}, fault.ForeignOOBCode
	}
	poll := Poll{ID: code.ID, Bare: p["binding_code"].Empty()}
	if wait <= 0 {
		polled, err := f.o.Store.Poll(ctx, poll)
		return poll.settle(polled, err)
	}
	return f.wait(ctx, poll, min(wait, mfa.MaxWait))
}

// wait polls, and while the answer is out waits to be woken to look again. It joins before
// it looks, so that no answer comes in between.
func (f *Factor) wait(ctx context.Context, poll Poll, wait time.Duration) (mfa.Answered, error) {
	name := make([]byte, 8)
	if _, err := io.ReadFull(f.o.Random, name); err != nil {
		return mfa.Answered{}, fmt.Errorf("wait for an answer: %w", err)
	}
	poll.Waiter = hex.EncodeToString(name)
	over := time.NewTimer(wait)
	defer over.Stop()
	var polled Polled
	var began time.Time
	var err error
	again := func() (mfa.Answered, error) { // nobody knows more than at the last look
		polled.Wait -= f.o.Now().Sub(began)
		return poll.settle(polled, nil)
	}
	for {
		woken := f.o.Waiters.join(poll.ID)
		if woken == nil && poll.Woken {
			return again()
		}
		began = f.o.Now()
		if polled, err = f.look(ctx, poll); woken == nil || err != nil || polled.TooSoon || polled.State != Pending || !polled.Waiting {
			f.o.Waiters.leave(poll.ID, woken)
			return poll.settle(polled, err)
		}
		poll.Woken = true
		select {
		case <-woken:
		case <-over.C:
			f.o.Waiters.leave(poll.ID, woken)
			return again()
		case <-ctx.Done():
			f.o.Waiters.leave(poll.ID, woken)
			return mfa.Answered{}, fault.Because(fault.Unavailable, fmt.Errorf("wait for an answer: %w", ctx.Err()))
		}
	}
}

// look polls; one that was woken waits for its turn.
func (f *Factor) look(ctx context.Context, poll Poll) (Polled, error) {
	if poll.Woken {
		select {
		case f.o.Waiters.looks <- struct{}{}:
			defer func() { <-f.o.Waiters.looks }()
		case <-ctx.Done():
			return Polled{}, ctx.Err()
		}
	}
	return f.o.Store.Poll(ctx, poll)
}

// settle is what a poll comes to. What was lost or has been replaced names no
// authenticator.
func (p Poll) settle(found Polled, err error) (mfa.Answered, error) {
	switch {
	case errors.Is(err, fault.NotFound):
		return mfa.Answered{}, nil
	case err != nil:
		return mfa.Answered{}, fault.Because(fault.Unavailable, fmt.Errorf("poll: %w", err))
	case !found.Answered: // whether it was replaced SQL knows better
		return mfa.Answered{Authenticator: found.Authenticator, Challenge: p.ID}, nil
	case found.TooSoon:
		return mfa.Answered{}, &fault.Details{Kind: fault.SlowDown, RetryAfter: found.Wait}
	}
	switch found.State {
	case Pending:
		return mfa.Answered{}, &fault.Details{Kind: fault.Pending, RetryAfter: max(found.Wait, time.Second)}
	case Approved:
		return mfa.Answered{Authenticator: found.Authenticator}, nil
	case Denied:
		return mfa.Answered{}, fault.Rejected
	case Expired:
		return mfa.Answered{}, fault.OOBCodeExpired
	default:
		return mfa.Answered{}, nil
	}
}
