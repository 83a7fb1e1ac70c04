package sqlstore_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// rings are one before a rotation, in the middle of it and after it.
type rings struct{ old, both, fresh *secret.Ring }

func newRings(t testing.TB) rings {
	t.Helper()
	r := rings{old: newRing(t)}
	var err error
	if r.both, err = r.old.WithFreshKey(noon); err != nil {
		t.Fatal(err)
	}
	if r.fresh, err = r.both.Only(r.both.Newest()); err != nil {
		t.Fatal(err)
	}
	return r
}

// again is a ring as another node reads it.
func again(t testing.TB, r *secret.Ring) *secret.Ring {
	t.Helper()
	copied := newRing(t)
	path := t.TempDir() + "/ring.json"
	err := r.Save(path)
	if err == nil {
		copied, err = secret.LoadRing(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// nodes open stores on one database, each with a ring.
type nodes struct {
	t       *testing.T
	url     string
	elapsed atomic.Int64
}

func (n *nodes) now() time.Time { return noon.Add(time.Duration(n.elapsed.Load())) }

func (n *nodes) open(ring *secret.Ring) *sqlstore.Store { return open(n.t, n.url, ring, n.now) }

// hold says which key must seal on the node after it held its ring.
func (n *nodes) hold(s *sqlstore.Store, node string, ring *secret.Ring, want string) {
	n.t.Helper()
	if err := s.HoldRing(n.t.Context(), node); err != nil {
		n.t.Fatalf("%s: %v", node, err)
	}
	if got := ring.Sealing(); got != want {
		n.t.Errorf("%s seals with %s, want %s", node, got, want)
	}
}

// A new key seals once every node that runs opens with it, and not before.
func TestSealingKeyIsChosen(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			n, r := &nodes{t: t, url: fresh(t)}, newRings(t)
			old, chosen := r.old.Sealing(), r.both.Newest()
			a, b := n.open(r.both), n.open(r.old)
			n.hold(b, "b", r.old, old)
			n.hold(a, "a", r.both, old)
			n.hold(b, "b", r.old, old)
			n.hold(a, "a", r.both, old) // b lacks the new one
			if err := r.old.Adopt(again(t, r.both)); err != nil {
				t.Fatal(err)
			}
			n.hold(b, "b", r.old, chosen)
			n.hold(a, "a", r.both, chosen)
			id, since, err := a.SealingKey(t.Context())
			if err != nil || id != chosen || since.Before(noon) {
				t.Errorf("%s seals since %v, %v", id, since, err)
			}

			late, err := r.both.Only(old)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.open(late).HoldRing(t.Context(), "late"); !errors.Is(err, secret.ErrSealed) {
				t.Errorf("a node that lacks the key that seals: %v", err)
			}
			if all, err := a.Holders(t.Context()); err != nil || len(all) != 2 || all[0].Sealing != chosen || !slices.Equal(all[1].Keys, r.both.Keys()) {
				t.Errorf("holders %+v, %v", all, err)
			}
		})
	}
}

// Nodes that stopped, or were not heard of for a minute, are not waited for.
func TestHoldersGo(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			n, r := &nodes{t: t, url: fresh(t)}, newRings(t)
			old, chosen := r.old.Sealing(), r.both.Newest()
			behind, a := n.open(again(t, r.old)), n.open(r.both)
			for _, node := range []string{"stopped", "killed"} {
				if err := behind.HoldRing(t.Context(), node); err != nil {
					t.Fatal(err)
				}
			}
			if err := behind.LeaveRing(t.Context(), "stopped"); err != nil {
				t.Fatal(err)
			}
			n.elapsed.Store(int64(sqlstore.HolderLife - time.Millisecond))
			n.hold(a, "a", r.both, old)
			n.elapsed.Store(int64(sqlstore.HolderLife))
			n.hold(a, "a", r.both, chosen)
			if all, err := a.Holders(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("holders %+v, %v", all, err)
			}
		})
	}
}

// However nodes with old and new rings come together, none goes on that cannot open what
// the others seal.
func TestRaceForTheSealingKey(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			n, r := &nodes{t: t, url: fresh(t)}, newRings(t)
			stores := []*sqlstore.Store{n.open(r.old), n.open(r.both)}
			n.hold(stores[0], "first", r.old, r.old.Sealing())
			if err := stores[0].LeaveRing(t.Context(), "first"); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var refused atomic.Int64
			for i := range 50 {
				all.Go(func() {
					switch err := stores[i%2].HoldRing(t.Context(), fmt.Sprint("node", i)); {
					case errors.Is(err, secret.ErrSealed):
						refused.Add(1)
					case err != nil:
						t.Error(err)
					}
				})
			}
			all.Wait()
			sealing, _, err := stores[0].SealingKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			holders, err := stores[0].Holders(t.Context())
			if err != nil || len(holders)+int(refused.Load()) != 50 {
				t.Errorf("%d nodes hold a ring and %d were refused, %v", len(holders), refused.Load(), err)
			}
			for _, h := range holders {
				if !slices.Contains(h.Keys, sealing) {
					t.Errorf("%s lacks %s, which seals", h.Node, sealing)
				}
			}
		})
	}
}

// seeds gives people authenticators with seeds and addresses.
func seeds(t *testing.T, s *sqlstore.Store, people int) {
	t.Helper()
	for i := range people {
		who := fmt.Sprintf("user%03d", i)
		create(t, s, identity.User{ID: who, Username: who})
		a := mfa.Authenticator{ID: "totp|" + who, Subject: who, Type: mfa.OTP, Secret: secret.New("SEED" + who),
			Address: secret.New("ADDRESS" + who), CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
		if err := s.Associate(t.Context(), halfway(t, s, who), nil, []mfa.Authenticator{a}, audit.Event{}); err != nil {
			t.Fatal(err)
		}
	}
}

// phones gives each of the people of seeds a device.
func phones(t *testing.T, s *sqlstore.Store, people int) {
	t.Helper()
	for i := range people {
		who := fmt.Sprintf("user%03d", i)
		a := mfa.Authenticator{ID: "push|" + who, Subject: who, Type: mfa.OOB, Channel: "auth0", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
		seen, err := s.Authenticators(t.Context(), who, noon)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Associate(t.Context(), halfway(t, s, who), seen, []mfa.Authenticator{a}, audit.Event{}); err != nil {
			t.Fatal(err)
		}
		d := oob.Device{ID: who, Authenticator: a.ID, Subject: who, Endpoint: oob.Endpoint{Service: "GCM", Token: secret.New("ENDPOINT" + who)}}
		if err := s.EnrollDevice(t.Context(), d, noon, audit.Event{At: noon}); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything is sealed anew, whatever happens meanwhile, and opens without the old key.
func TestReseal(t *testing.T) {
	const people = 60 // more than are read at a time
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			n, r := &nodes{t: t, url: fresh(t)}, newRings(t)
			old := r.old.Sealing()
			a, b := n.open(r.both), n.open(again(t, r.both))
			if err := a.HoldRing(t.Context(), "a"); err != nil { // alone, it chooses the new key
				t.Fatal(err)
			}
			before := n.open(r.old) // sealed before the rotation
			seeds(t, before, people)
			phones(t, before, people)
			k := signer.Key{ID: "kid", Algorithm: "ES256", Private: secret.New("PRIVATE-KEY"), CreatedAt: noon}
			if _, err := before.AddFirstSigningKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			if rows, err := before.Reseal(t.Context()); err != nil || rows != 0 {
				t.Errorf("a node that was not told yet sealed %d rows anew, %v", rows, err)
			}
			want := []sqlstore.Sealed{{What: "authenticators", Rows: people}, {What: "addresses", Rows: people}, {What: "push tokens", Rows: people}, {What: "signing keys", Rows: 1}}
			if left, err := a.SealedWith(t.Context(), old); err != nil || !slices.Equal(left, want) {
				t.Errorf("sealed with the old key: %v, %v, want %v", left, err, want)
			}
			if left, err := a.SealedElsewhere(t.Context(), r.fresh.Keys()); err != nil || !slices.Equal(left, want) {
				t.Errorf("not sealed with the new key: %v, %v, want %v", left, err, want)
			}

			if err := b.FollowRing(t.Context()); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var rows atomic.Int64
			for _, s := range []*sqlstore.Store{a, b} {
				all.Go(func() {
					done, err := s.Reseal(t.Context())
					if err != nil {
						t.Error(err)
					}
					rows.Add(int64(done))
				})
			}
			all.Go(func() { // somebody removes factors meanwhile
				for i := 0; i < people; i += 2 {
					if _, err := b.ResetFactors(t.Context(), fmt.Sprintf("user%03d", i), audit.Event{At: noon}); err != nil {
						t.Error(err)
					}
				}
			})
			all.Wait()
			if n := rows.Load(); n < people*3/2+1 || n > 3*people+1 {
				t.Errorf("%d rows were sealed anew", n)
			}
			for _, s := range []func() ([]sqlstore.Sealed, error){
				func() ([]sqlstore.Sealed, error) { return a.SealedWith(t.Context(), old) },
				func() ([]sqlstore.Sealed, error) { return a.SealedElsewhere(t.Context(), r.fresh.Keys()) },
			} {
				if left, err := s(); err != nil || len(left) > 0 {
					t.Errorf("left: %v, %v", left, err)
				}
			}
			after := n.open(r.fresh)
			for i := range people {
				who := fmt.Sprintf("user%03d", i)
				got, err := after.Authenticators(t.Context(), who, noon)
				if err != nil || len(got) != i%2*2 || len(got) == 2 &&
					(got[1].Secret.Reveal() != "SEED"+who || got[1].Address.Reveal() != "ADDRESS"+who) {
					t.Fatalf("%s has %d authenticators, %v", who, len(got), err)
				}
				if d, err := after.Device(t.Context(), who); i%2 == 1 && (err != nil || d.Endpoint.Token.Reveal() != "ENDPOINT"+who) {
					t.Fatalf("the device of %s: %v", who, err)
				}
			}
			if keys, err := after.SigningKeys(t.Context()); err != nil || keys[0].Private.Reveal() != "PRIVATE-KEY" {
				t.Errorf("the signing key: %v", err)
			}
		})
	}
}
