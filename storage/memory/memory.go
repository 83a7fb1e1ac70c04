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
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

// DefaultMax is how many entries a store holds when Options do not say. With entries
// of about one KB it is 100 MB.
const DefaultMax = 100_000

// retryAfter is what a client is told when the store cannot take its login.
const retryAfter = 2 * time.Second

// Options are the choices one has.
type Options struct {
	Max int              // entries held at once; 0: DefaultMax
	Now func() time.Time // nil: time.Now
}

// Store keeps in process what is short-lived. It is safe for concurrent use.
type Store struct {
	now func() time.Time
	max int

	mu       sync.Mutex
	entries  map[key]*entry
	expiries expiries

	listening sync.Mutex
	listeners map[*func(id string)]struct{}
}

// New makes an empty store.
func New(o Options) *Store {
	s := &Store{now: o.Now, max: o.Max, entries: map[key]*entry{}, listeners: map[*func(string)]struct{}{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.max == 0 {
		s.max = DefaultMax
	}
	return s
}

// keep makes an entry. A full store is fault.Unavailable with a time to come back.
func (s *Store) keep(ctx context.Context, e *entry, value any) error {
	operation := "create " + e.key.what
	if err := ctx.Err(); err != nil {
		return unavailable(operation, err)
	}
	now := s.now()
	if e.expired(now) {
		return fmt.Errorf("memory: %s: it has expired already", operation)
	}
	// Text and not the value, so that nothing is shared with the caller, and that it comes
	// back as it does from Redis.
	var err error
	if e.text, err = json.Marshal(value); err != nil {
		return fmt.Errorf("memory: %s: %w", operation, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropExpired(now)
	if _, ok := s.entries[e.key]; ok {
		return fmt.Errorf("memory: %s: the id exists already", operation)
	}
	if len(s.entries) >= s.max {
		return unavailable(operation, fmt.Errorf("%d entries are held, which is the limit", s.max))
	}
	s.entries[e.key] = e
	heap.Push(&s.expiries, e)
	return nil
}

// load reads the value of an entry.
func (s *Store) load(ctx context.Context, k key, value any) error {
	if err := ctx.Err(); err != nil {
		return unavailable(k.what, err)
	}
	s.mu.Lock()
	e, err := s.living(k, s.now())
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(e.text, value); err != nil {
		return fmt.Errorf("memory: %s: %w", k.what, err)
	}
	return nil
}

// living returns an entry that has not expired, or fault.NotFound; mu is held.
func (s *Store) living(k key, now time.Time) (*entry, error) {
	e, ok := s.entries[k]
	if !ok || e.expired(now) {
		return nil, fmt.Errorf("memory: %s: %w", k.what, fault.NotFound)
	}
	return e, nil
}

// dropExpired forgets what has expired; mu is held.
func (s *Store) dropExpired(now time.Time) {
	for len(s.expiries) > 0 && s.expiries[0].expired(now) {
		delete(s.entries, s.expiries[0].key)
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
