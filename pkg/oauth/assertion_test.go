package oauth

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// ledger is a record.Redeemer in memory.
type ledger struct {
	used map[record.Redemption]bool
	down error
}

func (l *ledger) Redeem(_ context.Context, r record.Redemption) (bool, error) {
	if l.down != nil {
		return false, l.down
	}
	first := !l.used[r]
	l.used[r] = true
	return first, nil
}

// robots is a house with clients that sign assertions, and what authenticates them.
func robots(t testing.TB) (*house, *ledger, *Authenticator) {
	t.Helper()
	h, l := newHouse(), &ledger{used: map[record.Redemption]bool{}}
	keys := json.RawMessage(newSigner().JWKS())
	for id, c := range map[string]record.Client{
		"robot":  {Confidential: true, Keys: keys},
		"both":   {Confidential: true, Keys: keys, SecretHashes: []string{secret.Hash(secret.New(webSecret))}},
		"public": {Keys: keys},
		"over":   {Confidential: true, Keys: keys, Disabled: true},
		"broken": {Confidential: true, Keys: json.RawMessage(`{"keys":[]}`)},
	} {
		c.ID = id
		h.clients[id] = c
	}
	return h, l, &Authenticator{Registry: h, Redeemer: l, Audiences: []string{issuerURL}, Now: func() time.Time { return h.now }}
}

// assertion is a form with an assertion of a client, its claims changed; nil drops one.
func assertion(t testing.TB, client string, change map[string]any) url.Values {
	t.Helper()
	claims := map[string]any{"iss": client, "sub": client, "aud": issuerURL, "jti": "1", "iat": noon.Unix(), "exp": noon.Unix() + 120}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	token, err := newSigner().Sign(ES256, "JWT", claims)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"client_id": {client}, "client_assertion": {token}, "client_assertion_type": {assertionType}}
}

func post() *http.Request { return httptest.NewRequest(http.MethodPost, "/oauth/token", nil) }

// Standards 7.4, the mutations of claims; RFC 7523, 3.
func TestAssertionClaims(t *testing.T) {
	second := noon.Unix()
	for _, c := range []struct {
		name   string
		change map[string]any
		good   bool
	}{
		{"as it should be", nil, true},
		{"the audience as a list", map[string]any{"aud": []string{issuerURL}}, true},
		{"without iat", map[string]any{"iat": nil}, true},
		{"with nbf", map[string]any{"nbf": second}, true},
		{"a clock that is ahead", map[string]any{"iat": second + 60, "nbf": second + 60}, true},
		{"the last second", map[string]any{"exp": second + 1, "iat": second - 300}, true},
		{"five minutes", map[string]any{"exp": second + 300}, true},
		{"further claims", map[string]any{"x": map[string]any{"y": 1}}, true},

		{"more than five minutes", map[string]any{"exp": second + 301}, false},
		{"expires in a year", map[string]any{"exp": second + 365*86400}, false},
		{"never expires", map[string]any{"exp": nil}, false},
		{"expires null", map[string]any{"exp": json.RawMessage("null")}, false},
		{"expired", map[string]any{"exp": second}, false},
		{"expired, negative", map[string]any{"exp": -1}, false},
		{"expires a text", map[string]any{"exp": json.RawMessage(`"` + noon.Format(time.RFC3339) + `"`)}, false},
		{"expires a fraction", map[string]any{"exp": json.RawMessage("1772625720.5")}, false},
		{"expires 1e400", map[string]any{"exp": json.RawMessage("1e400")}, false},
		{"expires at the end of numbers", map[string]any{"exp": json.RawMessage("9223372036854775807")}, false},
		{"expires beyond them", map[string]any{"exp": json.RawMessage("9223372036854775808")}, false},
		{"expires a list", map[string]any{"exp": []int64{second + 60}}, false},
		{"expires true", map[string]any{"exp": true}, false},
		{"EXP for exp", map[string]any{"exp": nil, "EXP": second + 60}, false},
		{"issued in the future", map[string]any{"iat": second + 61}, false},
		{"issued as text", map[string]any{"iat": "now"}, false},
		{"issued after it expires", map[string]any{"exp": second + 10, "iat": second + 11}, false},
		{"not yet", map[string]any{"nbf": second + 61}, false},
		{"no audience", map[string]any{"aud": nil}, false},
		{"an empty audience", map[string]any{"aud": []string{}}, false},
		{"audience null", map[string]any{"aud": json.RawMessage("null")}, false},
		{"a number for audience", map[string]any{"aud": 1}, false},
		{"the token endpoint", map[string]any{"aud": issuerURL + "oauth/token"}, false},
		{"the issuer and the token endpoint", map[string]any{"aud": []string{issuerURL, issuerURL + "oauth/token"}}, false},
		{"the issuer and somebody else", map[string]any{"aud": []string{issuerURL, "https://evil.example/"}}, false},
		{"the issuer without its slash", map[string]any{"aud": strings.TrimSuffix(issuerURL, "/")}, false},
		{"the issuer in capitals", map[string]any{"aud": strings.ToUpper(issuerURL)}, false},
		{"more than the issuer", map[string]any{"aud": issuerURL + "x"}, false},
		{"less than the issuer", map[string]any{"aud": issuerURL[:10]}, false},
		{"AUD for aud", map[string]any{"aud": nil, "AUD": issuerURL}, false},
		{"another issuer", map[string]any{"iss": "web"}, false},
		{"no issuer", map[string]any{"iss": nil}, false},
		{"another subject", map[string]any{"sub": "web"}, false},
		{"no subject", map[string]any{"sub": nil}, false},
		{"another one altogether", map[string]any{"iss": "web", "sub": "web"}, false},
		{"the gateway's", map[string]any{"iss": issuerURL, "sub": "robot"}, false},
		{"no jti", map[string]any{"jti": nil}, false},
		{"an empty jti", map[string]any{"jti": ""}, false},
		{"a number for jti", map[string]any{"jti": 7}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, l, a := robots(t)
			form := assertion(t, "robot", c.change)
			got, err := a.Authenticate(t.Context(), post(), form)
			if !c.good {
				if err == nil || fault.Of(err) != fault.BadClient || len(l.used) != 0 {
					t.Fatalf("got %v, %v; used up %v", got.ID, err, l.used)
				}
				return
			}
			if err != nil || got.ID != "robot" || len(l.used) != 1 {
				t.Fatalf("got %q, %v; used up %v", got.ID, err, l.used)
			}
			if _, err := a.Authenticate(t.Context(), post(), form); fault.Of(err) != fault.BadClient {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

// What stands around an assertion in the request.
func TestAssertionRequests(t *testing.T) {
	for _, c := range []struct {
		name, client, header string
		change               func(url.Values)
		want                 fault.Kind // empty: accepted
	}{
		{"without the id", "robot", "", func(f url.Values) { f.Del("client_id") }, ""},
		{"of a client with a secret as well", "both", "", nil, ""},
		{"a bearer header is ignored", "robot", "Bearer some.mfa.token", nil, ""},
		{"another's id", "robot", "", func(f url.Values) { f.Set("client_id", "both") }, fault.BadClient},
		{"an unknown id", "robot", "", func(f url.Values) { f.Set("client_id", "nobody") }, fault.BadClient},
		{"with the right secret", "both", "", func(f url.Values) { f.Set("client_secret", webSecret) }, fault.BadClient},
		{"with a secret", "robot", "", func(f url.Values) { f.Set("client_secret", webSecret) }, fault.BadClient},
		{"with a header", "both", basic("both", webSecret), nil, fault.BadClient},
		{"with a damaged header", "robot", "Basic ???", nil, fault.BadClient},
		{"no type", "robot", "", func(f url.Values) { f.Del("client_assertion_type") }, fault.BadClient},
		{"another type", "robot", "", func(f url.Values) {
			f.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
		}, fault.BadClient},
		{"nothing but a type", "both", "", func(f url.Values) { f.Del("client_assertion") }, fault.BadClient},
		{"a type and the secret", "both", "", func(f url.Values) {
			f.Del("client_assertion")
			f.Set("client_secret", webSecret)
		}, fault.BadClient},
		{"garbage", "robot", "", func(f url.Values) { f.Set("client_assertion", "garbage") }, fault.BadClient},
		{"garbage without an id", "robot", "", func(f url.Values) {
			f.Del("client_id")
			f.Set("client_assertion", "a.b.c")
		}, fault.BadClient},
		{"of a public client", "public", "", nil, fault.BadClient},
		{"of a client without keys", "web", "", nil, fault.BadClient},
		{"of a disabled client", "over", "", nil, fault.BadClient},
		{"of an unknown client", "stranger", "", nil, fault.BadClient},
		{"of a client whose keys are damaged", "broken", "", nil, fault.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, l, a := robots(t)
			form, r := assertion(t, c.client, nil), post()
			if c.change != nil {
				c.change(form)
			}
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			got, err := a.Authenticate(t.Context(), r, form)
			if c.want != "" {
				if err == nil || fault.Of(err) != c.want || len(l.used) != 0 {
					t.Errorf("got %q, %v, want %s", got.ID, err, c.want)
				}
				return
			}
			if err != nil || got.ID != c.client || len(l.used) != 1 {
				t.Errorf("got %q, %v", got.ID, err)
			}
		})
	}
}

// An access token of the gateway, or an ID token, is signed by keys that nobody
// registers; here somebody did, and the type still tells.
func TestAssertionType(t *testing.T) {
	_, _, a := robots(t)
	form := assertion(t, "robot", nil)
	claims := map[string]any{"iss": "robot", "sub": "robot", "aud": issuerURL, "jti": "1", "exp": noon.Unix() + 60}
	token, err := newSigner().Sign(ES256, "at+jwt", claims)
	if err != nil {
		t.Fatal(err)
	}
	form.Set("client_assertion", token)
	if _, err := a.Authenticate(t.Context(), post(), form); fault.Of(err) != fault.BadClient {
		t.Errorf("an access token: %v", err)
	}
	token, err = newSigner().Sign(RS256, "client-authentication+jwt", claims)
	if err != nil {
		t.Fatal(err)
	}
	form.Set("client_assertion", token)
	if _, err := a.Authenticate(t.Context(), post(), form); err != nil {
		t.Errorf("the type of the standard, RS256: %v", err)
	}
}

// One client's jti is none of another's; a store that cannot say closes the door.
func TestAssertionIsUsedUp(t *testing.T) {
	_, l, a := robots(t)
	for _, client := range []string{"robot", "both"} {
		if _, err := a.Authenticate(t.Context(), post(), assertion(t, client, nil)); err != nil {
			t.Errorf("%s: %v", client, err)
		}
	}
	if len(l.used) != 2 {
		t.Errorf("used up %v", l.used)
	}
	for r := range l.used {
		if r.Kind != assertionKind || len(r.Hash) != 64 || !r.ExpiresAt.Equal(noon.Truncate(time.Second).Add(2*time.Minute)) {
			t.Errorf("used up %+v", r)
		}
	}
	l.down = errDown
	if _, err := a.Authenticate(t.Context(), post(), assertion(t, "robot", map[string]any{"jti": "2"})); fault.Of(err) != fault.Unavailable {
		t.Errorf("no store: %v", err)
	}
}

// Auth0 MFA API, 1.3.2: with an mfa_token such a client may come without an assertion,
// but not with a wrong one, and nowhere else.
func TestHolder(t *testing.T) {
	_, _, a := robots(t)
	bare := url.Values{"client_id": {"robot"}}
	if c, proved, err := a.Holder(t.Context(), post(), bare); err != nil || c.ID != "robot" || proved {
		t.Errorf("bare: %v, %v", proved, err)
	}
	if _, err := a.Authenticate(t.Context(), post(), bare); fault.Of(err) != fault.BadClient {
		t.Errorf("bare, at the token endpoint: %v", err)
	}
	if _, proved, err := a.Holder(t.Context(), post(), assertion(t, "robot", nil)); err != nil || !proved {
		t.Errorf("with an assertion: %v, %v", proved, err)
	}
	for name, form := range map[string]url.Values{
		"a wrong assertion": assertion(t, "robot", map[string]any{"aud": "https://evil.example/"}),
		"a wrong secret":    {"client_id": {"both"}, "client_secret": {newSecret}},
		"disabled":          {"client_id": {"over"}},
		"without keys":      {"client_id": {"web"}},
	} {
		if _, _, err := a.Holder(t.Context(), post(), form); fault.Of(err) != fault.BadClient {
			t.Errorf("%s: %v", name, err)
		}
	}
}
