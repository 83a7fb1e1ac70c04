package conformance

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

func keyTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"signing keys":           signingKeys,
		"50 make the first key":  raceFirstKey,
		"signing keys rotate":    signingKeysRotate,
		"50 rotate signing keys": raceKeyRotation,
		"retired keys are swept": retiredKeysSwept,
	}
}

// privateKey is a secret that no dump may show.
const privateKey = "private-key-that-nobody-sees"

func (s *databaseSuite) key(id, algorithm string) signer.Key {
	return signer.Key{ID: id, Algorithm: algorithm, Private: secret.New(privateKey + id), CreatedAt: s.now(), SignsAt: s.now()}
}

func (s *databaseSuite) addKeys(t *testing.T) {
	t.Helper()
	for _, algorithm := range []string{"ES256", "RS256"} {
		added, err := s.a.Keys.AddFirstSigningKey(t.Context(), s.key("kid-"+algorithm, algorithm))
		if err != nil || !added {
			t.Fatalf("%v, %v", added, err)
		}
		s.pass(time.Second)
	}
}

func signingKeys(t *testing.T, s *databaseSuite) {
	if keys, err := s.b.Keys.SigningKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v, want none", keys, err)
	}
	begin := s.now()
	s.addKeys(t)
	if added, err := s.b.Keys.AddFirstSigningKey(t.Context(), s.key("second", "ES256")); err != nil || added {
		t.Errorf("a second first key: %v, %v", added, err)
	}
	keys, err := s.b.Keys.SigningKeys(t.Context())
	if err != nil || len(keys) != 2 {
		t.Fatalf("%v, %v, want 2", keys, err)
	}
	first := keys[0]
	if first.ID != "kid-ES256" || first.Algorithm != "ES256" || !first.CreatedAt.Equal(begin) ||
		first.Private.Reveal() != privateKey+"kid-ES256" {
		t.Errorf("the oldest is %+v", first)
	}
	if n := s.events(t, audit.KeyCreated); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func raceFirstKey(t *testing.T, s *databaseSuite) {
	var won atomic.Int64
	atBarrier(func(i int) {
		added, err := s.node(i).Keys.AddFirstSigningKey(t.Context(), s.key(numbered(i), "ES256"))
		if err != nil {
			t.Errorf("add: %v", err)
		}
		if added {
			won.Add(1)
		}
	})
	if keys, err := s.a.Keys.SigningKeys(t.Context()); err != nil || len(keys) != 1 || won.Load() != 1 {
		t.Errorf("%d keys, %d added, %v, want one", len(keys), won.Load(), err)
	}
}

// fresh are keys that sign an hour from now.
func (s *databaseSuite) fresh(n string) []signer.Key {
	keys := []signer.Key{s.key(n+"-ES256", "ES256"), s.key(n+"-RS256", "RS256")}
	for i := range keys {
		keys[i].SignsAt = s.now().Add(time.Hour)
	}
	return keys
}

func (s *databaseSuite) rotate(t *testing.T, n string, want bool) {
	t.Helper()
	rotated, err := s.a.Rotator.RotateSigningKeys(t.Context(), s.fresh(n), s.now().Add(25*time.Hour))
	if err != nil || rotated != want {
		t.Errorf("rotated %v, %v, want %v", rotated, err, want)
	}
}

// wantKeys compares the ids of all keys, in the order in which they sign.
func (s *databaseSuite) wantKeys(t *testing.T, want ...string) []signer.Key {
	t.Helper()
	keys, err := s.b.Keys.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.ID)
		if k.Private.Reveal() != privateKey+k.ID {
			t.Errorf("%s has another private key", k.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	return keys
}

func signingKeysRotate(t *testing.T, s *databaseSuite) {
	s.addKeys(t)
	begin := s.now()
	s.rotate(t, "second", true)
	before := s.a.State.Dump(t)
	s.rotate(t, "third", false)
	s.pass(time.Hour - time.Millisecond)
	s.rotate(t, "third", false)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("a refused rotation left something behind:\n%s", difference(before, after))
	}
	for i, k := range s.wantKeys(t, "kid-ES256", "kid-RS256", "second-ES256", "second-RS256") {
		signs, retires := k.CreatedAt, begin.Add(25*time.Hour)
		if i >= 2 {
			signs, retires = begin.Add(time.Hour), time.Time{}
		}
		if !k.SignsAt.Equal(signs) || !k.RetiresAt.Equal(retires) {
			t.Errorf("%s signs at %v and retires at %v, want %v, %v", k.ID, k.SignsAt, k.RetiresAt, signs, retires)
		}
	}
	s.pass(time.Millisecond)
	s.rotate(t, "third", true)
	keys := s.wantKeys(t, "kid-ES256", "kid-RS256", "second-ES256", "second-RS256", "third-ES256", "third-RS256")
	if want := begin.Add(25 * time.Hour); !keys[0].RetiresAt.Equal(want) {
		t.Errorf("a second rotation moved the end of the first keys from %v to %v", want, keys[0].RetiresAt)
	}
	if n := s.events(t, audit.KeyCreated); n != 4 {
		t.Errorf("%d events, want 4", n)
	}
}

// raceKeyRotation: however many operators rotate at once, one does.
func raceKeyRotation(t *testing.T, s *databaseSuite) {
	s.addKeys(t)
	var won atomic.Int64
	atBarrier(func(i int) {
		rotated, err := s.node(i).Rotator.RotateSigningKeys(t.Context(), s.fresh(numbered(i)), s.now().Add(25*time.Hour))
		if err != nil {
			t.Errorf("rotate: %v", err)
		}
		if rotated {
			won.Add(1)
		}
	})
	if keys, err := s.a.Keys.SigningKeys(t.Context()); err != nil || len(keys) != 4 || won.Load() != 1 {
		t.Errorf("%d keys, %d rotations, %v, want 4 and one", len(keys), won.Load(), err)
	}
}

func retiredKeysSwept(t *testing.T, s *databaseSuite) {
	s.addKeys(t)
	s.rotate(t, "second", true)
	s.pass(25 * time.Hour)
	sweep := func() {
		t.Helper()
		if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	s.wantKeys(t, "kid-ES256", "kid-RS256", "second-ES256", "second-RS256")
	s.pass(time.Hour)
	sweep()
	s.wantKeys(t, "second-ES256", "second-RS256")
	s.rotate(t, "third", true) // the count of keys goes on
}
