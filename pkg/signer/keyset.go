package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/sallyport/sallyport/pkg/secret"
)

// rsaBits is the size of a new RS256 key, and the least that is loaded (RFC 7518,
// section 3.3).
const rsaBits = 2048

// A keySet is what of one reading of the store is published. It never changes.
type keySet struct {
	byID    map[string]*loadedKey
	inOrder []*loadedKey // in which they sign
	jwks    []byte
	retires time.Time // when the first of them does; zero: nobody knows
}

// A loadedKey holds raw keys: parsing a JWK for every token costs as much as signing.
type loadedKey struct {
	id        string
	algorithm string
	public    crypto.PublicKey
	private   crypto.Signer // nil when the key set was published by somebody else
	signsAt   time.Time
	retiresAt time.Time
}

// newKeySet loads keys that are in the order in which they sign. One that does not load
// fails the whole, because tokens that it signed are about.
func newKeySet(kept []Key, now time.Time) (*keySet, error) {
	var loaded []*loadedKey
	for _, k := range kept {
		key, err := k.load()
		if err != nil {
			return nil, err
		}
		loaded = append(loaded, key)
	}
	return published(loaded, now)
}

// published is the set of those keys that are not retired.
func published(keys []*loadedKey, now time.Time) (*keySet, error) {
	set := &keySet{byID: map[string]*loadedKey{}}
	public := jwk.NewSet()
	for _, key := range keys {
		if !key.retiresAt.IsZero() && !now.Before(key.retiresAt) {
			continue
		}
		if set.retires.IsZero() || !key.retiresAt.IsZero() && key.retiresAt.Before(set.retires) {
			set.retires = key.retiresAt
		}
		entry, err := publicJWK(key)
		if err != nil {
			return nil, err
		}
		if err := public.AddKey(entry); err != nil {
			return nil, fmt.Errorf("publish key %q: %w", key.id, err)
		}
		set.byID[key.id] = key
		set.inOrder = append(set.inOrder, key)
	}
	if len(set.inOrder) == 0 {
		return nil, errors.New("the store has none")
	}
	var err error
	if set.jwks, err = json.Marshal(public); err != nil {
		return nil, fmt.Errorf("encode the key set: %w", err)
	}
	return set, nil
}

// signing returns the key of an algorithm that signs: the latest whose time has come. A
// clock that was set back before every time gets the first one.
func (k *keySet) signing(alg string, now time.Time) (key *loadedKey, ok bool) {
	for _, next := range k.inOrder {
		if next.algorithm == alg && (key == nil || !now.Before(next.signsAt)) {
			key = next
		}
	}
	return key, key != nil
}

// load says nothing of why a private key does not parse: the reason may quote it.
func (k Key) load() (*loadedKey, error) {
	parsed, err := jwk.ParseKey([]byte(k.Private.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("key %q is not a JWK", k.ID)
	}
	var raw any
	if err := parsed.Raw(&raw); err != nil {
		return nil, fmt.Errorf("key %q is damaged", k.ID)
	}
	private, ok := fitting(k.Algorithm, raw)
	if !ok {
		return nil, fmt.Errorf("key %q is not a private key for algorithm %q", k.ID, k.Algorithm)
	}
	return &loadedKey{
		id: k.ID, algorithm: k.Algorithm, public: private.Public(), private: private,
		signsAt: k.SignsAt, retiresAt: k.RetiresAt,
	}, nil
}

// fitting returns a private key that is of the algorithm's type and strong enough.
func fitting(alg string, raw any) (crypto.Signer, bool) {
	switch key := raw.(type) {
	case *ecdsa.PrivateKey:
		return key, alg == ES256 && key.Curve == elliptic.P256()
	case *rsa.PrivateKey:
		return key, alg == RS256 && key.N.BitLen() >= rsaBits && key.Validate() == nil
	}
	return nil, false
}

func publicJWK(k *loadedKey) (jwk.Key, error) {
	public, err := jwk.FromRaw(k.public)
	if err != nil {
		return nil, fmt.Errorf("publish key %q: %w", k.id, err)
	}
	// Auth0's Go client rejects every token when "alg" is missing.
	err = errors.Join(
		public.Set(jwk.KeyIDKey, k.id),
		public.Set(jwk.AlgorithmKey, k.algorithm),
		public.Set(jwk.KeyUsageKey, jwk.ForSignature),
	)
	if err != nil {
		return nil, fmt.Errorf("publish key %q: %w", k.id, err)
	}
	return public, nil
}

// makeKey makes a fresh key that signs at once. Its id is its thumbprint (RFC 7638), so
// that two keys never share one.
func makeKey(alg string, now time.Time) (Key, error) {
	raw, err := generate(alg)
	if err != nil {
		return Key{}, fmt.Errorf("make a signing key: %w", err)
	}
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return Key{}, fmt.Errorf("make a signing key: %w", err)
	}
	thumb, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, fmt.Errorf("take the thumbprint of a signing key: %w", err)
	}
	text, err := json.Marshal(key)
	if err != nil {
		return Key{}, fmt.Errorf("encode a signing key: %w", err)
	}
	now = now.UTC().Truncate(time.Millisecond)
	return Key{
		ID:        base64.RawURLEncoding.EncodeToString(thumb),
		Algorithm: alg,
		Private:   secret.New(string(text)),
		CreatedAt: now,
		SignsAt:   now,
	}, nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("unknown algorithm %q", alg)
}
