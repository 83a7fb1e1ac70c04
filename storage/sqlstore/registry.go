package sqlstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// viewAge is how long a view may be used without word that its revision still holds. It
// is what makes a client that was disabled refused within a second everywhere: however
// late a node looks at the revision, and whatever keeps it from looking, a request uses
// no view older than this, and what remains of the second is for requests under way. A
// node that cannot read the revision answers 503 (I4). That costs nothing: without the
// database no grant, no /mfa/ endpoint and no introspection has an answer anyway.
const viewAge = 750 * time.Millisecond

// registry holds the clients and APIs of one revision in memory.
type registry struct {
	mu      sync.RWMutex
	current *view
	loading sync.Mutex // one load at a time
}

type view struct {
	revision int64
	checked  time.Time // when the latest look at the revision began
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
	asked := s.now()
	if v := s.registry.fresh(asked); v != nil {
		return v, nil
	}
	// The revision is read first: what changes meanwhile leaves the view with an older
	// revision than its content, and the next look at the revision drops it.
	revision, err := s.revision(ctx)
	if err != nil {
		return nil, err
	}
	if v := s.registry.confirm(revision, asked); v != nil {
		return v, nil
	}
	v, err := s.load(ctx, revision, asked)
	if err != nil {
		return nil, err
	}
	s.registry.replace(v)
	return v, nil
}

func (s *Store) load(ctx context.Context, revision int64, asked time.Time) (*view, error) {
	clients, err := s.Clients(ctx)
	if err != nil {
		return nil, err
	}
	apis, err := s.APIs(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{
		revision: revision, checked: asked,
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

// confirm notes the revision that was read since asked. It returns the view of that
// revision, and drops one of another.
func (r *registry) confirm(revision int64, asked time.Time) *view {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil || r.current.revision != revision {
		r.current = nil
		return nil
	}
	renewed := *r.current
	renewed.checked = asked
	r.current = &renewed
	return r.current
}

func (r *registry) replace(v *view) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = v
}

func (r *registry) drop() { r.replace(nil) }
