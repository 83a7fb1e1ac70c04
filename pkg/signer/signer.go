package signer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/sallyport/sallyport/pkg/fault"
)

// The algorithms that sign (RFC 7518, section 3.1). ES256 is twenty times cheaper to
// make; RS256 is what ID tokens and Auth0's clients want.
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// Options are what a Signer needs from outside.
type Options struct {
	Store KeyStore
	Now   func() time.Time // dates new keys, and says which ones sign and are published
	Log   *slog.Logger
}

// A Signer signs with the newest key of an algorithm whose time has come, and verifies
// with every published one. It may be used by any number of goroutines; none of them
// waits for a reload, unless it asks for a key that is not there.
type Signer struct {
	store     KeyStore
	now       func() time.Time
	log       *slog.Logger
	reloading sync.Mutex // in order, so that an older reading never replaces a newer one
	keys      atomic.Pointer[keySet]

	looking sync.Mutex // guards those below
	looked  time.Time  // when a key was not there, and the store was asked
	failure error      // of that
}

// New returns a Signer without keys. Until [Signer.EnsureKeys] or [Signer.Reload] has
// loaded some, Sign and Verify fail with [fault.Unavailable].
func New(o Options) *Signer {
	return &Signer{store: o.Store, now: o.Now, log: o.Log}
}

// EnsureKeys makes the first ES256 and RS256 keys unless the store has them, and loads
// what is there. Of any number of nodes that start together, one makes each key and all
// load it. It fails with [fault.Unavailable].
func (s *Signer) EnsureKeys(ctx context.Context) error {
	kept, err := s.store.SigningKeys(ctx)
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("read the signing keys: %w", err))
	}
	has := map[string]bool{}
	for _, k := range kept {
		has[k.Algorithm] = true
	}
	for _, alg := range []string{ES256, RS256} {
		if has[alg] {
			continue
		}
		if err := s.addFirst(ctx, alg); err != nil {
			return fault.Because(fault.Unavailable, err)
		}
	}
	return s.Reload(ctx)
}

func (s *Signer) addFirst(ctx context.Context, alg string) error {
	key, err := makeKey(alg, s.now())
	if err != nil {
		return err
	}
	added, err := s.store.AddFirstSigningKey(ctx, key)
	if err != nil {
		return fmt.Errorf("add the first %s signing key: %w", alg, err)
	}
	if added {
		s.log.InfoContext(ctx, "made a signing key", "alg", alg, "kid", key.ID)
	}
	return nil
}

// Reload reads the keys again; it is called when the revision of the database changes.
// When it fails, with [fault.Unavailable], the keys of before stay in use.
func (s *Signer) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	kept, err := s.store.SigningKeys(ctx)
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("read the signing keys: %w", err))
	}
	set, err := newKeySet(kept, s.now())
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("load the signing keys: %w", err))
	}
	s.keys.Store(set)
	return nil
}

// loaded returns the keys in use, or [fault.Unavailable] before the first load.
func (s *Signer) loaded() (*keySet, error) {
	set := s.keys.Load()
	if set == nil {
		return nil, fault.Because(fault.Unavailable, errors.New("no signing keys are loaded"))
	}
	now := s.now()
	if set.retires.IsZero() || now.Before(set.retires) {
		return set, nil
	}
	fewer, err := published(set.inOrder, now)
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("retire a signing key: %w", err))
	}
	s.keys.CompareAndSwap(set, fewer) // else a reload came first
	return fewer, nil
}

// Sign returns the claims as a compact JWS (RFC 7515, section 7.1) with alg, kid and typ
// in its header, and nothing else there. alg is [ES256] or [RS256]; typ is "at+jwt" for
// access tokens (RFC 9068, section 2.1), "JWT" for ID tokens.
func (s *Signer) Sign(alg, typ string, claims map[string]any) (string, error) {
	set, err := s.loaded()
	if err != nil {
		return "", err
	}
	key, ok := set.signing(alg, s.now())
	if !ok {
		return "", fmt.Errorf("sign a token: no key for algorithm %q", alg)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	header := jws.NewHeaders()
	if err := errors.Join(header.Set(jws.KeyIDKey, key.id), header.Set(jws.TypeKey, typ)); err != nil {
		return "", fmt.Errorf("make a token header: %w", err)
	}
	token, err := jws.Sign(payload, jws.WithKey(jwa.SignatureAlgorithm(alg), key.private, jws.WithProtectedHeaders(header)))
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return string(token), nil
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517, section 5), each with
// kid, alg, use "sig" and the public members of its type. Before the first load the set
// is empty.
func (s *Signer) JWKS() []byte {
	set, err := s.loaded()
	if err != nil {
		return []byte(`{"keys":[]}`)
	}
	return bytes.Clone(set.jwks)
}
