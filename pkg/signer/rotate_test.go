package signer_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/signer"
)

// wound is a signer with a clock that is wound by hand.
type wound struct {
	*signer.Signer
	now time.Time
}

func newWound(t testing.TB, store signer.KeyStore) *wound {
	t.Helper()
	w := &wound{now: start}
	w.Signer = signer.New(signer.Options{Store: store, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler)})
	if err := w.EnsureKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// kid is the key that a token names.
func kid(t testing.TB, token string) string {
	t.Helper()
	id, _ := members(t, unb64(t, strings.Split(token, ".")[0]))["kid"].(string)
	return id
}

// kids are the published keys.
func kids(t testing.TB, jwks []byte) []string {
	t.Helper()
	var ids []string
	for _, k := range members(t, jwks)["keys"].([]any) {
		ids = append(ids, k.(map[string]any)["kid"].(string))
	}
	return ids
}

func rotate(t testing.TB, store *keptKeys, now time.Time, want bool) signer.Schedule {
	t.Helper()
	s, rotated, err := signer.Rotate(t.Context(), store, now)
	if err != nil || rotated != want {
		t.Fatalf("rotated %v, %v, want %v", rotated, err, want)
	}
	return s
}

// O-JW-3, I10: whoever fetches the keys at any moment, and keeps them as long as it may,
// verifies every token that is good then.
func TestRotation(t *testing.T) {
	store := &keptKeys{}
	w := newWound(t, store)
	type token struct {
		text string
		at   time.Time
	}
	var tokens []token
	cached, fetched := w.JWKS(), w.now
	check := func() {
		t.Helper()
		if w.now.Sub(fetched) >= signer.CacheLife {
			cached, fetched = w.JWKS(), w.now
		}
		for _, alg := range algorithms {
			tokens = append(tokens, token{mustSign(t, w.Signer, alg, "JWT"), w.now})
		}
		tokens = slices.DeleteFunc(tokens, func(k token) bool { return w.now.Sub(k.at) >= signer.LongestLife })
		for _, set := range [][]byte{cached, w.JWKS()} {
			keys, err := signer.ParsePublishedKeys(set)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range tokens {
				if err := keys.Verify(k.text, []string{"JWT"}, &struct{}{}); err != nil {
					t.Fatalf("%v after the beginning, a token of %v before: %v", w.now.Sub(start), w.now.Sub(k.at), err)
				}
			}
		}
	}
	check()
	old := kid(t, tokens[0].text)
	plan := rotate(t, store, w.now, true)
	rotate(t, store, w.now, false)
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(kids(t, w.JWKS())); n != 2*len(algorithms) {
		t.Errorf("%d keys are published before they sign, want %d", n, 2*len(algorithms))
	}
	if wait := plan.SignsAt.Sub(w.now); wait < signer.CacheLife+time.Minute {
		t.Errorf("the fresh keys sign after %v already", wait)
	}
	for w.now.Before(plan.SignsAt) { // a minute at a time
		check()
		if got := kid(t, mustSign(t, w.Signer, signer.ES256, "JWT")); got != old {
			t.Fatalf("a fresh key signs %v before its time", plan.SignsAt.Sub(w.now))
		}
		w.now = w.now.Add(time.Minute)
	}
	for w.now = plan.SignsAt; w.now.Before(plan.RetiresAt); w.now = w.now.Add(time.Hour) {
		check()
		if got := kid(t, mustSign(t, w.Signer, signer.ES256, "JWT")); got == old {
			t.Fatal("the old key signs on")
		}
	}
	late := mustSign(t, w.Signer, signer.ES256, "JWT")
	if !slices.Contains(kids(t, w.JWKS()), old) && w.now.Before(plan.RetiresAt) {
		t.Error("the old key is not published any more")
	}
	w.now = plan.RetiresAt
	check()
	if slices.Contains(kids(t, w.JWKS()), old) || len(kids(t, w.JWKS())) != len(algorithms) {
		t.Error("the old key is published still")
	}
	if err := w.Verify(t.Context(), late, "JWT", &struct{}{}); err != nil {
		t.Error(err)
	}
	rotate(t, store, w.now, true)
}

// A key that retired verifies nothing more, also where nothing was loaded again.
func TestRetiredKeyVerifiesNothing(t *testing.T) {
	store := &keptKeys{}
	w := newWound(t, store)
	token := mustSign(t, w.Signer, signer.RS256, "JWT")
	plan := rotate(t, store, w.now, true)
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.now = plan.RetiresAt.Add(-time.Millisecond)
	if err := w.Verify(t.Context(), token, "JWT", &struct{}{}); err != nil {
		t.Error(err)
	}
	w.now = plan.RetiresAt
	if err := w.Verify(t.Context(), token, "JWT", &struct{}{}); err == nil {
		t.Error("a retired key verifies")
	}
	w.now = start.Add(-time.Hour) // a clock that was set back still signs
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := kid(t, mustSign(t, w.Signer, signer.RS256, "JWT")); got != kid(t, token) {
		t.Errorf("with a clock before all keys %q signs", got)
	}
}

// A node looks for a key that it has not seen, once a second at most (O-JW-3).
func TestUnknownKeyIsLookedUp(t *testing.T) {
	store := &keptKeys{}
	w := newWound(t, store)
	_, elsewhere := ready(t)
	fresh := elsewhere.key(t, signer.ES256)
	store.append(fresh)
	token := forge(t, fresh, headerFor(fresh, signer.ES256, ""), claims)
	stranger, _ := ready(t)
	foreign := mustSign(t, stranger, signer.ES256, "JWT")

	before := store.reads
	if err := w.Verify(t.Context(), token, "JWT", &struct{}{}); err != nil {
		t.Errorf("a token of a node that is ahead: %v", err)
	}
	for range 100 {
		if err := w.Verify(t.Context(), foreign, "JWT", &struct{}{}); err == nil || fault.Of(err) == fault.Unavailable {
			t.Fatalf("a foreign token: %v", err)
		}
	}
	if n := store.reads - before; n != 1 {
		t.Errorf("the store was asked %d times, want once", n)
	}
	w.now = w.now.Add(time.Second)
	store.fail(errDown)
	for range 100 { // what cannot be looked up is not unknown
		if err := w.Verify(t.Context(), foreign, "JWT", &struct{}{}); !errors.Is(err, fault.Unavailable) {
			t.Fatalf("with the store down: %v", err)
		}
	}
	if err := w.Verify(t.Context(), token, "JWT", &struct{}{}); err != nil {
		t.Errorf("a known key, with the store down: %v", err)
	}
	if n := store.reads - before; n != 2 {
		t.Errorf("the store was asked %d times, want twice", n)
	}
}

func TestRotateFails(t *testing.T) {
	_, store := ready(t)
	store.fail(errDown)
	if _, rotated, err := signer.Rotate(t.Context(), store, start); rotated || !errors.Is(err, errDown) {
		t.Errorf("%v, %v", rotated, err)
	}
}
