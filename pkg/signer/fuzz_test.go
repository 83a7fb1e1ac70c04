package signer_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/signer"
)

// A key set of tests alone, and a token that its key signed. Fuzzing is done by several
// processes, which must agree on them.
const (
	aKeySet = `{"keys":[{"kty":"EC","crv":"P-256","kid":"robot-1","x":"MLqYw2x1d1oExW4gv-XuP36YKj0PIDjy8zavQj-7xgo","y":"aKNSeEUOun7vGUCyHs4TYBoawKgLlyqPEfVK12Nbsho"}]}`
	aToken  = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJyb2JvdCJ9.b2c1RaO4Igf1J3jakhHWShL5-C9qZxBR2KFe_X33Gk8pHB21GOh8tul20I1A3XnKajnZvjM19SfBndSbT1ppNA"
)

// FuzzForeignKeys: a key set of somebody else is refused with a sentence, or its keys take
// nothing but what they signed.
func FuzzForeignKeys(f *testing.F) {
	for _, seed := range []string{
		aKeySet, strings.TrimSuffix(strings.TrimPrefix(aKeySet, `{"keys":[`), "]}"), `{"keys":[]}`, "{}", "", `{"keys":[{"kty":"oct","k":"AA"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, `{"keys":[{"kty":"RSA","n":"AQ","e":"AQ"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`, strings.Replace(aKeySet, "crv", "x5u\":\"http://127.0.0.1:1/\",\"crv", 1),
	} {
		f.Add([]byte(seed), aToken)
	}
	f.Add([]byte(aKeySet), aToken[:strings.LastIndex(aToken, ".")+1])
	f.Fuzz(func(t *testing.T, jwks []byte, token string) {
		keys, err := signer.ParseForeignKeys(jwks)
		if err != nil {
			if err.Error() == "" || keys != nil {
				t.Fatalf("%v, %v", keys, err)
			}
			return
		}
		claims := map[string]json.RawMessage{}
		if keys.Verify(token, jwt, &claims) == nil && !strings.HasPrefix(token, aToken[:strings.LastIndex(aToken, ".")]) {
			t.Fatalf("accepted %q by %s", token, jwks)
		}
	})
}
