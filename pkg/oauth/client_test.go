package oauth

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	webSecret = "web-secret-0123456789abcdef0123456789abcdef"
	newSecret = "new-secret-0123456789abcdef0123456789abcdef"
)

// basic is the Authorization header of two texts as they are.
func basic(id, text string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+text))
}

func TestClientAuthentication(t *testing.T) {
	const wrong = "wrong-secret-0123456789abcdef0123456789abcd"
	for _, c := range []struct {
		name, header, id, secret string
		want                     string // the client; empty: refused
		identified               string // by Identify, which asks for no secret; empty: as want
	}{
		{"none, public", "", "spa", "", "spa", ""},
		{"none, confidential", "", "web", "", "", "web"},
		{"post", "", "web", webSecret, "web", ""},
		{"post, the other live secret", "", "web", newSecret, "web", ""},
		{"post, wrong", "", "web", wrong, "", ""},
		{"post, a hash for a secret", "", "web", secret.Hash(secret.New(webSecret)), "", ""},
		{"post, unknown", "", "nobody", webSecret, "", ""},
		{"post, no id", "", "", webSecret, "", ""},
		{"nothing", "", "", "", "", ""},
		{"disabled", "", "off", "", "", ""},
		{"ids are exact", "", "WEB", webSecret, "", ""},
		{"public with a secret", "", "spa", webSecret, "", ""},
		{"public with a secret that it has", "", "mis", webSecret, "", ""},
		{"basic", basic("web", webSecret), "", "", "web", ""},
		{"basic, the other live secret", basic("web", newSecret), "", "", "web", ""},
		{"basic, any case", "bASIC" + basic("web", webSecret)[5:], "", "", "web", ""},
		{"basic, wrong", basic("web", wrong), "", "", "", ""},
		{"basic, no secret", basic("web", ""), "", "", "", ""},
		{"basic, public without a secret", basic("spa", ""), "", "", "", ""},
		{"basic, public with a secret", basic("spa", webSecret), "", "", "", ""},
		{"basic, disabled", basic("off", webSecret), "", "", "", ""},
		{"basic, unknown", basic("nobody", webSecret), "", "", "", ""},
		{"basic, form-encoded", basic("a+b", "s%3Ap%2B%25%26%3D%C3%A9"), "", "", "a b", ""},
		{"basic, not encoded", basic("a b", "s:p+%&=é"), "", "", "", ""},
		{"basic, bad escape", basic("web", "%zz"), "", "", "", ""},
		{"basic, no base64", "Basic ???", "web", webSecret, "", ""},
		{"basic, no colon", "Basic d2Vi", "web", webSecret, "", ""},
		{"basic, nothing", "Basic", "web", webSecret, "", ""},
		{"both the same", basic("web", webSecret), "web", webSecret, "web", ""},
		{"basic and the id", basic("web", webSecret), "web", "", "web", ""},
		{"basic and the secret", basic("web", webSecret), "", webSecret, "web", ""},
		{"both live, not the same", basic("web", webSecret), "web", newSecret, "", ""},
		{"right header, wrong body", basic("web", webSecret), "web", wrong, "", ""},
		{"wrong header, right body", basic("web", wrong), "web", webSecret, "", ""},
		{"two clients", basic("web", webSecret), "spa", "", "", ""},
		{"bearer is ignored (1.1.12)", "Bearer some.mfa.token", "spa", "", "spa", ""},
		{"bearer is no secret", "Bearer " + webSecret, "web", "", "", "web"},
		{"another scheme", "Digest x", "web", webSecret, "web", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &Authenticator{Registry: newHouse()}
			r := httptest.NewRequest(http.MethodPost, "/oauth/token?client_id=spa&client_secret="+webSecret, nil)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			form := url.Values{}
			if c.id != "" {
				form.Set("client_id", c.id)
			}
			if c.secret != "" {
				form.Set("client_secret", c.secret)
			}
			got, err := a.Authenticate(t.Context(), r, form)
			if got.ID != c.want || (err == nil) != (c.want != "") || err != nil && fault.Of(err) != fault.BadClient {
				t.Errorf("authenticated %q, %v; want %q", got.ID, err, c.want)
			}
			if c.identified == "" {
				c.identified = c.want
			}
			got, proved, err := a.Identify(t.Context(), r, form)
			if got.ID != c.identified || (err == nil) != (c.identified != "") || proved != (c.want != "" && c.want != "spa") {
				t.Errorf("identified %q, %v, %v; want %q", got.ID, proved, err, c.identified)
			}
			if got, _, err := a.Holder(t.Context(), r, form); got.ID != c.want || (err == nil) != (c.want != "") {
				t.Errorf("a holder is %q, %v; want %q", got.ID, err, c.want)
			}
		})
	}
}

// A registry that does not answer is no unknown client.
func TestClientRegistryDown(t *testing.T) {
	h := newHouse()
	h.registryDown = errDown
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	_, err := (&Authenticator{Registry: h}).Authenticate(t.Context(), r, url.Values{"client_id": {"web"}, "client_secret": {webSecret}})
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

// What fosite gets to see of a client holds no secret and opens nothing by itself.
func TestClientOfFosite(t *testing.T) {
	h := newHouse()
	web, spa := client{h.clients["web"]}, client{h.clients["spa"]}
	if web.GetID() != "web" || web.IsPublic() || !spa.IsPublic() || !spa.GetGrantTypes().Has("password") {
		t.Errorf("%+v", web)
	}
	if web.GetHashedSecret() != nil || web.GetScopes() != nil || web.GetAudience() != nil || web.GetResponseTypes() != nil || web.GetRedirectURIs() != nil {
		t.Error("fosite sees more than it may decide on")
	}
}
