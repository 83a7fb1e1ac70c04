package gatewaytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// robotKey is the private key of the client "robot". Nothing outside of tests has ever
// trusted it.
const robotKey = "74K-f6ioYNQ0UjQH10OMpGnSljtoVf0uQkcTETyzX34"

// AssertionType is the client_assertion_type of RFC 7523.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Assertion is what "robot" signs to prove itself, good for two minutes and used by
// nobody yet, with claims changed; nil drops one.
func (w *World) Assertion(t testing.TB, change map[string]any) string {
	t.Helper()
	now := w.Clock.Now().Unix()
	claims := map[string]any{"iss": "robot", "sub": "robot", "aud": w.URL, "jti": rand.Text(), "iat": now, "exp": now + 120}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(robotKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"ES256","kid":"robot-1","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))))
}

// Robot are the pairs of a form by which "robot" proves itself with an assertion.
func (w *World) Robot(t testing.TB) []string {
	t.Helper()
	return []string{"client_id", "robot", "client_assertion", w.Assertion(t, nil), "client_assertion_type", AssertionType}
}
