package mfatest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Store keeps authenticators, failures, issuances and the audit log in memory.
type Store struct {
	mu       sync.Mutex
	accounts map[string]mfa.Account // by subject
	blocked  map[string]bool
	ended    map[string]bool // handles of credentials
	state    state
	failures map[string]throttle.Failures // by subject
	access   map[string]record.AccessToken
	events   []audit.Event
}

var (
	_ mfa.AuthenticatorStore = (*Store)(nil)
	_ throttle.Limiter       = (*Store)(nil)
	_ audit.Log              = (*Store)(nil)
	_ record.Store           = (*Store)(nil)
)

// NewStore makes a store that knows the subjects, each with the name that an
// authenticator app shows.
func NewStore(accounts map[string]string) *Store {
	s := &Store{
		accounts: map[string]mfa.Account{},
		blocked:  map[string]bool{},
		ended:    map[string]bool{},
		state:    state{redeemed: map[string]bool{}},
		failures: map[string]throttle.Failures{},
		access:   map[string]record.AccessToken{},
	}
	for subject, name := range accounts {
		s.accounts[subject] = mfa.Account{Name: name}
	}
	return s
}

// Verify makes the name of a subject a verified address.
func (s *Store) Verify(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.accounts[subject].Name
	s.accounts[subject] = mfa.Account{Name: name, Verified: true, Email: name}
}

// Put adds authenticators as they are, in place of those with the same id.
func (s *Store) Put(all ...mfa.Authenticator) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range all {
		s.state.authenticators = slices.DeleteFunc(s.state.authenticators, func(b mfa.Authenticator) bool { return a.ID == b.ID })
		s.state.authenticators = append(s.state.authenticators, a)
	}
}

// Block blocks a subject.
func (s *Store) Block(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked[subject] = true
}

// End ends a credential by its handle, as a revocation does.
func (s *Store) End(handle string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended[handle] = true
}

// good wants a credential not to have ended.
func (s *Store) good(c mfa.Credential) error {
	if s.blocked[c.Subject] || s.ended[c.Handle] || s.state.redeemed["mfa_token "+c.Handle] {
		return fault.BadBearer
	}
	return nil
}

// Authenticators implements mfa.AuthenticatorStore.
func (s *Store) Authenticators(_ context.Context, subject string, now time.Time) ([]mfa.Authenticator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []mfa.Authenticator
	for _, a := range s.state.clone().authenticators {
		if a.Subject == subject && (a.Active() || now.Before(a.ExpiresAt)) {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b mfa.Authenticator) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return all, nil
}

// Associate implements mfa.AuthenticatorStore.
func (s *Store) Associate(_ context.Context, c mfa.Credential, seen, pending []mfa.Authenticator, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.good(c); err != nil {
		return err
	}
	there := 0
	for _, a := range s.state.authenticators {
		if len(pending) > 0 && a.Subject == c.Subject && (a.Active() || pending[0].CreatedAt.Before(a.ExpiresAt)) {
			there++
		}
	}
	if there != len(seen) {
		return mfa.ErrChanged
	}
	for _, a := range pending {
		if s.state.find(a.ID) != nil {
			return fmt.Errorf("associate: %s exists", a.ID)
		}
	}
	s.state.authenticators = append(s.state.authenticators, state{authenticators: pending}.clone().authenticators...)
	s.events = append(s.events, e)
	return nil
}

// Account implements mfa.AuthenticatorStore.
func (s *Store) Account(_ context.Context, subject string) (mfa.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	account, ok := s.accounts[subject]
	switch {
	case !ok:
		return mfa.Account{}, fault.NotFound
	case s.blocked[subject]:
		return mfa.Account{}, fault.UserBlocked
	}
	return account, nil
}

// Attempt implements throttle.Limiter.
func (s *Store) Attempt(_ context.Context, a throttle.Attempt, l throttle.Limits) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures[a.Subject]
	if refused := throttle.TooMany(fault.TooManyFailures, l.Wait(f, a.Event.At)); refused != nil || !a.Wrong {
		return refused
	}
	s.failures[a.Subject] = f.Add(a.Event.At)
	for _, id := range a.Authenticators {
		if x := s.state.find(id); x != nil {
			x.Failures++
		}
	}
	s.events = append(s.events, a.Event)
	return nil
}

// Failures is how many failures were counted to the subject.
func (s *Store) Failures(subject string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures[subject].Count
}

// Append implements audit.Log.
func (s *Store) Append(_ context.Context, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

// Events is the audit log, oldest first.
func (s *Store) Events() []audit.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Remove implements mfa.AuthenticatorStore.
func (s *Store) Remove(_ context.Context, c mfa.Credential, seen []mfa.Authenticator, ids []string, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.good(c); err != nil {
		return err
	}
	for _, a := range seen {
		if there := s.state.find(a.ID); there == nil || there.Active() != a.Active() {
			return mfa.ErrChanged
		}
	}
	s.state.authenticators = slices.DeleteFunc(s.state.authenticators, func(a mfa.Authenticator) bool {
		return a.Subject == c.Subject && slices.Contains(ids, a.ID)
	})
	s.events = append(s.events, e)
	return nil
}

// Alive implements mfa.AuthenticatorStore.
func (s *Store) Alive(_ context.Context, t mfa.Transaction) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.good(mfa.Credential{Subject: t.Login.Subject, Handle: t.ID}) == nil, nil
}

// Issue implements record.Store.
func (s *Store) Issue(_ context.Context, i record.Issuance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blocked[i.Session.Subject] {
		return fault.UserBlocked
	}
	next := s.state.clone()
	for _, c := range i.Consumes {
		if !next.consume(i, c) {
			return fmt.Errorf("%T: %w", c, c.Spent())
		}
	}
	s.state = next
	s.access[i.Access.ID] = i.Access
	s.events = append(s.events, i.Event)
	return nil
}

// AccessTokenActive implements record.Store.
func (s *Store) AccessTokenActive(_ context.Context, id string, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.access[id]
	return ok && now.Before(t.ExpiresAt), nil
}
