package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// VerifyWithJWKS is [Signer.Verify] for whoever has nothing but the published keys
// (RFC 7517, section 5), as an API does. A set in which a key has no kid, or one that
// another has, or is not of the algorithm that it names, is refused as a whole.
func VerifyWithJWKS(jwks []byte, token, typ string, into any) error {
	set, err := parsePublished(jwks)
	if err != nil {
		return fmt.Errorf("read a key set: %w", err)
	}
	return set.verify(token, []string{typ}, into)
}

// parsePublished reads a key set that [Signer.JWKS] made, here or elsewhere.
func parsePublished(jwks []byte) (*keySet, error) {
	parsed, err := jwk.Parse(jwks)
	if err != nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	set := &keySet{byID: map[string]*loadedKey{}}
	for i := range parsed.Len() {
		published, _ := parsed.Key(i)
		key := &loadedKey{id: published.KeyID(), algorithm: published.Algorithm().String()}
		var raw any
		if err := published.Raw(&raw); err != nil {
			return nil, fmt.Errorf("key %q is damaged", key.id)
		}
		public, ok := publicFor(key.algorithm, raw)
		if !ok {
			return nil, fmt.Errorf("key %q is not a public key for algorithm %q", key.id, key.algorithm)
		}
		if _, taken := set.byID[key.id]; taken || key.id == "" {
			return nil, errors.New("each key must have a kid of its own")
		}
		key.public = public
		set.byID[key.id] = key
	}
	return set, nil
}

// publicFor returns a public key that is of the algorithm's type and strong enough.
func publicFor(alg string, raw any) (crypto.PublicKey, bool) {
	switch key := raw.(type) {
	case *ecdsa.PublicKey:
		return key, alg == ES256 && key.Curve == elliptic.P256()
	case *rsa.PublicKey:
		return key, alg == RS256 && key.N.BitLen() >= rsaBits
	}
	return nil, false
}
