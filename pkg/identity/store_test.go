package identity_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

// people is a user store in memory that keeps the contract of identity.UserStore.
type people struct {
	mu       sync.Mutex
	rows     map[string]*person // by normalized identifier
	down     error              // answers every look-up when set
	readOnly error              // answers every replacement when set
	replaced int                // hashes really replaced
}

type person struct {
	user identity.User
	hash string
}

func (p *people) UserByIdentifier(_ context.Context, connection, normalized string) (identity.User, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		return identity.User{}, "", p.down
	}
	row := p.rows[normalized]
	if row == nil || connection != identity.DefaultConnection {
		return identity.User{}, "", fault.NotFound
	}
	return row.user, row.hash, nil
}

func (p *people) ReplacePasswordHash(_ context.Context, userID, from, to string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readOnly != nil {
		return p.readOnly
	}
	for _, row := range p.rows {
		if row.user.ID == userID && row.hash == from {
			row.hash = to
			p.replaced++
		}
	}
	return nil
}

func (p *people) HashOfEachCost(_ context.Context, limit int) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		return nil, p.down
	}
	var out []string
	seen := map[string]bool{"": true}
	for _, row := range p.rows {
		if cost := identity.Cost(row.hash); !seen[cost] && len(out) < limit {
			seen[cost] = true
			out = append(out, row.hash)
		}
	}
	return out, nil
}

func (p *people) hash(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rows[name].hash
}

// cheap is as little as argon2id can cost, for tests that are not about cost.
var cheap = identity.Params{Memory: 8, Time: 1, Threads: 1}

// house is a verifier with its store and gate.
type house struct {
	*identity.Passwords
	store *people
	gate  *identity.Gate
	later *time.Duration // how much the clock has moved
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("CET", 3600))

func newHouse(t *testing.T) house {
	t.Helper()
	h := house{store: &people{rows: map[string]*person{}}, gate: identity.NewGate(2, 64), later: new(time.Duration)}
	var err error
	h.Passwords, err = identity.NewPasswords(identity.Options{
		Users: h.store, Gate: h.gate, Params: cheap,
		Now: func() time.Time { return noon.Add(*h.later) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// add stores a person with a ready hash, which may be empty.
func (h house) add(name, hash string) {
	h.store.rows[name] = &person{user: identity.User{ID: "id|" + name, Username: name}, hash: hash}
}

// enroll stores a person with a hash of the house's own making.
func (h house) enroll(t *testing.T, name, password string) {
	t.Helper()
	hash, err := h.Hash(t.Context(), secret.New(password))
	if err != nil {
		t.Fatal(err)
	}
	h.add(name, hash)
}

// login returns the kind of the failure, empty for success, and how many hashings it took.
func (h house) login(t *testing.T, name, password string) (fault.Kind, uint64) {
	t.Helper()
	before := h.gate.Runs()
	_, err := h.Verify(t.Context(), identity.Credentials{Username: name, Password: secret.New(password)})
	runs := h.gate.Runs() - before
	if err == nil {
		return "", runs
	}
	return fault.Of(err), runs
}
