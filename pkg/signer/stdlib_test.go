package signer_test

// The standard library's half of the differential test: it knows nothing of jwx.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// published returns the member of a key set that has the kid.
func published(t testing.TB, jwks []byte, kid string) map[string]any {
	t.Helper()
	for _, k := range members(t, jwks)["keys"].([]any) {
		if key := k.(map[string]any); key["kid"] == kid {
			return key
		}
	}
	t.Fatalf("no key %q is published", kid)
	return nil
}

func number(t testing.TB, key map[string]any, name string) *big.Int {
	t.Helper()
	return new(big.Int).SetBytes(unb64(t, key[name].(string)))
}

func rsaPublic(t testing.TB, key map[string]any) *rsa.PublicKey {
	t.Helper()
	return &rsa.PublicKey{N: number(t, key, "n"), E: int(number(t, key, "e").Int64())}
}

func ecPublic(t testing.TB, key map[string]any) *ecdsa.PublicKey {
	t.Helper()
	point := slices.Concat([]byte{4}, unb64(t, key["x"].(string)), unb64(t, key["y"].(string)))
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// checkSignature verifies a compact JWS against a published key.
func checkSignature(t testing.TB, token string, key map[string]any) error {
	t.Helper()
	dot := strings.LastIndexByte(token, '.')
	digest := sha256.Sum256([]byte(token[:dot]))
	sig := unb64(t, token[dot+1:])
	if key["kty"] == "RSA" {
		return rsa.VerifyPKCS1v15(rsaPublic(t, key), crypto.SHA256, digest[:], sig)
	}
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	if len(sig) != 64 || !ecdsa.Verify(ecPublic(t, key), digest[:], r, s) {
		return errors.New("wrong ES256 signature")
	}
	return nil
}

// forge signs any header and payload with a kept key: what a thief of nothing but the
// signing oracle could not do, and what tells a refused header from a wrong signature.
func forge(t testing.TB, k signer.Key, header, payload string) string {
	t.Helper()
	private := members(t, []byte(k.Private.Reveal()))
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	if k.Algorithm == signer.RS256 {
		key := &rsa.PrivateKey{
			PublicKey: *rsaPublic(t, private),
			D:         number(t, private, "d"),
			Primes:    []*big.Int{number(t, private, "p"), number(t, private, "q")},
		}
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return signed + "." + b64(sig)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unb64(t, private["d"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
	return signed + "." + b64(sig)
}

// weakRSA is a key of the right type that is too short.
func weakRSA(t testing.TB) signer.Key {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	k.Precompute()
	text := `{"kty":"RSA"`
	for name, v := range map[string]*big.Int{
		"n": k.N, "e": big.NewInt(int64(k.E)), "d": k.D, "p": k.Primes[0], "q": k.Primes[1],
		"dp": k.Precomputed.Dp, "dq": k.Precomputed.Dq, "qi": k.Precomputed.Qinv,
	} {
		text += fmt.Sprintf(`,%q:%q`, name, b64(v.Bytes()))
	}
	return signer.Key{ID: "weak", Algorithm: signer.RS256, Private: secret.New(text + "}")}
}

// widerCurve is an elliptic key of another algorithm.
func widerCurve(t testing.TB) signer.Key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"kty":"EC","crv":"P-384","d":%q,"x":%q,"y":%q}`, b64(d), b64(point[1:49]), b64(point[49:]))
	return signer.Key{ID: "wide", Algorithm: signer.ES256, Private: secret.New(text)}
}
