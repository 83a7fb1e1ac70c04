package signer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// keptKeys is a KeyStore in memory with the rule of the real one: the first key of an
// algorithm wins.
type keptKeys struct {
	mu    sync.Mutex
	keys  []signer.Key
	down  error
	reads int
}

var (
	_ signer.KeyStore = (*keptKeys)(nil)
	_ signer.Rotator  = (*keptKeys)(nil)
)

func (k *keptKeys) SigningKeys(context.Context) ([]signer.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	return slices.Clone(k.keys), k.down
}

func (k *keptKeys) AddFirstSigningKey(_ context.Context, key signer.Key) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down != nil {
		return false, k.down
	}
	for _, have := range k.keys {
		if have.Algorithm == key.Algorithm {
			return false, nil
		}
	}
	k.keys = append(k.keys, key)
	return true, nil
}

func (k *keptKeys) RotateSigningKeys(_ context.Context, fresh []signer.Key, retire time.Time) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down != nil {
		return false, k.down
	}
	for i := range k.keys {
		if k.keys[i].SignsAt.After(fresh[0].CreatedAt) {
			return false, nil
		}
	}
	for i := range k.keys {
		if k.keys[i].RetiresAt.IsZero() {
			k.keys[i].RetiresAt = retire
		}
	}
	k.keys = append(k.keys, fresh...)
	return true, nil
}

// append adds a key beside the first that signs at once.
func (k *keptKeys) append(keys ...signer.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, keys...)
}

func (k *keptKeys) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = err
}

func (k *keptKeys) key(t testing.TB, alg string) signer.Key {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range k.keys {
		if key.Algorithm == alg {
			return key
		}
	}
	t.Fatalf("no %s key is kept", alg)
	return signer.Key{}
}

var errDown = errors.New("connection refused")

var start = time.Date(2026, 3, 4, 5, 6, 7, 8_900_000, time.UTC)

func newSigner(store signer.KeyStore) *signer.Signer {
	return signer.New(signer.Options{
		Store: store,
		Now:   func() time.Time { return start },
		Log:   slog.New(slog.DiscardHandler),
	})
}

// ready returns a signer with keys, and its store.
func ready(t testing.TB) (*signer.Signer, *keptKeys) {
	t.Helper()
	store := &keptKeys{}
	s := newSigner(store)
	if err := s.EnsureKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, store
}

func mustSign(t testing.TB, s *signer.Signer, alg, typ string) string {
	t.Helper()
	token, err := s.Sign(alg, typ, map[string]any{"sub": "auth0|alice", "aud": []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// members decodes a JSON object.
func members(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("not a JSON object: %v", err)
	}
	return m
}

func b64(text []byte) string { return base64.RawURLEncoding.EncodeToString(text) }

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func damaged(id, alg string) signer.Key {
	return signer.Key{ID: id, Algorithm: alg, Private: secret.New(`{"kty":"EC","d":"hush"}`)}
}
