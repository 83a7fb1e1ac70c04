package oauth

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

func TestReadOwnTokens(t *testing.T) {
	for _, dialect := range []Dialect{RFC9068, Auth0} {
		h := newHouse()
		i := h.issuer(func(o *Options) { o.Dialect = dialect })
		for _, audience := range [][]string{{manage}, {manage, userinfo}, {things, manage}} {
			tokens, err := i.Issue(t.Context(), h.clearance(t, alice("openid enroll", audience...)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := i.Read(t.Context(), tokens.Access, manage)
			last := h.issued[len(h.issued)-1]
			want := Access{ID: last.Access.ID, Subject: "auth0|alice", Client: "spa", Session: last.Session.ID, Audience: audience, Scopes: []string{"openid", "enroll"}, Expires: last.Access.ExpiresAt.Truncate(time.Second)}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s %v: %+v, %v", dialect, audience, got, err)
			}
			if _, err := i.Read(t.Context(), tokens.ID, manage); fault.Of(err) != fault.BadAccessToken {
				t.Errorf("%s: an ID token was read as an access token: %v", dialect, err)
			}
			if _, err := i.Read(t.Context(), tokens.ID, "spa"); fault.Of(err) != fault.BadAccessToken {
				t.Errorf("%s: an ID token was read for its own audience: %v", dialect, err)
			}
		}
	}
}

// Every token here is signed with a published key; what it says is wrong.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name     string
		alg, typ string
		change   map[string]any // of the claims of a token that holds; nil removes
		ok       bool
	}{
		{name: "nothing changed", ok: true},
		{name: "array of audiences", change: map[string]any{"aud": []string{"x", manage}}, ok: true},
		{name: "other type, in capitals", typ: "AT+JWT", ok: true},
		{name: "ID token's type", typ: "JWT"},
		{name: "logout token's type", typ: "logout+jwt"},
		{name: "another issuer", change: map[string]any{"iss": "https://evil.test/"}},
		{name: "issuer without its slash", change: map[string]any{"iss": strings.TrimSuffix(issuerURL, "/")}},
		{name: "no issuer", change: map[string]any{"iss": nil}},
		{name: "another audience", change: map[string]any{"aud": things}},
		{name: "audience without its slash", change: map[string]any{"aud": strings.TrimSuffix(manage, "/")}},
		{name: "audience in capitals", change: map[string]any{"aud": strings.ToUpper(manage)}},
		{name: "audience inside another", change: map[string]any{"aud": manage + "x"}},
		{name: "other audiences", change: map[string]any{"aud": []string{things, userinfo}}},
		{name: "no audiences", change: map[string]any{"aud": []string{}}},
		{name: "no audience", change: map[string]any{"aud": nil}},
		{name: "a number as audience", change: map[string]any{"aud": 1}},
		{name: "numbers as audiences", change: map[string]any{"aud": []any{manage, 1}}},
		{name: "expired", change: map[string]any{"exp": noon.Unix()}},
		{name: "long expired", change: map[string]any{"exp": -1}},
		{name: "no expiry", change: map[string]any{"exp": nil}},
		{name: "expiry as text", change: map[string]any{"exp": "9999999999"}},
		{name: "expiry as fraction", change: map[string]any{"exp": 9999999999.5}},
		{name: "no id", change: map[string]any{"jti": nil}},
		{name: "an id nobody issued", change: map[string]any{"jti": "made-up"}},
		{name: "revoked", change: map[string]any{"jti": "revoked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse()
			h.now = noon.Truncate(time.Second)
			i := h.issuer()
			for range 2 {
				if _, err := i.Issue(t.Context(), h.clearance(t, alice("enroll", manage))); err != nil {
					t.Fatal(err)
				}
			}
			h.issued[1].Access.ID = "revoked"
			h.revoked["revoked"] = true
			claims := map[string]any{"iss": issuerURL, "sub": "auth0|alice", "aud": manage, "client_id": "spa", "scope": "enroll",
				"exp": noon.Unix() + 1, "jti": h.issued[0].Access.ID}
			maps.Copy(claims, c.change)
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
			if c.typ == "" {
				c.typ = "at+jwt"
			}
			token, err := newSigner().Sign(ES256, c.typ, claims)
			if err != nil {
				t.Fatal(err)
			}
			_, err = i.Read(t.Context(), secret.New(token), manage)
			if (err == nil) != c.ok || err != nil && fault.Of(err) != fault.BadAccessToken {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Error("the error quotes the token")
			}
		})
	}
}

func TestReadGarbage(t *testing.T) {
	h := newHouse()
	i := h.issuer()
	tokens, err := i.Issue(t.Context(), h.clearance(t, alice("enroll", manage)))
	if err != nil {
		t.Fatal(err)
	}
	good := tokens.Access.Reveal()
	parts := strings.Split(good, ".")
	for _, token := range []string{
		"", ".", "..", "x.y.z", good + "=", good + ".", "." + good, good[:len(good)-2], parts[0] + "." + parts[1] + ".",
		"eyJhbGciOiJub25lIn0." + parts[1] + ".", strings.Repeat(".", 10_000), " " + good, good + "\n",
	} {
		if _, err := i.Read(t.Context(), secret.New(token), manage); fault.Of(err) != fault.BadAccessToken {
			t.Errorf("%.20q: %v", token, err)
		}
	}
	if _, err := i.Read(t.Context(), tokens.Access, manage); err != nil {
		t.Errorf("the good one: %v", err)
	}
	// A token of the other dialect is none of this gateway's.
	if _, err := h.issuer(func(o *Options) { o.Dialect = Auth0 }).Read(t.Context(), tokens.Access, manage); fault.Of(err) != fault.BadAccessToken {
		t.Errorf("the other dialect: %v", err)
	}
}

// A store that does not answer is neither "revoked" nor "holds".
func TestReadStoreDown(t *testing.T) {
	h := newHouse()
	i := h.issuer()
	tokens, err := i.Issue(t.Context(), h.clearance(t, alice("enroll", manage)))
	if err != nil {
		t.Fatal(err)
	}
	h.storeDown = errDown
	if got, err := i.Read(t.Context(), tokens.Access, manage); fault.Of(err) != fault.Unavailable || got.ID != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}
