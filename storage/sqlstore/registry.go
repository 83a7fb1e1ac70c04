package sqlstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// viewAge is how long a view may be used without word that its revision still holds:
// a node that cannot read the revision must not outlive a revocation.
const viewAge = 3 * time.Second

// registry holds the clients and APIs of one revision in memory.
type registry struct {
	mu      sync.RWMutex
	current *view
	loading sync.Mutex // one load at a time
}

type view struct {
	revision int64
	checked  time.Time
	clients  map[string]record.Client
	apis     map[string]record.API
	origins  map[string]bool // of the clients that are not disabled
}

var _ record.Registry = (*Store)(nil)

// Client implements record.Registry. What it returns is shared and must not be
// changed.
func (s *Store) Client(ctx context.Context, id string) (record.Client, error) {
	v, err := s.view(ctx)
	if err != nil {
		return record.Client{}, err
	}
	c, ok := v.clients[id]
	if !ok {
		return record.Client{}, fmt.Errorf("sqlstore: find the client: %w", fault.NotFound)
	}
	return c, nil
}

// API implements record.Registry. What it returns is shared and must not be changed.
func (s *Store) API(ctx context.Context, audience string) (record.API, error) {
	v, err := s.view(ctx)
	if err != nil {
		return record.API{}, err
	}
	a, ok := v.apis[audience]
	if !ok {
		return record.API{}, fmt.Errorf("sqlstore: find the API: %w", fault.NotFound)
	}
	return a, nil
}

// HasOrigin reports whether a client that is not disabled has the web origin, exactly as
// it is written.
func (s *Store) HasOrigin(ctx context.Context, origin string) (bool, error) {
	v, err := s.view(ctx)
	if err != nil {
		return false, err
	}
	return v.origins[origin], nil
}

func (s *Store) view(ctx context.Context) (*view, error) {
	if v := s.registry.fresh(s.now()); v != nil {
		return v, nil
	}
	s.registry.loading.Lock()
	defer s.registry.loading.Unlock()
	now := s.now()
	if v := s.registry.fresh(now); v != nil {
		return v, nil
	}
	v, err := s.load(ctx, now)
	if err != nil {
		return nil, err
	}
	s.registry.replace(v)
	return v, nil
}

// load reads the revision first: what changes meanwhile leaves the view with an older
// revision than its content, and the next look at the revision drops it.
func (s *Store) load(ctx context.Context, now time.Time) (*view, error) {
	revision, err := s.revision(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := s.Clients(ctx)
	if err != nil {
		return nil, err
	}
	apis, err := s.APIs(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{
		revision: revision, checked: now,
		clients: map[string]record.Client{}, apis: map[string]record.API{}, origins: map[string]bool{},
	}
	for _, c := range clients {
		v.clients[c.ID] = c
		for _, o := range c.Origins {
			v.origins[o] = v.origins[o] || !c.Disabled
		}
	}
	for _, a := range apis {
		v.apis[a.Audience] = a
	}
	return v, nil
}

// fresh returns the view while it may be used.
func (r *registry) fresh(now time.Time) *view {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.current == nil {
		return nil
	}
	// A clock that was set back proves nothing about the age.
	if age := now.Sub(r.current.checked); age < 0 || age > viewAge {
		return nil
	}
	return r.current
}

// confirm notes that the revision was read, and drops the view of another one.
func (r *registry) confirm(revision int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.current == nil:
	case r.current.revision != revision:
		r.current = nil
	default:
		renewed := *r.current
		renewed.checked = now
		r.current = &renewed
	}
}

func (r *registry) replace(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = v
}

func (r *registry) drop() { r.replace(nil) }
