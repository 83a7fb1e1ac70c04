package signer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/signer"
)

// The key of the vectors (Guardian, section 17.1): its modulus begins with a zero.
const vectorModulus = "AO3R19cm-0Bd3V081kFPm170Y_sML1BSfRHtNGhI0Imcq8mx0_LAwPDr1JmnmAHWOfc5cNkXuuYhUzDP2whs78y_UdkRcj3FV05dfYZD4E1RuD3DTuOsLfuv36N0Tm4lgc35CjkERlwLnIKmkZHQz3QIWbQ7s5ec4N_mMZzpNaJ9gMWZOetIKU9aBKQgrG3xvJGFzy-6yu8NPNUTsaREZAy2_5nMYxak-gWaKWYgh3SjG2qWlTLeVXJ_dMpQu-oyq74CcsiqvauOEJwnqD2YDK2Q2YsZWF1KLFkQ-DUCe7IDQM0q62ugPe2L2NdpnkiRUPtPrhAkcUt5RMewFmUv29E"

// TestDeviceKeyNormal: two spellings of a key are one, and its thumbprint (RFC 7638) is that
// of the vectors.
func TestDeviceKeyNormal(t *testing.T) {
	modulus, err := base64.RawURLEncoding.DecodeString(vectorModulus)
	if err != nil {
		t.Fatal(err)
	}
	var spellings []string
	for _, text := range []string{
		`{"kty":"RSA","use":"sig","alg":"RS256","e":"AQAB","n":"` + vectorModulus + `"}`,
		`{"n":"` + base64.RawURLEncoding.EncodeToString(modulus[1:]) + `","e":"AAEAAQ","kty":"RSA","kid":"x"}`,
	} {
		key, err := signer.ParseDeviceKey([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		spellings = append(spellings, key.String())
	}
	if spellings[0] != spellings[1] {
		t.Errorf("%s and %s", spellings[0], spellings[1])
	}
	var normal struct{ E, N, Alg, Use, Kid string }
	if err := json.Unmarshal([]byte(spellings[0]), &normal); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(`{"e":"` + normal.E + `","kty":"RSA","n":"` + normal.N + `"}`))
	if print := base64.RawURLEncoding.EncodeToString(sum[:]); print != "pvufsOlc7IXq6KyACCrFi6YRA2xBrcWgWuhlonXWyZo" ||
		normal.Alg != "RS256" || normal.Use != "sig" || normal.Kid != "" {
		t.Errorf("%s of %s", print, spellings[0])
	}
	again, err := signer.ParseDeviceKey([]byte(spellings[0]))
	if err != nil || again.String() != spellings[0] {
		t.Errorf("%v %v", again, err)
	}
}

func TestDeviceKeyRefused(t *testing.T) {
	bits := func(n int) string {
		m := new(big.Int).Lsh(big.NewInt(1), uint(n-1))
		return base64.RawURLEncoding.EncodeToString(m.Add(m, big.NewInt(1)).Bytes())
	}
	point := `"x":"B8XXcsgiAaOxNfg8wod6TPX_OHjB5168Q7ngaHJGPoE","y":"uMIoFj0AC2ElNAMgK9FOpHnigiuGo1gedjYMei1BsvI"`
	for _, good := range []string{
		`{"kty":"RSA","e":"AQAB","n":"` + bits(2048) + `"}`, `{"kty":"RSA","e":"Aw","n":"` + bits(4096) + `"}`,
		`{"kty":"EC","crv":"P-256",` + point + `}`,
	} {
		if _, err := signer.ParseDeviceKey([]byte(good)); err != nil {
			t.Errorf("%.60s: %v", good, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"null":              "null",
		"an array":          "[]",
		"a set":             `{"keys":[{"kty":"EC","crv":"P-256",` + point + `}]}`,
		"too short":         `{"kty":"RSA","e":"AQAB","n":"` + bits(2047) + `"}`,
		"too long":          `{"kty":"RSA","e":"AQAB","n":"` + bits(4097) + `"}`,
		"even exponent":     `{"kty":"RSA","e":"BA","n":"` + bits(2048) + `"}`,
		"exponent 1":        `{"kty":"RSA","e":"AQ","n":"` + bits(2048) + `"}`,
		"private":           `{"kty":"RSA","e":"AQAB","d":"AQAB","n":"` + bits(2048) + `"}`,
		"half private":      `{"kty":"RSA","e":"AQAB","qi":"AQAB","n":"` + bits(2048) + `"}`,
		"a shared secret":   `{"kty":"oct","k":"AAAA"}`,
		"another curve":     `{"kty":"EC","crv":"P-384",` + point + `}`,
		"off the curve":     `{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`,
		"OKP":               `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"another algorithm": `{"kty":"EC","crv":"P-256","alg":"RS256",` + point + `}`,
		"for encryption":    `{"kty":"EC","crv":"P-256","use":"enc",` + point + `}`,
		"twice":             `{"kty":"EC","kty":"EC","crv":"P-256",` + point + `}`,
		"a certificate":     "-----BEGIN PUBLIC KEY-----",
	} {
		if key, err := signer.ParseDeviceKey([]byte(text)); err == nil {
			t.Errorf("%s: %s", name, key)
		}
	}
}

// deviceToken signs with ES256 whatever the header says.
func deviceToken(t testing.TB, key *ecdsa.PrivateKey, header, claims string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func deviceKey(t testing.TB) (*ecdsa.PrivateKey, *signer.DeviceKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.ParseDeviceKey([]byte(`{"kty":"EC","crv":"P-256","x":"` + base64.RawURLEncoding.EncodeToString(point[1:33]) +
		`","y":"` + base64.RawURLEncoding.EncodeToString(point[33:]) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	return private, key
}

func TestDeviceKeyVerify(t *testing.T) {
	private, key := deviceKey(t)
	stranger, _ := deviceKey(t)
	for name, tt := range map[string]struct {
		header, claims string
		ok             bool
	}{
		"plain":             {`{"alg":"ES256","typ":"JWT"}`, `{"a":1}`, true},
		"the other order":   {`{"typ":"JWT","alg":"ES256"}`, `{"a":1}`, true},
		"no typ":            {`{"alg":"ES256"}`, `{"a":1}`, true},
		"names other keys":  {`{"alg":"ES256","kid":"x","jku":"https://evil.example/","x5c":["AAAA"]}`, `{"a":1}`, true},
		"none":              {`{"alg":"none"}`, `{"a":1}`, false},
		"RS256":             {`{"alg":"RS256"}`, `{"a":1}`, false},
		"lower case":        {`{"alg":"es256"}`, `{"a":1}`, false},
		"ALG":               {`{"ALG":"ES256"}`, `{"a":1}`, false},
		"no algorithm":      {`{"typ":"JWT"}`, `{"a":1}`, false},
		"algorithm twice":   {`{"alg":"none","alg":"ES256"}`, `{"a":1}`, false},
		"an extension":      {`{"alg":"ES256","crit":["b64"],"b64":false}`, `{"a":1}`, false},
		"typ is a number":   {`{"alg":"ES256","typ":1}`, `{"a":1}`, false},
		"no object":         {`[]`, `{"a":1}`, false},
		"claims twice":      {`{"alg":"ES256"}`, `{"a":1,"a":2}`, false},
		"claims of another": {`{"alg":"ES256"}`, `{"a":"x"}`, false},
	} {
		var claims struct{ A int }
		if _, err := key.Verify(deviceToken(t, private, tt.header, tt.claims), &claims); (err == nil) != tt.ok || tt.ok && claims.A != 1 {
			t.Errorf("%s: %+v %v", name, claims, err)
		}
		if _, err := key.Verify(deviceToken(t, stranger, tt.header, tt.claims), &claims); err == nil {
			t.Errorf("%s, signed by another", name)
		}
	}
	header, err := key.Verify(deviceToken(t, private, `{"alg":"ES256","typ":"dpop+jwt","jwk":`+key.String()+`}`, `{}`), &struct{}{})
	if err != nil || header.Type != "dpop+jwt" || string(header.Key) != key.String() {
		t.Errorf("%+v %v", header, err)
	}
	good := deviceToken(t, private, `{"alg":"ES256"}`, `{"a":1}`)
	for _, bad := range []string{"", "..", good + "=", good + ".x", strings.Replace(good, ".", "\n.", 1), good[:len(good)-4] + "AAAA"} {
		if _, err := key.Verify(bad, &struct{}{}); err == nil || strings.Contains(err.Error(), good[:20]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzDeviceKey: what is taken for a key is a sound one, and its normal form is taken again
// and stays.
func FuzzDeviceKey(f *testing.F) {
	f.Add([]byte(`{"kty":"RSA","use":"sig","alg":"RS256","e":"AQAB","n":"` + vectorModulus + `"}`))
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"B8XXcsgiAaOxNfg8wod6TPX_OHjB5168Q7ngaHJGPoE","y":"uMIoFj0AC2ElNAMgK9FOpHnigiuGo1gedjYMei1BsvI"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := signer.ParseDeviceKey(text)
		if err != nil {
			return
		}
		again, err := signer.ParseDeviceKey([]byte(key.String()))
		if err != nil || again.String() != key.String() || strings.Contains(key.String(), `"d"`) {
			t.Fatalf("%s: %s %v", text, key, err)
		}
	})
}

// FuzzDeviceToken: nobody but the device makes a token of its.
func FuzzDeviceToken(f *testing.F) {
	key, err := signer.ParseDeviceKey([]byte(strings.TrimSuffix(strings.TrimPrefix(aKeySet, `{"keys":[`), "]}")))
	if err != nil {
		f.Fatal(err)
	}
	good := aToken
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := key.Verify(token, &map[string]any{}); err == nil && token[:strings.LastIndex(token, ".")] != good[:strings.LastIndex(good, ".")] {
			t.Fatalf("%q", token)
		}
	})
}
