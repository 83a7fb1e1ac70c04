package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// Challenges keeps challenges in memory. Polls of it have no interval: that is what the
// real stores are tested for.
type Challenges struct {
	Now func() time.Time
	// Down is what every method fails with; nil: none does.
	Down error

	mu     sync.Mutex
	kept   map[string]oob.Challenge
	states map[string]oob.State
}

var _ oob.Store = (*Challenges)(nil)

// NewChallenges makes an empty store.
func NewChallenges(now func() time.Time) *Challenges {
	return &Challenges{Now: now, kept: map[string]oob.Challenge{}, states: map[string]oob.State{}}
}

// CreateChallenge implements oob.Store.
func (s *Challenges) CreateChallenge(_ context.Context, c oob.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.kept[c.ID]; ok {
		return errors.New("the challenge exists")
	}
	s.kept[c.ID], s.states[c.ID] = c, oob.Pending
	return s.Down
}

// Challenge implements oob.Store.
func (s *Challenges) Challenge(_ context.Context, id string) (oob.Challenge, oob.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.kept[id]
	switch {
	case s.Down != nil:
		return oob.Challenge{}, "", s.Down
	case !ok || !s.Now().Before(c.ExpiresAt.Add(oob.Window)):
		return oob.Challenge{}, "", fault.NotFound
	case s.states[id] == oob.Pending && !s.Now().Before(c.ExpiresAt):
		return c, oob.Expired, nil
	}
	return c, s.states[id], nil
}

// Poll implements oob.Store.
func (s *Challenges) Poll(ctx context.Context, p oob.Poll) (oob.Polled, error) {
	c, state, err := s.Challenge(ctx, p.ID)
	return oob.Polled{State: state, Authenticator: c.Authenticator, Answered: c.Answered}, err
}

// Decide implements oob.Store.
func (s *Challenges) Decide(ctx context.Context, id string, to oob.State) error {
	_, state, err := s.Challenge(ctx, id)
	switch {
	case err != nil:
		return err
	case state == to:
		return nil
	case state != oob.Pending && to != oob.Denied:
		return fault.NotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[id] = to
	return nil
}

// Listen implements oob.Store: nobody else decides anything here.
func (s *Challenges) Listen(ctx context.Context, _ func(string)) error {
	<-ctx.Done()
	return nil
}

// Lose forgets a challenge, as the store of such things may.
func (s *Challenges) Lose(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, id)
}

// IDs are those of the challenges that are kept.
func (s *Challenges) IDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.kept))
}
