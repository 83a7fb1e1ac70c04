package signer_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/signer"
)

var algorithms = []string{signer.ES256, signer.RS256}

func TestRoundTrip(t *testing.T) {
	s, store := ready(t)
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			token := mustSign(t, s, alg, "at+jwt")
			kid := store.key(t, alg).ID

			header := members(t, unb64(t, strings.Split(token, ".")[0]))
			want := map[string]any{"alg": alg, "kid": kid, "typ": "at+jwt"}
			if !reflect.DeepEqual(header, want) {
				t.Errorf("header %v, want %v", header, want)
			}
			if err := checkSignature(t, token, published(t, s.JWKS(), kid)); err != nil {
				t.Errorf("the standard library refuses it: %v", err)
			}
			var claims struct {
				Sub string
				Aud []string
			}
			if err := s.Verify(t.Context(), token, "AT+JWT", &claims); err != nil {
				t.Fatal(err)
			}
			if claims.Sub != "auth0|alice" || !slices.Equal(claims.Aud, []string{"a", "b"}) {
				t.Errorf("claims %+v", claims)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	s, _ := ready(t)
	for _, alg := range []string{"", "none", "HS256", "PS256", "es256"} {
		if token, err := s.Sign(alg, "JWT", map[string]any{}); err == nil {
			t.Errorf("algorithm %q: signed %q", alg, token)
		}
	}
	if _, err := s.Sign(signer.ES256, "JWT", map[string]any{"f": func() {}}); err == nil {
		t.Error("claims that are not JSON were signed")
	}
}

func TestJWKSIsPublic(t *testing.T) {
	s, store := ready(t)
	if got := len(members(t, s.JWKS())["keys"].([]any)); got != len(algorithms) {
		t.Fatalf("%d keys are published, want %d", got, len(algorithms))
	}
	want := map[string][]string{
		signer.ES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
		signer.RS256: {"alg", "e", "kid", "kty", "n", "use"},
	}
	for _, alg := range algorithms {
		kept := store.key(t, alg)
		key := published(t, s.JWKS(), kept.ID)
		var names []string
		for name := range key {
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, want[alg]) {
			t.Errorf("%s: members %v, want %v", alg, names, want[alg])
		}
		if key["alg"] != alg || key["use"] != "sig" {
			t.Errorf("%s: alg %v, use %v", alg, key["alg"], key["use"])
		}
		if strings.Contains(string(s.JWKS()), members(t, []byte(kept.Private.Reveal()))["d"].(string)) {
			t.Errorf("%s: the private exponent is published", alg)
		}
	}
}

func TestKeysAreNamedByThumbprint(t *testing.T) {
	s, store := ready(t)
	for alg, form := range map[string]string{
		signer.ES256: `{"crv":"%[1]v","kty":"EC","x":"%[2]v","y":"%[3]v"}`,
		signer.RS256: `{"e":"%[4]v","kty":"RSA","n":"%[5]v"}`,
	} {
		k := store.key(t, alg)
		p := published(t, s.JWKS(), k.ID)
		text := fmt.Sprintf(form, p["crv"], p["x"], p["y"], p["e"], p["n"])
		sum := sha256.Sum256([]byte(text))
		if want := b64(sum[:]); k.ID != want {
			t.Errorf("%s: kid %q, want the RFC 7638 thumbprint %q", alg, k.ID, want)
		}
		if want := start.Truncate(time.Millisecond); !k.CreatedAt.Equal(want) {
			t.Errorf("%s: created at %v, want %v", alg, k.CreatedAt, want)
		}
	}
}

func TestNodesThatStartTogetherAgree(t *testing.T) {
	store := &keptKeys{}
	nodes := make([]*signer.Signer, 4)
	var all sync.WaitGroup
	for i := range nodes {
		nodes[i] = newSigner(store)
		all.Go(func() {
			if err := nodes[i].EnsureKeys(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(store.keys) != len(algorithms) {
		t.Fatalf("%d keys were made, want %d", len(store.keys), len(algorithms))
	}
	for _, n := range nodes[1:] {
		if string(n.JWKS()) != string(nodes[0].JWKS()) {
			t.Error("two nodes publish different keys")
		}
		for _, alg := range algorithms {
			if err := n.Verify(t.Context(), mustSign(t, nodes[0], alg, "JWT"), "JWT", &map[string]any{}); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
	}
}

func TestEnsureKeysKeepsWhatIsThere(t *testing.T) {
	s, store := ready(t)
	before := string(s.JWKS())
	if err := newSigner(store).EnsureKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(s.JWKS()); got != before {
		t.Errorf("a second start changed the keys: %s", got)
	}
}

func TestNewestKeySignsAndOldOnesVerify(t *testing.T) {
	s, store := ready(t)
	_, other := ready(t)
	old := mustSign(t, s, signer.ES256, "JWT")
	newer := other.key(t, signer.ES256)
	store.append(newer)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := mustSign(t, s, signer.ES256, "JWT")
	if kid := members(t, unb64(t, strings.Split(token, ".")[0]))["kid"]; kid != newer.ID {
		t.Errorf("signed by %v, want the newest key %q", kid, newer.ID)
	}
	for _, tok := range []string{old, token} {
		if err := s.Verify(t.Context(), tok, "JWT", &map[string]any{}); err != nil {
			t.Error(err)
		}
	}
}

func TestBeforeKeysAreLoaded(t *testing.T) {
	s := newSigner(&keptKeys{})
	if _, err := s.Sign(signer.ES256, "JWT", nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Sign: %v, want unavailable", err)
	}
	if err := s.Verify(t.Context(), "a.b.c", "JWT", &map[string]any{}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Verify: %v, want unavailable", err)
	}
	if got := string(s.JWKS()); got != `{"keys":[]}` {
		t.Errorf("JWKS %s", got)
	}
	if err := s.Reload(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Reload of an empty store: %v, want unavailable", err)
	}
}

func TestBrokenStoreChangesNothing(t *testing.T) {
	s, store := ready(t)
	before := string(s.JWKS())
	token := mustSign(t, s, signer.ES256, "JWT")
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want unavailable", what, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error quotes the key: %v", what, err)
		}
		if string(s.JWKS()) != before || s.Verify(t.Context(), token, "JWT", &map[string]any{}) != nil {
			t.Errorf("%s: the keys in use changed", what)
		}
	}
	store.fail(errDown)
	err := s.Reload(t.Context())
	check("store down", err)
	if !errors.Is(err, errDown) {
		t.Errorf("%v does not tell the cause", err)
	}
	check("store down at start", s.EnsureKeys(t.Context()))
	store.fail(nil)

	_, other := ready(t)
	swapped := other.key(t, signer.ES256)
	swapped.Algorithm = signer.RS256
	for what, bad := range map[string]signer.Key{
		"damaged":         damaged("x", signer.ES256),
		"wrong algorithm": swapped,
		"no secret":       {ID: "y", Algorithm: signer.ES256},
		"too short":       weakRSA(t),
		"other curve":     widerCurve(t),
	} {
		kept := slices.Clone(store.keys)
		store.append(bad)
		check(what, s.Reload(t.Context()))
		store.keys = kept
	}
}

func TestUseWhileReloading(t *testing.T) {
	s, _ := ready(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if err := s.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 20 {
				token := mustSign(t, s, signer.ES256, "JWT")
				if err := s.Verify(t.Context(), token, "JWT", &map[string]any{}); err != nil {
					t.Error(err)
				}
				s.JWKS()[0] = 'x' // a copy: nobody else sees it
			}
		})
	}
	all.Wait()
	members(t, s.JWKS())
}

func BenchmarkSign(b *testing.B) {
	s, _ := ready(b)
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				mustSign(b, s, alg, "at+jwt")
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s, _ := ready(b)
	for _, alg := range algorithms {
		token := mustSign(b, s, alg, "at+jwt")
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				if err := s.Verify(b.Context(), token, "at+jwt", &map[string]any{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
