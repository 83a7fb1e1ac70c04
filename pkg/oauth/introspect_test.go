package oauth

import (
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// wantInactive fails the test unless the answer is the one that says nothing.
func wantInactive(t *testing.T, what string, got map[string]any) {
	t.Helper()
	if !reflect.DeepEqual(got, map[string]any{"active": false}) {
		t.Errorf("%s: %v", what, got)
	}
}

// must is an answer, or one that tells the failure.
func must(answer map[string]any, err error) map[string]any {
	if err != nil {
		return map[string]any{"failed": err}
	}
	return answer
}

// O-76-2: the answer has every claim, whatever the dialect of the token.
func TestIntrospect(t *testing.T) {
	for _, dialect := range []Dialect{RFC9068, Auth0} {
		h := newHouse()
		i := h.issuer(func(o *Options) { o.Dialect = dialect })
		tokens, err := i.Issue(t.Context(), h.clearance(t, alice("openid read:things", things, userinfo)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := i.Introspect(t.Context(), tokens.Access, record.Client{ID: "api"})
		want := map[string]any{
			"active": true, "iss": issuerURL, "sub": "auth0|alice", "aud": []string{things, userinfo}, "client_id": "spa",
			"jti": h.issued[0].Access.ID, "sid": h.issued[0].Session.ID, "iat": noon.Unix(), "exp": noon.Add(15 * time.Minute).Unix(),
			"scope": "openid read:things", "token_type": "Bearer", "auth_time": noon.Add(-time.Second).Unix(),
			"amr": []string{"pwd", "otp", "mfa"}, "acr": record.MultiFactor,
		}
		if aud, ok := got["aud"].(audiences); ok {
			got["aud"] = []string(aud)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%v\nwant\n%v", dialect, err, got, want)
		}
		wantInactive(t, "an ID token", must(i.Introspect(t.Context(), tokens.ID, record.Client{ID: "spa"})))
	}
}

// O-76-1: who may look at a token, and that everybody else sees what is to be seen of
// one that is over.
func TestIntrospectConcerns(t *testing.T) {
	h := newHouse()
	i := h.issuer()
	made := map[string]secret.Text{}
	for name, audience := range map[string]string{"things": things, "userinfo": userinfo, "manage": manage} {
		tokens, err := i.Issue(t.Context(), h.clearance(t, alice("openid", audience)))
		if err != nil {
			t.Fatal(err)
		}
		made[name] = tokens.Access
	}
	for _, c := range []struct {
		name, token string
		audiences   map[string][]string
		id          string
		ok          bool
	}{
		{"its own", "things", map[string][]string{}, "spa", true},
		{"its own, for the gateway", "userinfo", map[string][]string{}, "spa", true},
		{"an API it may have", "things", map[string][]string{things: nil}, "api", true},
		{"every API", "things", nil, "api", true},
		{"another API", "things", map[string][]string{"https://other.test/": nil}, "api", false},
		{"no API", "things", map[string][]string{}, "api", false},
		{"the gateway's own", "userinfo", nil, "api", false},
		{"the gateway's own, named", "manage", map[string][]string{manage: nil}, "api", false},
		{"ids are exact", "things", map[string][]string{}, "SPA", false},
	} {
		got := must(i.Introspect(t.Context(), made[c.token], record.Client{ID: c.id, Audiences: c.audiences}))
		if !c.ok {
			wantInactive(t, c.name, got)
		} else if got["active"] != true {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestIntrospectWhatIsOver(t *testing.T) {
	h := newHouse()
	i := h.issuer()
	tokens, err := i.Issue(t.Context(), h.clearance(t, alice("openid offline_access", things)))
	if err != nil {
		t.Fatal(err)
	}
	api := record.Client{ID: "api"}
	for name, token := range map[string]secret.Text{
		"nothing": {}, "garbage": secret.New("x.y.z"), "a refresh token": tokens.Refresh, "altered": secret.New(tokens.Access.Reveal() + "x"),
	} {
		wantInactive(t, name, must(i.Introspect(t.Context(), token, api)))
	}
	h.now = noon.Add(15 * time.Minute)
	wantInactive(t, "expired", must(i.Introspect(t.Context(), tokens.Access, api)))
	h.now = noon
	if must(i.Introspect(t.Context(), tokens.Access, api))["active"] != true {
		t.Error("the token does not hold")
	}
	h.registryDown = errDown
	if got, err := i.Introspect(t.Context(), tokens.Access, api); fault.Of(err) != fault.Unavailable || got != nil {
		t.Errorf("registry down: %v, %v", got, err)
	}
	h.registryDown, h.storeDown = nil, errDown
	if got, err := i.Introspect(t.Context(), tokens.Access, api); fault.Of(err) != fault.Unavailable || got != nil {
		t.Errorf("store down: %v, %v", got, err)
	}
	h.storeDown = nil
	h.revoked[h.issued[0].Access.ID] = true
	wantInactive(t, "revoked", must(i.Introspect(t.Context(), tokens.Access, api)))
}

// What a client has for itself has neither session nor proofs, and says of none.
func TestIntrospectOwn(t *testing.T) {
	h := newHouse()
	i := h.issuer()
	tokens, err := i.IssueToClient(t.Context(), record.OwnAccess{Client: "web", Grant: "client_credentials", Audience: things, Scopes: []string{"read:things"}})
	if err != nil {
		t.Fatal(err)
	}
	got := must(i.Introspect(t.Context(), tokens.Access, record.Client{ID: "web"}))
	for _, name := range []string{"sid", "auth_time", "amr", "acr"} {
		if _, ok := got[name]; ok {
			t.Errorf("it has %s", name)
		}
	}
	if got["active"] != true || got["sub"] != "web" || got["client_id"] != "web" || got["aud"] != things {
		t.Errorf("%v", got)
	}
}
