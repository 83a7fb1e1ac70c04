package signer_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/signer"
)

func TestVerifyWithJWKS(t *testing.T) {
	s, _ := ready(t)
	stranger, _ := ready(t)
	for _, alg := range algorithms {
		token := mustSign(t, s, alg, "at+jwt")
		var got struct{ Sub string }
		if err := signer.VerifyWithJWKS(s.JWKS(), token, "at+jwt", &got); err != nil || got.Sub != "auth0|alice" {
			t.Errorf("%s: %v, claims %+v", alg, err, got)
		}
		part := strings.Split(token, ".")
		for name, bad := range map[string]string{
			"of another signer": mustSign(t, stranger, alg, "at+jwt"),
			"of another type":   mustSign(t, s, alg, "JWT"),
			"changed":           part[0] + "." + changed(t, part[1]) + "." + part[2],
			"unsigned":          part[0] + "." + part[1] + ".",
		} {
			if err := signer.VerifyWithJWKS(s.JWKS(), bad, "at+jwt", &got); err == nil {
				t.Errorf("%s: a token %s was accepted", alg, name)
			}
		}
	}
}

func TestVerifyWithJWKSRefusesSets(t *testing.T) {
	s, store := ready(t)
	token := mustSign(t, s, signer.ES256, "JWT")
	ec, rs := store.key(t, signer.ES256), store.key(t, signer.RS256)
	with := func(kid, name string, value any) []byte {
		key := published(t, s.JWKS(), kid)
		key[name] = value
		set, err := json.Marshal(map[string]any{"keys": []any{key}})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	if err := signer.VerifyWithJWKS(with(ec.ID, "use", "sig"), token, "JWT", &struct{}{}); err != nil {
		t.Fatalf("the set that the others are made of is refused: %v", err)
	}
	one := strings.TrimSuffix(strings.TrimPrefix(string(with(ec.ID, "use", "sig")), `{"keys":[`), "]}")
	for name, set := range map[string][]byte{
		"not JSON":            []byte("<html>"),
		"empty":               []byte(`{"keys":[]}`),
		"without kid":         with(ec.ID, "kid", ""),
		"without alg":         with(ec.ID, "alg", ""),
		"alg none":            with(ec.ID, "alg", "none"),
		"alg of another type": with(ec.ID, "alg", "RS256"),
		"kid of another":      with(rs.ID, "kid", ec.ID),
		"point off the curve": with(ec.ID, "x", b64(make([]byte, 32))),
		"private key":         []byte(`{"keys":[` + ec.Private.Reveal() + `]}`),
		"secret key":          []byte(`{"keys":[{"kty":"oct","alg":"HS256","kid":"` + ec.ID + `","k":"aHVzaA"}]}`),
		"kid twice":           []byte(`{"keys":[` + one + "," + one + `]}`),
	} {
		if err := signer.VerifyWithJWKS(set, token, "JWT", &struct{}{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
