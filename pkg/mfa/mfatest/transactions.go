package mfatest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Transactions keeps transactions in memory, as the text that a real store keeps.
type Transactions struct {
	Now func() time.Time

	mu   sync.Mutex
	kept map[string][]byte
}

var _ mfa.TransactionStore = (*Transactions)(nil)

// CreateTransaction implements mfa.TransactionStore.
func (s *Transactions) CreateTransaction(_ context.Context, t mfa.Transaction) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[t.ID] != nil {
		return fmt.Errorf("create a transaction: %s exists", t.ID)
	}
	if s.kept == nil {
		s.kept = map[string][]byte{}
	}
	s.kept[t.ID] = text
	return nil
}

// Transaction implements mfa.TransactionStore.
func (s *Transactions) Transaction(_ context.Context, id string) (mfa.Transaction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var t mfa.Transaction
	text, ok := s.kept[id]
	if !ok {
		return t, fault.NotFound
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, err
	}
	if t.Expired(s.Now()) {
		return mfa.Transaction{}, fault.NotFound
	}
	return t, nil
}

// EndTransaction implements mfa.TransactionStore.
func (s *Transactions) EndTransaction(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, id)
	return nil
}

// Len is how many transactions are kept.
func (s *Transactions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}

// Down is every store that package mfa uses, out of order: whatever it is asked, it
// answers with the error.
type Down struct{ Err error }

var (
	_ mfa.AuthenticatorStore = Down{}
	_ mfa.TransactionStore   = Down{}
	_ throttle.Limiter       = Down{}
	_ audit.Log              = Down{}
)

// Authenticators implements mfa.AuthenticatorStore.
func (d Down) Authenticators(context.Context, string, time.Time) ([]mfa.Authenticator, error) {
	return nil, d.Err
}

// Associate implements mfa.AuthenticatorStore.
func (d Down) Associate(_ context.Context, _ mfa.Credential, _, _ []mfa.Authenticator, _ audit.Event) error {
	return d.Err
}

// Alive implements mfa.AuthenticatorStore.
func (d Down) Alive(context.Context, mfa.Transaction) (bool, error) { return false, d.Err }

// Remove implements mfa.AuthenticatorStore.
func (d Down) Remove(context.Context, mfa.Credential, []mfa.Authenticator, []string, audit.Event) error {
	return d.Err
}

// Account implements mfa.AuthenticatorStore.
func (d Down) Account(context.Context, string) (mfa.Account, error) { return mfa.Account{}, d.Err }

// CreateTransaction implements mfa.TransactionStore.
func (d Down) CreateTransaction(context.Context, mfa.Transaction) error { return d.Err }

// Transaction implements mfa.TransactionStore.
func (d Down) Transaction(context.Context, string) (mfa.Transaction, error) {
	return mfa.Transaction{}, d.Err
}

// EndTransaction implements mfa.TransactionStore.
func (d Down) EndTransaction(context.Context, string) error { return d.Err }

// Attempt implements throttle.Limiter.
func (d Down) Attempt(context.Context, throttle.Attempt, throttle.Limits) error { return d.Err }

// Append implements audit.Log.
func (d Down) Append(context.Context, audit.Event) error { return d.Err }
