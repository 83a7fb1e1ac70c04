package grants

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	issuer   = "https://login.example.test/"
	things   = "https://api.example.test/"
	manage   = "https://login.example.test/mfa/"
	userinfo = "https://login.example.test/userinfo"
)

// registry is a record.Registry in memory.
type registry struct {
	clients map[string]record.Client
	apis    map[string]record.API
	down    error
}

var _ record.Registry = (*registry)(nil)

func (r *registry) Client(_ context.Context, id string) (record.Client, error) {
	c, ok := r.clients[id]
	if r.down == nil && !ok {
		return c, fault.NotFound
	}
	return c, r.down
}

func (r *registry) API(_ context.Context, audience string) (record.API, error) {
	a, ok := r.apis[audience]
	if r.down == nil && !ok {
		return a, fault.NotFound
	}
	return a, r.down
}

var errDown = errors.New("connection refused")

func tenant() *registry {
	return &registry{
		clients: map[string]record.Client{
			"spa": {ID: "spa", FirstParty: true, Grants: []string{"password", "password-realm", "refresh_token", "mfa"}, MFA: record.MFAEnrolled},
		},
		apis: map[string]record.API{
			things:                    {Audience: things, Scopes: []string{"read:things", "write:things"}, MFAScopes: []string{"write:things"}},
			"https://other.test/":     {Audience: "https://other.test/", Scopes: []string{"a", "b"}},
			"https://scopeless.test/": {Audience: "https://scopeless.test/"},
			// Scopes that are also OpenID Connect's, and one that it demands but does not have.
			"https://greedy.test/": {Audience: "https://greedy.test/", Scopes: []string{"email", "offline_access"}, MFAScopes: []string{"email", "x"}},
		},
	}
}

// The scope rules of a user grant.
func TestWish(t *testing.T) {
	spa := tenant().clients["spa"]
	off, brief, some, none := spa, spa, spa, spa
	off.MFA = record.MFAOff
	brief.Grants = []string{"password"}
	some.Audiences = map[string][]string{things: {"read:things"}, "https://other.test/": {}}
	none.Audiences = map[string][]string{}
	acr := record.MultiFactor
	for _, c := range []struct {
		name               string
		client             record.Client
		audience           string
		scope              string
		wantScope, wantAud string
		demand             mfa.Demand // without its mode, which is the client's
		refused            fault.Kind
	}{
		{name: "nothing named", client: spa, wantAud: userinfo},
		{name: "openid", client: spa, scope: "openid profile email phone address", wantScope: "openid profile email phone address", wantAud: userinfo},
		{name: "userinfo by name", client: spa, audience: userinfo, scope: "openid", wantScope: "openid", wantAud: userinfo},
		{name: "unknown scopes are dropped", client: spa, audience: things, scope: "x read:things openid admin", wantScope: "read:things openid", wantAud: things + " " + userinfo},
		{name: "nothing but unknown scopes is not none", client: spa, audience: things, scope: "admin", wantAud: things},
		{name: "another API's scope is unknown", client: spa, audience: things, scope: "a read:things", wantScope: "read:things", wantAud: things},
		{name: "no API, an API's scope", client: spa, scope: "read:things openid", wantScope: "openid", wantAud: userinfo},
		{name: "scopes are exact", client: spa, audience: things, scope: "READ:things read:things/ read:*", wantAud: things},
		{name: "once each", client: spa, audience: things, scope: "read:things read:things openid openid", wantScope: "read:things openid", wantAud: things + " " + userinfo},
		{name: "any blanks", client: spa, audience: things, scope: "  read:things   openid ", wantScope: "read:things openid", wantAud: things + " " + userinfo},
		{name: "none named: all, and the factor", client: spa, audience: things, wantScope: "read:things write:things", wantAud: things, demand: mfa.Demand{Scopes: true}},
		{name: "mfa_scopes demand the factor", client: spa, audience: things, scope: "write:things", wantScope: "write:things", wantAud: things, demand: mfa.Demand{Scopes: true}},
		{name: "others do not", client: spa, audience: things, scope: "read:things", wantScope: "read:things", wantAud: things},
		{name: "an API without scopes", client: spa, audience: "https://scopeless.test/", wantAud: "https://scopeless.test/"},
		{name: "offline_access", client: spa, scope: "offline_access", wantScope: "offline_access", wantAud: userinfo},
		{name: "offline_access without the grant", client: brief, scope: "openid offline_access", wantScope: "openid", wantAud: userinfo},
		{name: "none named is not offline_access", client: spa, audience: "https://other.test/", wantScope: "a b", wantAud: "https://other.test/"},

		{name: "off drops mfa_scopes", client: off, audience: things, scope: "read:things write:things", wantScope: "read:things", wantAud: things},
		{name: "off drops them from all", client: off, audience: things, wantScope: "read:things", wantAud: things},
		{name: "off and nothing left", client: off, audience: things, scope: "write:things", wantAud: things},
		{name: "off and the factors", client: off, audience: manage, refused: fault.FactorOff},
		{name: "off and the factors, other spelling", client: off, audience: strings.TrimSuffix(manage, "/"), scope: "openid", refused: fault.FactorOff},

		{name: "mfa audience", client: spa, audience: manage, wantScope: "enroll read:authenticators remove:authenticators", wantAud: manage, demand: mfa.Demand{Factors: true}},
		{name: "mfa audience without its slash", client: spa, audience: strings.TrimSuffix(manage, "/"), scope: "enroll offline_access", wantScope: "enroll offline_access", wantAud: manage, demand: mfa.Demand{Factors: true, Beyond: true}},
		{name: "mfa audience and openid", client: spa, audience: manage, scope: "enroll openid", wantScope: "enroll openid", wantAud: manage + " " + userinfo, demand: mfa.Demand{Factors: true, Beyond: true}},
		{name: "mfa audience of another gateway", client: spa, audience: "https://login.example.test.evil/mfa/", refused: fault.UnknownAudience},
		{name: "an API without its slash", client: spa, audience: strings.TrimSuffix(things, "/"), refused: fault.UnknownAudience},
		{name: "unknown audience", client: spa, audience: "https://nowhere.test/", refused: fault.UnknownAudience},
		{name: "several audiences", client: spa, audience: things + " https://other.test/", refused: fault.BadRequest},
		{name: "the same twice", client: spa, audience: things + " " + things, refused: fault.BadRequest},

		{name: "an API's own offline_access without the grant", client: brief, audience: "https://greedy.test/", scope: "offline_access", wantAud: "https://greedy.test/"},
		{name: "all of an API's without the grant", client: brief, audience: "https://greedy.test/", wantScope: "email", wantAud: "https://greedy.test/", demand: mfa.Demand{Scopes: true}},
		{name: "an API's own email", client: spa, audience: "https://greedy.test/", scope: "email x", wantScope: "email", wantAud: "https://greedy.test/", demand: mfa.Demand{Scopes: true}},
		{name: "an API's own email, off", client: off, audience: "https://greedy.test/", scope: "email openid", wantScope: "openid", wantAud: "https://greedy.test/ " + userinfo},

		{name: "only some scopes of an API", client: some, audience: things, scope: "read:things", wantScope: "read:things", wantAud: things},
		{name: "all of them are fewer", client: some, audience: things, wantScope: "read:things", wantAud: things},
		{name: "one that it may not have", client: some, audience: things, scope: "read:things write:things", refused: fault.ScopeNotAllowed},
		{name: "none listed means all", client: some, audience: "https://other.test/", wantScope: "a b", wantAud: "https://other.test/"},
		{name: "an API that it may not have", client: some, audience: "https://scopeless.test/", refused: fault.UnknownAudience},
		{name: "its own factors all the same", client: some, audience: manage, scope: "enroll", wantScope: "enroll", wantAud: manage, demand: mfa.Demand{Factors: true}},
		{name: "no API at all", client: none, audience: things, refused: fault.UnknownAudience},
		{name: "no API, but itself", client: none, scope: "openid", wantScope: "openid", wantAud: userinfo},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Registry: tenant(), URL: issuer, Manage: noManage}
			form := url.Values{"scope": {c.scope}, "audience": strings.Fields(c.audience)}
			w, err := o.wish(t.Context(), request{client: c.client, form: form})
			if c.refused != "" {
				if fault.Of(err) != c.refused {
					t.Fatalf("got %v, want %v", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(w.scopes, " "); got != c.wantScope {
				t.Errorf("scopes %q, want %q", got, c.wantScope)
			}
			if got := strings.Join(w.audience, " "); got != c.wantAud {
				t.Errorf("audience %q, want %q", got, c.wantAud)
			}
			c.demand.Mode = c.client.MFA
			if !reflect.DeepEqual(w.demand, c.demand) {
				t.Errorf("demand %+v, want %+v", w.demand, c.demand)
			}
		})
	}
	t.Run("acr_values and max_age", func(t *testing.T) {
		for _, c := range []struct {
			acr, age string
			off      bool
			want     mfa.Demand
			refused  fault.Kind
		}{
			{acr: acr, want: mfa.Demand{ACR: true}},
			{acr: "urn:other " + acr, want: mfa.Demand{ACR: true}},
			{acr: "urn:other"},
			{acr: acr + "x"},
			{age: "0", want: mfa.Demand{MaxAge: new(time.Duration)}},
			{age: "3600", want: mfa.Demand{MaxAge: new(time.Hour)}},
			{age: "-1", refused: fault.BadRequest},
			{age: "1000000000000", refused: fault.BadRequest},
			{age: "1e3", refused: fault.BadRequest},
			{age: "0x10", refused: fault.BadRequest},
			{acr: acr, off: true, refused: fault.FactorOff},
			{age: "60", off: true, refused: fault.FactorOff},
			{acr: "urn:other", off: true},
		} {
			client := spa
			if c.off {
				client = off
			}
			c.want.Mode = client.MFA
			w, err := Options{Registry: tenant(), URL: issuer}.wish(t.Context(), request{
				client: client, form: url.Values{"acr_values": {c.acr}, "max_age": {c.age}}})
			switch {
			case c.refused != "" && fault.Of(err) != c.refused:
				t.Errorf("%q %q: %v, want %v", c.acr, c.age, err, c.refused)
			case c.refused == "" && (err != nil || !reflect.DeepEqual(w.demand, c.want)):
				t.Errorf("%q %q: %+v %v, want %+v", c.acr, c.age, w.demand, err, c.want)
			}
		}
	})
}

// noManage reads no access token at all.
func noManage(context.Context, secret.Text, string) (mfa.Credential, error) {
	return mfa.Credential{}, fault.BadAccessToken
}

// Where nothing reads tokens for /mfa/ there are none, not even of an API that is called so.
func TestNoManageAudience(t *testing.T) {
	r := tenant()
	o := Options{Registry: r, URL: issuer}
	wished := request{client: r.clients["spa"], form: url.Values{"audience": {manage}}}
	if w, err := o.wish(t.Context(), wished); fault.Of(err) != fault.UnknownAudience {
		t.Errorf("got %+v, %v", w, err)
	}
	r.apis[manage] = record.API{Audience: manage, Scopes: []string{"enroll"}}
	if w, err := o.wish(t.Context(), wished); err != nil || w.demand.Factors {
		t.Errorf("got %+v, %v, want no excuse from the factor", w, err)
	}
}

// A registry that does not answer is no unknown API and no unknown client.
func TestRegistryDown(t *testing.T) {
	r := tenant()
	r.down = errDown
	o := Options{Registry: r, URL: issuer}
	_, err := o.wish(t.Context(), request{client: tenant().clients["spa"], form: url.Values{"audience": {things}}})
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("wish: %v", err)
	}
	_, err = o.check(t.Context(), asking("spa", "password"), "password")
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("check: %v", err)
	}
}

// asking is a token request as fosite hands it over.
func asking(client string, grants ...string) *fosite.AccessRequest {
	ar := fosite.NewAccessRequest(&Session{})
	ar.GrantTypes = grants
	ar.Client = &fosite.DefaultClient{ID: client}
	ar.Form = url.Values{"password": {"p"}}
	return ar
}

func TestCheck(t *testing.T) {
	r := tenant()
	r.clients["gone"] = record.Client{ID: "gone", Disabled: true, Grants: []string{"password"}}
	o := Options{Registry: r, URL: issuer}
	for _, c := range []struct {
		client, grant, name string
		want                fault.Kind
	}{
		{"spa", "password", "password", ""},
		{"spa", extension + "mfa-otp", "mfa", ""},
		{"spa", "client_credentials", "client_credentials", fault.GrantNotAllowed},
		{"gone", "password", "password", fault.BadClient},
		{"deleted", "password", "password", fault.BadClient},
	} {
		got, err := o.check(t.Context(), asking(c.client, c.grant), c.name)
		switch {
		case c.want == "" && (err != nil || got.client.ID != c.client || got.grant != c.grant || got.session == nil):
			t.Errorf("%s %s: %+v, %v", c.client, c.grant, got, err)
		case c.want != "" && fault.Of(err) != c.want:
			t.Errorf("%s %s: %v, want %v", c.client, c.grant, err, c.want)
		}
	}
	foreign := asking("spa", "password")
	foreign.Session = &fosite.DefaultSession{}
	if _, err := o.check(t.Context(), foreign, "password"); fault.Of(err) != fault.Internal || err == nil {
		t.Errorf("a foreign session: %v", err)
	}
}

// A secret that was read does not travel on.
func TestTake(t *testing.T) {
	form := url.Values{"password": {"hush"}, "otp": {""}}
	r := request{form: form}
	if got, err := r.take("password"); err != nil || got.Reveal() != "hush" || form.Has("password") {
		t.Errorf("got %v, %v; left %v", got, err, form)
	}
	for _, name := range []string{"password", "otp", "never"} {
		if _, err := r.take(name); fault.Of(err) != fault.MissingParameter || form.Has(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Which grant types are whose. Two in one parameter are nobody's.
func TestGrantTypes(t *testing.T) {
	o := Options{Verifier: mfa.NewVerifier(mfa.Options{Factors: []mfa.Factor{factor("otp"), factor("recovery-code")}})}
	p, m := NewPassword(o), NewMFA(o)
	if got := p.GrantTypes(); !reflect.DeepEqual(got, []string{"password", "http://auth0.com/oauth/grant-type/password-realm"}) {
		t.Errorf("password: %v", got)
	}
	if got := m.GrantTypes(); !reflect.DeepEqual(got, []string{
		"http://auth0.com/oauth/grant-type/mfa-otp", "http://auth0.com/oauth/grant-type/mfa-recovery-code"}) {
		t.Errorf("mfa: %v", got)
	}
	for _, c := range []struct {
		grants   []string
		password bool
		mfa      bool
	}{
		{[]string{"password"}, true, false},
		{[]string{"password-realm"}, true, false},
		{[]string{extension + "password-realm"}, true, false},
		{[]string{"mfa-otp"}, false, true},
		{[]string{extension + "mfa-otp"}, false, true},
		{[]string{"mfa-recovery-code"}, false, true},
		{[]string{extension + "mfa-recovery-code"}, false, true},
		{[]string{"mfa-oob"}, false, false},
		{[]string{"mfa-"}, false, false},
		{[]string{"mfa"}, false, false},
		{[]string{"otp"}, false, false},
		{[]string{"Password"}, false, false},
		{[]string{"password "}, false, false},
		{[]string{extension + extension + "password"}, false, false},
		{[]string{"password", "mfa-otp"}, false, false},
		{[]string{"password", "password"}, false, false},
		{[]string{"mfa-otp", "mfa-otp"}, false, false},
		{[]string{""}, false, false},
		{nil, false, false},
	} {
		ar := asking("spa", c.grants...)
		if got := p.CanHandleTokenEndpointRequest(t.Context(), ar); got != c.password {
			t.Errorf("password handles %q: %v", c.grants, got)
		}
		if got := m.CanHandleTokenEndpointRequest(t.Context(), ar); got != c.mfa {
			t.Errorf("mfa handles %q: %v", c.grants, got)
		}
		if p.CanSkipClientAuth(t.Context(), ar) || m.CanSkipClientAuth(t.Context(), ar) {
			t.Errorf("%q needs no client", c.grants)
		}
		for h, own := range map[fosite.TokenEndpointHandler]bool{p: c.password, m: c.mfa} {
			if own {
				continue
			}
			if err := h.HandleTokenEndpointRequest(t.Context(), ar); !errors.Is(err, fosite.ErrUnknownRequest) {
				t.Errorf("%T took %q: %v", h, c.grants, err)
			}
			if err := h.PopulateTokenEndpointResponse(t.Context(), ar, fosite.NewAccessResponse()); !errors.Is(err, fosite.ErrUnknownRequest) {
				t.Errorf("%T answered %q: %v", h, c.grants, err)
			}
		}
	}
}
