package conformance

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// rotating is a client whose secret is replaced.
func (s *databaseSuite) rotating(t *testing.T) record.Client {
	t.Helper()
	c := client()
	c.ID, c.Confidential, c.ManagedBy, c.SecretHashes = "web", true, record.ManagedByAPI, []string{"zzz"}
	s.save(t, c)
	return c
}

// wantSecrets compares the live secrets, as both nodes see them, the newest first.
func (s *databaseSuite) wantSecrets(t *testing.T, want ...string) {
	t.Helper()
	if err := s.b.Tenant.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []Node{s.a, s.b} {
		if c, err := n.Registry.Client(t.Context(), "web"); err != nil || !slices.Equal(c.SecretHashes, want) {
			t.Errorf("secrets %v, %v, want %v", c.SecretHashes, err, want)
		}
	}
}

// secretsRotate: the clock stands still, and yet the newest secret is known.
func secretsRotate(t *testing.T, s *databaseSuite) {
	c := s.rotating(t)
	add := func(hash string, want bool) {
		t.Helper()
		if added, err := s.a.Secrets.AddClientSecret(t.Context(), "web", hash, s.changed("")); err != nil || added != want {
			t.Errorf("add %s: %v, %v, want %v", hash, added, err, want)
		}
	}
	drop := func(want bool) {
		t.Helper()
		if dropped, err := s.a.Secrets.DropOldSecrets(t.Context(), "web", s.changed("")); err != nil || dropped != want {
			t.Errorf("drop: %v, %v, want %v", dropped, err, want)
		}
	}
	drop(false)
	add("mmm", true)
	s.wantSecrets(t, "mmm", "zzz")
	before := s.a.State.Dump(t)
	add("aaa", false)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("a third secret left something behind:\n%s", difference(before, after))
	}
	drop(true)
	s.wantSecrets(t, "mmm")
	add("nnn", true)
	s.wantSecrets(t, "nnn", "mmm")

	c.SecretHashes = []string{"mmm"} // a save names all that are good
	s.save(t, c)
	s.wantSecrets(t, "mmm")
	for _, err := range []error{
		second(s.a.Secrets.AddClientSecret(t.Context(), "nobody", "x", s.changed(""))),
		second(s.a.Secrets.DropOldSecrets(t.Context(), "nobody", s.changed(""))),
	} {
		if fault.Of(err) != fault.NotFound {
			t.Errorf("an unknown client: %v", err)
		}
	}
}

func second(_ bool, err error) error { return err }

// raceSecret: however many add a secret at once, two are good.
func raceSecret(t *testing.T, s *databaseSuite) {
	s.rotating(t)
	var added atomic.Int64
	atBarrier(func(i int) {
		ok, err := s.node(i).Secrets.AddClientSecret(t.Context(), "web", numbered(i), s.changed(""))
		if err != nil {
			t.Error(err)
		}
		if ok {
			added.Add(1)
		}
	})
	if n := added.Load(); n != 1 {
		t.Errorf("%d were added, want 1", n)
	}
}
