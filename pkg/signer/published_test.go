package signer_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/signer"
)

// atJWT are the types of an access token (RFC 9068, section 4).
var atJWT = []string{"at+jwt", "application/at+jwt"}

func TestPublishedKeys(t *testing.T) {
	s, store := ready(t)
	stranger, strangers := ready(t)
	keys, err := signer.ParsePublishedKeys(s.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range algorithms {
		kid := store.key(t, alg).ID
		for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt"} {
			token := mustSign(t, s, alg, typ)
			var got struct{ Sub string }
			if err := keys.Verify(token, atJWT, &got); err != nil || got.Sub != "auth0|alice" {
				t.Errorf("%s, %s: %v, claims %+v", alg, typ, err, got)
			}
			if named, err := signer.KeyID(token); err != nil || named != kid || !keys.Has(named) {
				t.Errorf("%s: the kid is %q, %v", alg, named, err)
			}
		}
		for name, bad := range map[string]string{
			"of another signer": mustSign(t, stranger, alg, "at+jwt"),
			"of another type":   mustSign(t, s, alg, "JWT"),
			"of no type":        mustSign(t, s, alg, ""),
			"of a thief":        forge(t, strangers.key(t, alg), headerFor(store.key(t, alg), alg, ""), claims),
		} {
			if err := keys.Verify(bad, atJWT, &struct{}{}); err == nil {
				t.Errorf("%s: a token %s was accepted", alg, name)
			}
		}
		if keys.Has(strangers.key(t, alg).ID) || keys.Has("") {
			t.Error("it has a key that was not published")
		}
	}
	for _, bad := range []string{"", "..", "a.b", strings.Repeat("a", 17<<10), "bm90IEpTT04.e30.AA"} {
		if kid, err := signer.KeyID(bad); err == nil {
			t.Errorf("a token of %d bytes has the kid %q", len(bad), kid)
		}
	}
}

// Other issuers publish more than what is of use here.
func TestPublishedKeysOfOthers(t *testing.T) {
	s, store := ready(t)
	ec, rs := store.key(t, signer.ES256), store.key(t, signer.RS256)
	token := mustSign(t, s, signer.ES256, "at+jwt")
	good := publicOf(t, ec, nil)
	set := func(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	useless := map[string]string{
		"for encryption":      publicOf(t, ec, map[string]any{"use": "enc"}),
		"without kid":         publicOf(t, ec, map[string]any{"kid": nil}),
		"of another alg":      publicOf(t, rs, map[string]any{"alg": "RS512"}),
		"alg none":            publicOf(t, ec, map[string]any{"alg": "none"}),
		"of an unknown type":  `{"kty":"AKP","kid":"later","alg":"ML-DSA-44"}`,
		"OKP":                 `{"kty":"OKP","kid":"ed","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"secret":              `{"kty":"oct","kid":"` + ec.ID + `","alg":"HS256","k":"c2VjcmV0"}`,
		"private":             ec.Private.Reveal(),
		"short RSA":           publicOf(t, weakRSA(t), nil),
		"off the curve":       publicOf(t, ec, map[string]any{"x": b64(make([]byte, 32))}),
		"no key":              `"key"`,
		"nothing":             `null`,
		"damaged":             `{"kty":"EC"}`,
		"with a kid of digit": `{"kty":"EC","kid":1}`,
	}
	for name, key := range useless {
		keys, err := signer.ParsePublishedKeys(set(key, good))
		if err != nil || !keys.Has(ec.ID) || keys.Verify(token, atJWT, &struct{}{}) != nil {
			t.Errorf("a key %s beside a good one: %v", name, err)
		}
		if keys, err := signer.ParsePublishedKeys(set(key)); err == nil {
			t.Errorf("a key %s alone is taken: %+v", name, keys)
		}
	}
	if keys, err := signer.ParsePublishedKeys(set(publicOf(t, rs, map[string]any{"alg": nil, "use": nil}))); err != nil || !keys.Has(rs.ID) {
		t.Errorf("without alg and use: %v", err)
	}
	for name, text := range map[string]string{
		"not JSON": "<html>", "empty": "", "no keys": `{"keys":[]}`, "nothing": `{}`, "null": `null`, "a list": `[` + good + `]`,
		"one kid for two": string(set(good, publicOf(t, rs, map[string]any{"kid": ec.ID}))),
	} {
		if _, err := signer.ParsePublishedKeys([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
