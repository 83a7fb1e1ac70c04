package signer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/signer"
)

// jwt are the types that the tests below take.
var jwt = []string{"JWT", "client-authentication+jwt"}

// publicOf is the public half of a kept key as a JWK, with members changed; nil drops one.
func publicOf(t testing.TB, k signer.Key, change map[string]any) string {
	t.Helper()
	all, public := members(t, []byte(k.Private.Reveal())), map[string]any{"kid": k.ID, "alg": k.Algorithm, "use": "sig"}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if v, ok := all[name]; ok {
			public[name] = v
		}
	}
	for name, v := range change {
		if public[name] = v; v == nil {
			delete(public, name)
		}
	}
	text, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func foreignKeys(t testing.TB, jwks ...string) *signer.ForeignKeys {
	t.Helper()
	keys, err := signer.ParseForeignKeys([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// What is accepted: also without kid and typ, and with keys that have neither kid nor alg.
func TestForeignKeysAccept(t *testing.T) {
	_, store := ready(t)
	ec, rs := store.key(t, signer.ES256), store.key(t, signer.RS256)
	bare := map[string]any{"kid": nil, "alg": nil, "use": nil}
	for name, keys := range map[string]*signer.ForeignKeys{
		"named": foreignKeys(t, publicOf(t, ec, nil), publicOf(t, rs, nil)),
		"bare":  foreignKeys(t, publicOf(t, rs, bare), publicOf(t, ec, bare)),
	} {
		for _, k := range []signer.Key{ec, rs} {
			for _, header := range []string{
				headerFor(k, k.Algorithm, ""),
				fmt.Sprintf(`{"alg":%q}`, k.Algorithm),
				fmt.Sprintf(`{"alg":%q,"typ":"client-authentication+jwt"}`, k.Algorithm),
				fmt.Sprintf(`{"alg":%q,"typ":"jwt","kid":%q}`, k.Algorithm, k.ID),
			} {
				var got map[string]any
				if err := keys.Verify(forge(t, k, header, claims), jwt, &got); err != nil || got["sub"] != "auth0|alice" {
					t.Errorf("%s, %s: %v, %v", name, header, got, err)
				}
			}
		}
	}
	// Keys of one algorithm are all tried when none is named.
	_, others := ready(t)
	two := foreignKeys(t, publicOf(t, others.key(t, signer.ES256), nil), publicOf(t, ec, nil))
	if err := two.Verify(forge(t, ec, `{"alg":"ES256"}`, claims), jwt, &map[string]any{}); err != nil {
		t.Errorf("the second key: %v", err)
	}
}

// Standards 7.4, the mutations of header and signature.
func TestForeignKeysRefuse(t *testing.T) {
	_, store := ready(t)
	_, strangers := ready(t)
	ec, rs, thief := store.key(t, signer.ES256), store.key(t, signer.RS256), strangers.key(t, signer.ES256)
	keys := foreignKeys(t, publicOf(t, ec, nil), publicOf(t, rs, nil))
	good := forge(t, ec, headerFor(ec, "ES256", ""), claims)
	part := strings.Split(good, ".")
	refused := map[string]string{
		"thousands of dots": strings.Repeat(".", 9000), "megabytes": strings.Repeat("A", 8<<20), "nothing": "", "dots": "..",
		"signature missing": part[0] + "." + part[1] + ".", "signature zero": part[0] + "." + part[1] + "." + b64(make([]byte, 64)),
		"signature changed": part[0] + "." + part[1] + "." + changed(t, part[2]), "payload changed": part[0] + "." + changed(t, part[1]) + "." + part[2],
		"a DER signature": part[0] + "." + part[1] + "." + b64(derSigned(t, ec, part[0]+"."+part[1])),
		"padding":         good + "==", "line end": good + "\n", "bits after the end": good[:len(good)-1] + nextLetter(good[len(good)-1]),
		"a thief's": forge(t, thief, headerFor(ec, "ES256", ""), claims), "a stranger's kid": forge(t, ec, headerFor(thief, "ES256", ""), claims),
		"nested": forge(t, ec, headerFor(ec, "ES256", `,"cty":"JWT"`), good), "claim twice": forge(t, ec, headerFor(ec, "ES256", ""), `{"sub":"a","sub":"b"}`),
		"JWE": b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647}`)) + ".a.a.a.a",
	}
	for _, more := range []string{`"crit":["exp"],"exp":1`, `"crit":["b64"],"b64":false`, `"b64":false`, `"zip":"DEF"`, `"jku":"https://evil.example/"`,
		`"x5u":"https://evil.example/"`, `"x5c":["AA"]`, `"jwk":` + publicOf(t, thief, nil), `"x5t":"AA"`, `"alg":"ES256"`, `"kid":"x"`} {
		refused["header with "+more] = forge(t, ec, headerFor(ec, "ES256", ","+more), claims)
		refused["thief's header with "+more] = forge(t, thief, headerFor(ec, "ES256", ","+more), claims)
	}
	for _, alg := range []string{"none", "None", "nOnE", "", "HS256", "RS256", "PS256", "ES256K", "ES384", "es256"} {
		refused["EC as "+alg] = forge(t, ec, headerFor(ec, alg, ""), claims)
		refused["unsigned as "+alg] = b64([]byte(headerFor(ec, alg, ""))) + "." + part[1] + "."
	}
	for _, alg := range []string{"PS256", "RS384", "RS512", "ES256", "HS256"} {
		refused["RSA as "+alg] = forge(t, rs, headerFor(rs, alg, ""), claims)
	}
	for _, kid := range []string{"../../etc/passwd", "' OR 1=1 --", "https://evil.example/k", "", strings.Repeat("k", 1<<20)} {
		refused["kid "+kid[:min(len(kid), 20)]] = forge(t, ec, fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), claims)
	}
	for _, typ := range []string{"at+jwt", "dpop+jwt", "logout+jwt", ""} {
		refused["typ "+typ] = forge(t, ec, fmt.Sprintf(`{"alg":"ES256","typ":%q}`, typ), claims)
	}
	for name, token := range refused {
		if err := keys.Verify(token, jwt, &map[string]any{}); err == nil || len(token) > 20 && strings.Contains(err.Error(), token[len(token)-20:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// derSigned is a right signature in the form that other protocols have.
func derSigned(t testing.TB, k signer.Key, signed string) []byte {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unb64(t, members(t, []byte(k.Private.Reveal()))["d"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// HS256 with whatever of a public key could be taken for a secret.
func TestForeignKeysAreNoSecret(t *testing.T) {
	_, store := ready(t)
	rs := store.key(t, signer.RS256)
	public := publicOf(t, rs, nil)
	keys := foreignKeys(t, public)
	for name, secret := range publicAsSecrets(t, members(t, []byte(public))) {
		for _, alg := range []string{"HS256", "RS256"} {
			signed := b64([]byte(headerFor(rs, alg, ""))) + "." + b64([]byte(claims))
			if err := keys.Verify(signed+"."+b64(hmacOf(secret, signed)), jwt, &map[string]any{}); err == nil {
				t.Errorf("%s as the secret of %s is accepted", name, alg)
			}
		}
	}
}

func TestForeignKeysThatAreRefused(t *testing.T) {
	_, store := ready(t)
	ec, rs := store.key(t, signer.ES256), store.key(t, signer.RS256)
	weak, wide := weakRSA(t), widerCurve(t)
	good := publicOf(t, ec, nil)
	for name, text := range map[string]string{
		"not JSON": `{"keys":`, "a list": `[` + good + `]`, "no keys": `{"keys":[]}`, "empty": ``, "nothing": `{}`,
		"private EC":       `{"keys":[` + ec.Private.Reveal() + `]}`,
		"private RSA":      `{"keys":[` + rs.Private.Reveal() + `]}`,
		"symmetric":        `{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAx","alg":"HS256"}]}`,
		"OKP":              `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		"short RSA":        `{"keys":[` + publicOf(t, weak, nil) + `]}`,
		"exponent 1":       `{"keys":[` + publicOf(t, rs, map[string]any{"e": "AQ"}) + `]}`,
		"exponent 2":       `{"keys":[` + publicOf(t, rs, map[string]any{"e": "Ag"}) + `]}`,
		"another curve":    `{"keys":[` + publicOf(t, wide, map[string]any{"alg": nil}) + `]}`,
		"no point":         `{"keys":[` + publicOf(t, ec, map[string]any{"x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}) + `]}`,
		"half a point":     `{"keys":[` + publicOf(t, ec, map[string]any{"y": nil}) + `]}`,
		"for encryption":   `{"keys":[` + publicOf(t, ec, map[string]any{"use": "enc"}) + `]}`,
		"another's alg":    `{"keys":[` + publicOf(t, ec, map[string]any{"alg": "RS256"}) + `]}`,
		"PSS":              `{"keys":[` + publicOf(t, rs, map[string]any{"alg": "PS256"}) + `]}`,
		"one kid for two":  `{"keys":[` + good + `,` + publicOf(t, rs, map[string]any{"kid": ec.ID}) + `]}`,
		"more than eight":  `{"keys":[` + strings.Repeat(publicOf(t, ec, map[string]any{"kid": nil})+",", 8) + good + `]}`,
		"a good and a bad": `{"keys":[` + good + `,` + publicOf(t, weak, nil) + `]}`,
	} {
		if _, err := signer.ParseForeignKeys([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 120 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
