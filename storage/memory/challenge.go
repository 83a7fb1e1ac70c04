package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

var _ oob.Store = (*Store)(nil)

func challengeKey(id string) key { return key{"challenge", id} }

// CreateChallenge implements oob.Store.
func (s *Store) CreateChallenge(ctx context.Context, c oob.Challenge) error {
	now := s.now()
	if !now.Before(c.ExpiresAt) {
		return errors.New("memory: create challenge: it has expired already")
	}
	p := &polling{
		decided: oob.Pending, authenticator: c.Authenticator, answered: c.Answered, bound: c.Bound(),
		expiresAt: c.ExpiresAt, next: now, interval: oob.Interval,
	}
	return s.keep(ctx, &entry{key: challengeKey(c.ID), expiresAt: c.ExpiresAt.Add(oob.Window), polled: p}, c)
}

// Challenge implements oob.Store.
func (s *Store) Challenge(ctx context.Context, id string) (oob.Challenge, oob.State, error) {
	var state oob.State
	err := s.step(ctx, "challenge", id, func(p *polling, now time.Time) bool {
		state = p.state(now)
		return false
	})
	if err != nil {
		return oob.Challenge{}, "", err
	}
	var c oob.Challenge
	err = s.load(ctx, challengeKey(id), &c)
	return c, state, err
}

// Decide implements oob.Store.
func (s *Store) Decide(ctx context.Context, id string, state oob.State) error {
	switch state {
	case oob.Approved, oob.Denied, oob.Superseded:
	default:
		return fmt.Errorf("memory: decide: nobody decides that it is %q", state)
	}
	gone := false
	err := s.step(ctx, "decide", id, func(p *polling, now time.Time) bool {
		found := p.state(now)
		if found == state {
			return false
		}
		if gone = state != oob.Denied && found != oob.Pending; gone {
			return false
		}
		p.decided = state
		return true
	})
	if err == nil && gone {
		return fmt.Errorf("memory: decide: %w", fault.NotFound)
	}
	return err
}

// Poll implements oob.Store.
func (s *Store) Poll(ctx context.Context, poll oob.Poll) (oob.Polled, error) {
	var found oob.Polled
	err := s.step(ctx, "poll", poll.ID, func(p *polling, now time.Time) (tell bool) {
		found, tell = p.poll(poll, now)
		return tell
	})
	return found, err
}

// step looks at a challenge, or changes it, while nobody else does, and tells of it if it
// shall be told.
func (s *Store) step(ctx context.Context, operation, id string, do func(*polling, time.Time) (tell bool)) error {
	if err := ctx.Err(); err != nil {
		return unavailable(operation, err)
	}
	s.mu.Lock()
	now := s.now()
	e, err := s.living(challengeKey(id), now)
	tell := err == nil && do(e.polled, now)
	s.mu.Unlock()
	if tell {
		s.tell(id)
	}
	return err
}

func (p *polling) state(now time.Time) oob.State {
	if p.decided == oob.Pending && !now.Before(p.expiresAt) {
		return oob.Expired
	}
	return p.decided
}

// poll is one look. It tells when it takes the place of a waiter.
func (p *polling) poll(poll oob.Poll, now time.Time) (found oob.Polled, tell bool) {
	found = oob.Polled{State: p.state(now), Answered: p.answered}
	if !p.answered {
		found.Authenticator = p.authenticator
		return found, false
	}
	if found.State == oob.Approved && p.bound && poll.Bare {
		if found.State = oob.Pending; !now.Before(p.expiresAt) {
			found.State = oob.Expired
		}
	}
	open := found.State == oob.Pending || found.State == oob.Approved
	switch {
	case poll.Woken && poll.Waiter != p.waiter && open:
		return pending(found, p.next.Sub(now)), false // whoever took its place is told
	case found.State == oob.Approved && now.Before(p.lease):
		return pending(found, p.lease.Sub(now)), false
	case !poll.Woken && now.Add(oob.Tolerance).Before(p.next):
		p.interval = min(p.interval+oob.Slower, oob.Slowest)
		p.next = now.Add(p.interval)
		found.TooSoon = true
		return pending(found, p.interval), false
	}
	if !poll.Woken {
		p.next = now.Add(p.interval)
	}
	switch found.State { //nolint:exhaustive // the others are as they are
	case oob.Approved:
		p.lease = now.Add(oob.Lease)
		p.next = p.lease
		found.Authenticator = p.authenticator
	case oob.Pending:
		if found.Waiting = poll.Waiter != ""; found.Waiting {
			tell = p.waiter != "" && p.waiter != poll.Waiter
			p.waiter = poll.Waiter
		}
		found = pending(found, p.next.Sub(now))
	}
	return found, tell
}

func pending(p oob.Polled, wait time.Duration) oob.Polled {
	p.State, p.Wait = oob.Pending, max(wait, 0)
	return p
}

// Listen implements oob.Store. Nothing is missed, but what was before.
func (s *Store) Listen(ctx context.Context, heard func(id string)) error {
	s.listening.Lock()
	s.listeners[&heard] = struct{}{}
	s.listening.Unlock()
	heard("")
	<-ctx.Done()
	s.listening.Lock()
	delete(s.listeners, &heard)
	s.listening.Unlock()
	return nil
}

func (s *Store) tell(id string) {
	s.listening.Lock()
	defer s.listening.Unlock()
	for heard := range s.listeners {
		(*heard)(id)
	}
}
