// Package memory is the state store of a gateway that runs as one process: what
// "redis.url: embedded:" means. It holds what storage/redis holds, behind the same
// interfaces, and forgets it when the process ends; then subjects log in again.
//
// It is bounded: a flood of logins is refused before it takes the machine's memory.
// It needs no goroutine, for what has expired goes when something new comes.
package memory

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// DefaultMax is how many entries a store holds when Options do not say. With entries
// of about one KB it is 100 MB.
const DefaultMax = 100_000

// retryAfter is what a client is told when the store cannot take its login.
const retryAfter = 2 * time.Second

var _ mfa.TransactionStore = (*Store)(nil)

// Options are the choices one has.
type Options struct {
	Max int              // entries held at once; 0: DefaultMax
	Now func() time.Time // nil: time.Now
}

// Store keeps transactions in process. It is safe for concurrent use.
type Store struct {
	now func() time.Time
	max int

	mu       sync.Mutex
	entries  map[string]*entry
	expiries expiries
}

// New makes an empty store.
func New(o Options) *Store {
	s := &Store{now: o.Now, max: o.Max, entries: map[string]*entry{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.max == 0 {
		s.max = DefaultMax
	}
	return s
}

// CreateTransaction implements mfa.TransactionStore. A full store is fault.Unavailable
// with a time to come back.
func (s *Store) CreateTransaction(ctx context.Context, t mfa.Transaction) error {
	if err := ctx.Err(); err != nil {
		return unavailable("create transaction", err)
	}
	now := s.now()
	if t.Expired(now) {
		return errors.New("memory: create transaction: it has expired already")
	}
	// Text and not the value, so that nothing is shared with the caller, and that a
	// transaction comes back as it does from Redis.
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("memory: create transaction: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropExpired(now)
	if _, ok := s.entries[t.ID]; ok {
		return errors.New("memory: create transaction: the id exists already")
	}
	if len(s.entries) >= s.max {
		return unavailable("create transaction", fmt.Errorf("%d entries are held, which is the limit", s.max))
	}
	e := &entry{id: t.ID, text: text, expiresAt: t.ExpiresAt}
	s.entries[t.ID] = e
	heap.Push(&s.expiries, e)
	return nil
}

// Transaction implements mfa.TransactionStore.
func (s *Store) Transaction(ctx context.Context, id string) (mfa.Transaction, error) {
	if err := ctx.Err(); err != nil {
		return mfa.Transaction{}, unavailable("transaction", err)
	}
	s.mu.Lock()
	e, ok := s.entries[id]
	s.mu.Unlock()
	if !ok || e.expired(s.now()) {
		return mfa.Transaction{}, fmt.Errorf("memory: transaction: %w", fault.NotFound)
	}
	var t mfa.Transaction
	if err := json.Unmarshal(e.text, &t); err != nil {
		return mfa.Transaction{}, fmt.Errorf("memory: transaction: %w", err)
	}
	return t, nil
}

// EndTransaction implements mfa.TransactionStore.
func (s *Store) EndTransaction(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return unavailable("end transaction", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[id]; ok {
		delete(s.entries, id)
		heap.Remove(&s.expiries, e.place)
	}
	return nil
}

// dropExpired forgets what has expired; mu is held.
func (s *Store) dropExpired(now time.Time) {
	for len(s.expiries) > 0 && s.expiries[0].expired(now) {
		delete(s.entries, s.expiries[0].id)
		heap.Pop(&s.expiries)
	}
}

func unavailable(operation string, err error) error {
	return &fault.Details{
		Kind: fault.Unavailable, RetryAfter: retryAfter, Err: fmt.Errorf("memory: %s: %w", operation, err),
	}
}

// Ping reports that the store is there, which it always is.
func (*Store) Ping(context.Context) error { return nil }

// Close does nothing: there is nothing to let go of.
func (*Store) Close() error { return nil }
