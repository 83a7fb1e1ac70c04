package signer

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// PublishedKeys are the keys of an issuer, for whoever verifies many of its tokens, as
// an API does. They never change.
type PublishedKeys struct{ set *keySet }

// ParsePublishedKeys reads a JSON Web Key Set of any issuer. A key that is of no use here
// is left out (RFC 7517, section 5): one without a kid, for encryption, or for another
// algorithm than ES256 and RS256. A set that is left without a key, or in which a kid
// stands for two, is refused.
func ParsePublishedKeys(jwks []byte) (*PublishedKeys, error) {
	var parsed struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(jwks, &parsed) != nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	set := &keySet{byID: map[string]*loadedKey{}}
	for _, raw := range parsed.Keys {
		published, err := jwk.ParseKey(raw)
		if err != nil {
			continue
		}
		key, err := foreign(published)
		if err != nil || key.id == "" {
			continue
		}
		if _, taken := set.byID[key.id]; taken {
			return nil, errors.New("two of its keys have one kid")
		}
		set.byID[key.id] = key
	}
	if len(set.byID) == 0 {
		return nil, fmt.Errorf("it has no key for %s or %s that has a kid", ES256, RS256)
	}
	return &PublishedKeys{set}, nil
}

// Has reports whether one of the keys has the kid.
func (p *PublishedKeys) Has(kid string) bool {
	_, ok := p.set.byID[kid]
	return ok
}

// Verify is [Signer.Verify] with these keys, for a token of one of several types.
func (p *PublishedKeys) Verify(token string, types []string, into any) error {
	return p.set.verify(token, types, into)
}

// KeyID is the kid that the header of a token names. Nothing of the token is verified
// yet, except that it is one that Verify would look at.
func KeyID(token string) (string, error) {
	if err := wellFormed(token); err != nil {
		return "", err
	}
	header, err := readHeader(token)
	if err != nil {
		return "", err
	}
	return header["kid"], nil
}
