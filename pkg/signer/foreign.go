package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxForeign is how many keys somebody else may have: each may be tried.
const maxForeign = 8

// ForeignKeys are public keys that somebody else signs with, a client that proves
// itself by assertions for example (RFC 7523).
type ForeignKeys struct{ keys []*loadedKey }

// ParseForeignKeys reads a JSON Web Key Set (RFC 7517, section 5) of one to eight public
// keys: EC on P-256 for ES256, RSA of at least 2048 bits for RS256. kid, alg and use may
// be absent, and fit the key if they are not. Nothing is ever fetched.
func ParseForeignKeys(jwks []byte) (*ForeignKeys, error) {
	parsed, err := jwk.Parse(jwks)
	if err != nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	if n := parsed.Len(); n < 1 || n > maxForeign {
		return nil, fmt.Errorf("it has %d keys; there must be one to %d", n, maxForeign)
	}
	f := &ForeignKeys{}
	for i := range parsed.Len() {
		published, _ := parsed.Key(i)
		key, err := foreign(published)
		if err != nil {
			return nil, fmt.Errorf("key %d %w", i+1, err)
		}
		if key.id != "" && slices.ContainsFunc(f.keys, func(k *loadedKey) bool { return k.id == key.id }) {
			return nil, fmt.Errorf("key %d has the kid of another one", i+1)
		}
		f.keys = append(f.keys, key)
	}
	return f, nil
}

// foreign loads one key. A private one is refused: it was not meant for us.
func foreign(published jwk.Key) (*loadedKey, error) {
	var raw any
	if err := published.Raw(&raw); err != nil {
		return nil, errors.New("is damaged")
	}
	key := &loadedKey{id: published.KeyID(), algorithm: published.Algorithm().String()}
	if key.algorithm == "" {
		key.algorithm = usual(raw)
	}
	public, ok := publicFor(key.algorithm, raw)
	switch use := published.KeyUsage(); {
	case !ok || !sound(public):
		return nil, fmt.Errorf("is no public key for %s (EC, P-256) or %s (RSA, at least %d bits)", ES256, RS256, rsaBits)
	case use != "" && use != string(jwk.ForSignature):
		return nil, errors.New(`is not for signatures; its use must be "sig"`)
	}
	key.public = public
	return key, nil
}

// usual is the algorithm of a key that names none.
func usual(raw any) string {
	if _, ok := raw.(*ecdsa.PublicKey); ok {
		return ES256
	}
	return RS256
}

// sound reports whether a key is a point of its curve, or has an exponent that can be one.
func sound(public crypto.PublicKey) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		_, err := key.ECDH()
		return err == nil
	case *rsa.PublicKey:
		return key.E >= 3 && key.E%2 == 1
	}
	return false
}

// Verify checks that one of the keys signed the token, by that key's algorithm, and
// decodes the claims into what into points to. A typ, if there is one, must be among
// types; a kid must be that of the key, unless the key has none.
//
// Otherwise it is as strict as [Signer.Verify], and its errors are alike.
func (f *ForeignKeys) Verify(token string, types []string, into any) error {
	if err := wellFormed(token); err != nil {
		return err
	}
	header, err := readHeader(token)
	if err != nil {
		return err
	}
	if err := plainHeader(header, types); err != nil {
		return err
	}
	for _, key := range f.keys {
		kid, named := header["kid"]
		if key.algorithm != header["alg"] || named && key.id != "" && key.id != kid {
			continue
		}
		payload, err := jws.Verify([]byte(token),
			jws.WithCompact(), jws.WithKey(jwa.SignatureAlgorithm(key.algorithm), key.public))
		if err == nil {
			return decodeClaims(payload, into)
		}
	}
	return errors.New("verify a token: none of the keys made its signature")
}

// plainHeader refuses every member but alg, kid and typ.
func plainHeader(header map[string]string, types []string) error {
	for name := range header {
		if !slices.Contains([]string{"alg", "kid", "typ"}, name) {
			return errors.New("verify a token: its header has other members than alg, kid and typ")
		}
	}
	if typ, ok := header["typ"]; ok && !among(types, typ) {
		return errors.New("verify a token: it is of another type")
	}
	return nil
}

// among reports whether a typ is one of those, in either case.
func among(types []string, typ string) bool {
	return slices.ContainsFunc(types, func(t string) bool { return strings.EqualFold(t, typ) })
}
