package signer_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/signer"
)

const claims = `{"sub":"auth0|alice"}`

// headerFor returns a header with the kid of the key and any further members.
func headerFor(k signer.Key, alg, more string) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"%s}`, alg, k.ID, more)
}

// The forger must be able to make what is accepted, or the refusals below prove nothing.
func TestVerifyAcceptsTheForger(t *testing.T) {
	s, store := ready(t)
	for _, alg := range algorithms {
		k := store.key(t, alg)
		var got map[string]any
		if err := s.Verify(t.Context(), forge(t, k, headerFor(k, alg, ""), claims), "JWT", &got); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if got["sub"] != "auth0|alice" {
			t.Errorf("%s: claims %v", alg, got)
		}
	}
}

func TestVerifyRefusesHeaders(t *testing.T) {
	s, store := ready(t)
	ec, rs := store.key(t, signer.ES256), store.key(t, signer.RS256)
	for name, header := range map[string]string{
		"crit":            headerFor(ec, "ES256", `,"crit":["exp"],"exp":1`),
		"b64 false":       headerFor(ec, "ES256", `,"crit":["b64"],"b64":false`),
		"zip":             headerFor(ec, "ES256", `,"zip":"DEF"`),
		"jku":             headerFor(ec, "ES256", `,"jku":"https://evil.example/keys"`),
		"x5u":             headerFor(ec, "ES256", `,"x5u":"https://evil.example/cert"`),
		"jwk":             headerFor(ec, "ES256", `,"jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`),
		"alg of another":  headerFor(ec, "RS256", ""),
		"alg in capitals": headerFor(ec, "es256", ""),
		"alg missing":     fmt.Sprintf(`{"kid":%q,"typ":"JWT","x":"y"}`, ec.ID),
		"kid of another":  headerFor(rs, "ES256", ""),
		"kid empty":       `{"alg":"ES256","kid":"","typ":"JWT"}`,
		"kid missing":     `{"alg":"ES256","typ":"JWT"}`,
		"kid a path":      `{"alg":"ES256","kid":"../../etc/passwd","typ":"JWT"}`,
		"kid a number":    `{"alg":"ES256","kid":1,"typ":"JWT"}`,
		"kid twice":       fmt.Sprintf(`{"alg":"ES256","kid":"x","kid":%q,"typ":"JWT"}`, ec.ID),
		"typ of another":  fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, ec.ID),
		"typ null":        fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":null}`, ec.ID),
		"not an object":   `["ES256"]`,
		"null":            `null`,
		"not JSON":        `{"alg":`,
		"more after it":   headerFor(ec, "ES256", "") + "{}",
	} {
		refuse(t, s, name, forge(t, ec, header, claims))
	}
}

func TestR22VerifyRefusesTokens(t *testing.T) {
	s, store := ready(t)
	stranger, strangers := ready(t)
	ec, rs := store.key(t, signer.ES256), store.key(t, signer.RS256)
	good := mustSign(t, s, signer.ES256, "JWT")
	part := strings.Split(good, ".")
	header, body, sig := part[0], part[1], part[2]
	thief := strangers.key(t, signer.ES256)
	for name, token := range map[string]string{
		"empty":                 "",
		"none":                  b64([]byte(headerFor(ec, "none", ""))) + "." + body + ".",
		"none, signature kept":  b64([]byte(headerFor(ec, "none", ""))) + "." + body + "." + sig,
		"nOnE":                  b64([]byte(headerFor(ec, "nOnE", ""))) + "." + body + ".",
		"signature missing":     header + "." + body + ".",
		"signature cut":         header + "." + body + "." + b64(unb64(t, sig)[:63]),
		"signature zero":        header + "." + body + "." + b64(make([]byte, 64)),
		"signature changed":     header + "." + body + "." + changed(t, sig),
		"payload changed":       header + "." + changed(t, body) + "." + sig,
		"payload replaced":      header + "." + b64([]byte(`{"sub":"auth0|root"}`)) + "." + sig,
		"of another signer":     mustSign(t, stranger, signer.ES256, "JWT"),
		"of a thief of the kid": forge(t, thief, headerFor(ec, "ES256", ""), claims),
		"wrong typ":             mustSign(t, s, signer.ES256, "at+jwt"),
		"two parts":             header + "." + body,
		"four parts":            good + "." + sig,
		"five parts":            strings.Repeat("a.", 4) + "a",
		"thousands of dots":     strings.Repeat(".", 9000),
		"dots only":             "..",
		"too long":              forge(t, ec, headerFor(ec, "ES256", ""), `{"sub":"`+strings.Repeat("a", 16<<10)+`"}`),
		"megabytes":             strings.Repeat("A", 8<<20),
		"line end":              good[:10] + "\n" + good[10:],
		"line end after it":     good + "\r\n",
		"padding":               good + "==",
		"space before it":       " " + good,
		"bits after the end":    good[:len(good)-1] + nextLetter(good[len(good)-1]),
		"JSON form":             fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, body, header, sig),
		"claims not JSON":       forge(t, ec, headerFor(ec, "ES256", ""), `{"sub":`),
		"claim twice":           forge(t, ec, headerFor(ec, "ES256", ""), `{"sub":"a","sub":"b"}`),
		"claim twice, deep":     forge(t, rs, headerFor(rs, "RS256", ""), `{"x":[{"y":{"a":1,"a":2}}]}`),
		"claims of bad types":   forge(t, ec, headerFor(ec, "ES256", ""), `["sub"]`),
		"claims very deep":      forge(t, ec, headerFor(ec, "ES256", ""), strings.Repeat("[", 11000)),
	} {
		refuse(t, s, name, token)
	}
}

// CVE-2015-9235 and its kin: the public key is known to all, so it must not serve as a
// secret.
func TestVerifyRefusesPublicKeyAsSecret(t *testing.T) {
	s, store := ready(t)
	k := store.key(t, signer.RS256)
	jwk := published(t, s.JWKS(), k.ID)
	secrets := publicAsSecrets(t, jwk)
	secrets["JWKS"] = s.JWKS()
	for name, key := range secrets {
		for _, alg := range []string{"HS256", "RS256"} {
			signed := b64([]byte(headerFor(k, alg, ""))) + "." + b64([]byte(claims))
			refuse(t, s, alg+" with "+name, signed+"."+b64(hmacOf(key, signed)))
		}
	}
}

// publicAsSecrets are the forms in which a public RSA key could be taken for a secret.
func publicAsSecrets(t testing.TB, jwk map[string]any) map[string][]byte {
	t.Helper()
	pkix, err := x509.MarshalPKIXPublicKey(rsaPublic(t, jwk))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(rsaPublic(t, jwk))
	return map[string][]byte{
		"DER": pkix, "PKCS 1": pkcs1, "n": unb64(t, jwk["n"].(string)),
		"PEM":       pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}),
		"PKCS1 PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
	}
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// refuse checks that a token is refused, without being quoted and without a kind.
func refuse(t testing.TB, s *signer.Signer, name, token string) {
	t.Helper()
	got := map[string]any{}
	err := s.Verify(t.Context(), token, "JWT", &got)
	if err == nil {
		t.Errorf("%s: accepted, claims %v", name, got)
		return
	}
	if len(got) > 0 {
		t.Errorf("%s: refused, yet claims %v were given", name, got)
	}
	if kind := fault.Of(fault.Because(fault.BadBearer, err)); kind != fault.BadBearer {
		t.Errorf("%s: the caller cannot give it a kind, it has %q", name, kind)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("%s: the error quotes the token", name)
		}
	}
}

// changed returns base64url of the same length with one bit of the middle turned.
func changed(t testing.TB, part string) string {
	t.Helper()
	raw := unb64(t, part)
	raw[len(raw)/2] ^= 1
	return b64(raw)
}

// nextLetter turns a bit that no decoded byte holds: 64 bytes leave four over.
func nextLetter(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

// Whatever comes in, what is accepted was signed by a published key.
func FuzzVerify(f *testing.F) {
	s, store := ready(f)
	ec := store.key(f, signer.ES256)
	good := mustSign(f, s, signer.ES256, "JWT")
	f.Add(good)
	f.Add(mustSign(f, s, signer.RS256, "JWT"))
	f.Add(forge(f, ec, headerFor(ec, "ES256", `,"crit":[]`), claims))
	f.Add("..")
	f.Add(good + ".")
	f.Fuzz(func(t *testing.T, token string) {
		if s.Verify(t.Context(), token, "JWT", &map[string]any{}) != nil {
			return
		}
		kid := members(t, unb64(t, strings.Split(token, ".")[0]))["kid"].(string)
		if err := checkSignature(t, token, published(t, s.JWKS(), kid)); err != nil {
			t.Errorf("accepted, but the standard library says: %v", err)
		}
	})
}
