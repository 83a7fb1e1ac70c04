package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// FuzzBasic: whatever stands in header and body, a confidential client is authenticated by
// its secret alone, and what fails is a bad client.
func FuzzBasic(f *testing.F) {
	h := newHouse()
	a := &Authenticator{Registry: h}
	for _, header := range []string{"", "Basic", "Basic ", basic("web", webSecret), basic("web", ""), basic("a+b", "%zz"), "basic d2Vi", "Bearer x", "Basic \xff"} {
		f.Add(header, "web", "")
		f.Add(header, "", webSecret)
	}
	f.Fuzz(func(t *testing.T, header, id, text string) {
		r := post()
		r.Header["Authorization"] = []string{header}
		form := url.Values{}
		for name, value := range map[string]string{"client_id": id, "client_secret": text} {
			if value != "" {
				form.Set(name, value)
			}
		}
		c, err := a.Authenticate(t.Context(), r, form)
		if err != nil {
			if fault.Of(err) != fault.BadClient {
				t.Fatalf("%q %q: %v", header, id, err)
			}
			return
		}
		if c.Confidential && !known(c.SecretHashes, r, text) {
			t.Fatalf("%s by %q and %q", c.ID, header, text)
		}
	})
}

// known reports whether a secret of the client was shown in the body or in the header.
func known(hashes []string, r *http.Request, text string) bool {
	_, shown, _ := r.BasicAuth()
	shown, _ = url.QueryUnescape(shown)
	for _, hash := range hashes {
		if hash == secret.Hash(secret.New(text)) || hash == secret.Hash(secret.New(shown)) {
			return true
		}
	}
	return false
}

// FuzzAssertion: nothing is accepted but what the client signed, and that once. Fuzzing is
// done by several processes, each with keys of its own.
func FuzzAssertion(f *testing.F) {
	_, l, a := robots(f)
	signed := assertion(f, "robot", nil).Get("client_assertion")
	body := signed[:strings.LastIndex(signed, ".")+1]
	for _, seed := range []string{"", ".", "..", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb2JvdCJ9.", strings.Repeat(".", 100), signed} {
		f.Add(seed, "robot", assertionType)
		f.Add(seed, "", assertionType)
	}
	f.Fuzz(func(t *testing.T, token, id, kind string) {
		clear(l.used)
		form := url.Values{"client_assertion": {token}, "client_assertion_type": {kind}}
		if id != "" {
			form.Set("client_id", id)
		}
		for range 2 {
			c, err := a.Authenticate(t.Context(), post(), form)
			switch {
			case err == nil && (!strings.HasPrefix(token, body) || c.ID != "robot" || kind != assertionType):
				t.Fatalf("%s is in by %q", c.ID, token)
			case err == nil && len(l.used) != 1:
				t.Fatal("an assertion was not used up")
			case err != nil && fault.Of(err) != fault.BadClient && (id != "broken" || fault.Of(err) != fault.Internal):
				t.Fatalf("%q: %v", token, err)
			}
		}
	})
}
