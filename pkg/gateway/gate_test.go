package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/receipt"
	"github.com/sallyport/sallyport/pkg/server"
)

// The routes that this test knows. A new one has to be added here, and then it is
// walked like the others.
var knownRoutes = []string{
	"DELETE /api/device-accounts/{id}", "DELETE /appliance-mfa/api/device-accounts/{id}", "DELETE /mfa/authenticators/{id}",
	"GET /.well-known/jwks.json", "GET /.well-known/oauth-authorization-server", "GET /.well-known/openid-configuration",
	"GET /mfa/authenticators", "GET /rich-consents/{id}", "GET /userinfo", "HEAD /.well-known/jwks.json", "HEAD /.well-known/oauth-authorization-server",
	"HEAD /.well-known/openid-configuration", "HEAD /mfa/authenticators", "HEAD /userinfo",
	"PATCH /api/device-accounts/{id}", "PATCH /appliance-mfa/api/device-accounts/{id}",
	"POST /api/enroll", "POST /api/resolve-transaction", "POST /appliance-mfa/api/enroll", "POST /appliance-mfa/api/resolve-transaction",
	"POST /mfa/associate", "POST /mfa/challenge", "POST /oauth/introspect", "POST /oauth/revoke", "POST /oauth/token",
	"POST /receipts/{channel}/{provider}", "POST /userinfo",
}

// The grant types that discovery names, each with the other names that it is served
// under and the proof that goes along.
var knownGrants = map[string]struct {
	aliases []string
	first   bool // it begins with a password; else it needs a second factor
}{
	"password":                {nil, true},
	gatewaytest.GrantRealm:    {[]string{"password-realm"}, true},
	gatewaytest.GrantOTP:      {[]string{"mfa-otp"}, false},
	gatewaytest.GrantOOB:      {[]string{"mfa-oob"}, false},
	gatewaytest.GrantRecovery: {[]string{"mfa-recovery-code"}, false},
	"refresh_token":           {nil, false},
	"mfa_token":               {nil, false},
	"client_credentials":      {nil, false}, // nobody is logged in: see nobodys
}

// otherGrants are not served: nothing may come of them either.
var otherGrants = []string{"", "authorization_code", "implicit",
	"http://auth0.com/oauth/grant-type/password", "http://auth0.com/oauth/grant-type/passwordless/otp", "password mfa-otp",
	"urn:ietf:params:oauth:grant-type:token-exchange", "urn:openid:params:grant-type:ciba", "urn:okta:params:oauth:grant-type:webauthn"}

// A mode is a client: every kind with every policy.
type mode struct {
	client string
	off    bool // mfa: off
	grants func(string) bool
}

func modes() []mode {
	all := func(string) bool { return true }
	return []mode{
		{client: "spa", grants: all}, {client: "desk", grants: all}, // enrolled: public, confidential
		{client: "kiosk", grants: all}, {client: "web", grants: all}, // required
		{client: "legacy", off: true, grants: func(g string) bool { return g == "password" }}, {client: "batch", off: true, grants: all},
	}
}

// A wish is what a request asks for beside the login.
type wish struct {
	name      string
	sensitive bool // an off client cannot have it
	pairs     []string
}

func wishes(w *gatewaytest.World) []wish {
	return []wish{
		{"nothing", false, nil},
		{"openid", false, []string{"scope", "openid profile offline_access"}},
		{"an API", false, []string{"audience", "https://api.example.test/", "scope", "read:things openid"}},
		{"mfa_scopes", false, []string{"audience", "https://api.example.test/", "scope", "read:things write:things"}},
		{"all of an API", false, []string{"audience", "https://api.example.test/"}},
		{"acr_values", true, []string{"acr_values", "x http://schemas.openid.net/pape/policies/2007/06/multi-factor"}},
		{"max_age", true, []string{"max_age", "3600"}},
		{"max_age 0", true, []string{"max_age", "0", "scope", "openid"}},
		{"the MFA audience", true, []string{"audience", w.URL + "mfa/"}},
		{"the MFA audience without its slash", true, []string{"audience", w.URL + "mfa", "scope", "enroll"}},
	}
}

// R1, R2, R3: whatever route and grant a user with a second factor comes by, who has
// proved only the password gets no token, and who has only the second factor neither.
func TestR1NoTokenWithoutTheFactor(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		w.Clock.Wind(5 * time.Minute)
		if got := routes(t, w); !slices.Equal(got, knownRoutes) {
			t.Fatalf("the gateway serves\n%s\nbut this test knows\n%s", strings.Join(got, "\n"), strings.Join(knownRoutes, "\n"))
		}
		grants := served(t, w)
		for _, m := range modes() {
			for _, ask := range wishes(w) {
				for _, grant := range append(slices.Clone(grants), otherGrants...) {
					m.withPassword(t, w, grant, ask)
				}
			}
			m.withFactor(t, w, append(slices.Clone(grants), otherGrants...), alice)
		}
		elsewhere(t, w, grants, alice)

		// None of this has used up or disabled anything: the whole login still works.
		token := ask(t, w, "spa", "alice")
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")
	})
}

// The same of a phone: what was not approved, or belongs to another login, gives no token,
// and an approval none to whoever has not proved the password.
func TestNoTokenWithoutThePhone(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		access := w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, mira.Account.TOTP.Secret.Reveal(), 0)).Text("access_token")
		w.Clock.Wind(time.Minute)
		p := w.AskPhone(t, "alice")
		n := mira.Next(t)
		others := func(state string) {
			t.Helper()
			for name, token := range map[string]string{"none": "", "garbage": "garbage", "an access token": access,
				"another login's": ask(t, w, "spa", "alice"), "another client's": ask(t, w, "kiosk", "alice")} {
				r := w.Poll(t, gatewaytest.Push{MFAToken: token, OOBCode: p.OOBCode})
				tokenless(t, state+", with the mfa_token "+name, r)
				if r.Status < 400 || r.Status > 403 || r.Text("error") == "authorization_pending" {
					t.Errorf("%s, with the mfa_token %s: %d %s", state, name, r.Status, r.Body)
				}
			}
			tokenless(t, state+", without its oob_code", w.Poll(t, gatewaytest.Push{MFAToken: p.MFAToken, OOBCode: ""}))
		}
		others("pending")
		tokenless(t, "pending", w.Poll(t, p).Want(t, http.StatusBadRequest, "authorization_pending"))
		mira.Approve(t, n)
		others("approved")
		w.Clock.Wind(10 * time.Second)
		w.Poll(t, p).Want(t, http.StatusOK, "")
	})
}

// routes asks the server's own map for every method and path.
func routes(t *testing.T, w *gatewaytest.World) []string {
	t.Helper()
	phones := server.Face{}
	for _, e := range guardian.New(guardian.Options{}).Endpoints() {
		phones.Endpoints = append(phones.Endpoints, server.Endpoint{Method: e.Method, Path: e.Path, Do: e.Do})
	}
	receipts := server.Face{Endpoints: []server.Endpoint{{Method: http.MethodPost, Path: receipt.Path}}}
	router := server.New(server.Options{URL: w.URL, Verifier: mfa.NewVerifier(mfa.Options{}), Faces: []server.Face{phones, receipts}}).Routes()
	var out []string
	err := router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		for _, m := range methods {
			out = append(out, m+" "+path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// served are the grant types of discovery and their other names.
func served(t *testing.T, w *gatewaytest.World) []string {
	t.Helper()
	list, _ := discovery(t, w).JSON["grant_types_supported"].([]any)
	if len(list) != len(knownGrants) {
		t.Errorf("discovery names %v", list)
	}
	var out []string
	for _, item := range list {
		grant, _ := item.(string)
		known, ok := knownGrants[grant]
		if !ok {
			t.Fatalf("discovery names the grant type %q, which this test does not know", grant)
		}
		out = append(append(out, grant), known.aliases...)
	}
	return out
}

func discovery(t *testing.T, w *gatewaytest.World) gatewaytest.Reply {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/openid-configuration"}).Want(t, http.StatusOK, "")
}

// aJWT is how every JWT looks; an mfa_token has one dot only.
var aJWT = regexp.MustCompile(`eyJ[\w-]*\.[\w-]*\.`)

// tokenless fails the test when an answer holds anything that opens a door.
func tokenless(t *testing.T, what string, r gatewaytest.Reply) {
	t.Helper()
	for _, name := range []string{"access_token", "id_token", "refresh_token", "recovery_code", "recovery_codes", "secret", "barcode_uri"} {
		if _, ok := r.JSON[name]; ok {
			t.Errorf("%s: %d with %s", what, r.Status, name)
		}
	}
	if aJWT.MatchString(r.Body) {
		t.Errorf("%s: %d with a JWT", what, r.Status)
	}
}

// nobodys fails the test unless the token is the client's own: no user's, whatever came
// along with the request.
func nobodys(t *testing.T, w *gatewaytest.World, what string, r gatewaytest.Reply, client string) {
	t.Helper()
	if client != "web" || !r.Has("access_token", "expires_in", "scope", "token_type") {
		t.Errorf("%s: %s", what, r.Body)
	}
	c := claims(t, w, r.Text("access_token"), "at+jwt")
	if names := strings.Join(slices.Sorted(maps.Keys(c)), " "); c["sub"] != client || names != "aud client_id exp iat iss jti scope sub" {
		t.Errorf("%s: claims %v", what, c)
	}
	if c["aud"] != "https://api.example.test/" {
		t.Errorf("%s: for %v", what, c["aud"])
	}
}

// withPassword sends the right password to the token endpoint. Only a client that is
// off gets a token, and none that could do what needs the factor.
func (m mode) withPassword(t *testing.T, w *gatewaytest.World, grant string, ask wish) {
	t.Helper()
	what := fmt.Sprintf("%s, grant %q, %s", m.client, grant, ask.name)
	r := w.Token(t, with(m.client, append([]string{"grant_type", grant, "username", "alice", "password", gatewaytest.Password}, ask.pairs...)...)...)
	first := knownGrants[grant].first || grant == "password-realm"
	switch {
	case grant == "client_credentials" && r.Status == http.StatusOK:
		nobodys(t, w, what, r, m.client)
	case !first || !m.grants(grant):
		tokenless(t, what, r)
	case m.off && ask.sensitive:
		tokenless(t, what, r)
		r.Want(t, http.StatusForbidden, "unauthorized_client")
	case m.off:
		r.Want(t, http.StatusOK, "")
		if slices.Contains(strings.Fields(r.Text("scope")), "write:things") {
			t.Errorf("%s: granted %s", what, r.Text("scope"))
		}
	case m.client == "desk" && ask.name == "mfa_scopes":
		tokenless(t, what, r)
		r.Want(t, http.StatusBadRequest, "invalid_scope")
	default:
		tokenless(t, what, r)
		r.Want(t, http.StatusForbidden, "mfa_required")
		if ask.name == "nothing" || ask.name == "the MFA audience" {
			m.halfway(t, w, r.Text("mfa_token"))
		}
	}
}

// halfway uses the mfa_token of a password for everything that it is not enough for.
func (m mode) halfway(t *testing.T, w *gatewaytest.World, token string) {
	t.Helper()
	what := m.client + ", halfway"
	for _, grant := range []string{gatewaytest.GrantOTP, "mfa-otp", gatewaytest.GrantOOB, "mfa-oob", gatewaytest.GrantRecovery, "mfa-recovery-code", "password"} {
		r := w.Token(t, with(m.client, "grant_type", grant, "mfa_token", token, "username", "alice", "otp", "", "oob_code", "", "recovery_code", "")...)
		tokenless(t, what+", grant "+grant, r)
	}
	tokenless(t, what+", associate", w.Associate(t, token, anOTP).Want(t, http.StatusForbidden, "access_denied"))
	tokenless(t, what+", challenge", w.Form(t, "/mfa/challenge", with(m.client, "mfa_token", token)...).Want(t, http.StatusOK, ""))
	r := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo", Header: gatewaytest.Bearer(token)})
	tokenless(t, what+", userinfo", r.Want(t, http.StatusUnauthorized, "invalid_token"))
}

// withFactor sends both right second factors, without the password.
func (m mode) withFactor(t *testing.T, w *gatewaytest.World, grants []string, alice gatewaytest.Enrolled) {
	t.Helper()
	for _, grant := range grants {
		for _, token := range []string{"", "garbage", alice.Tokens.Text("access_token")} {
			r := w.Token(t, with(m.client, "grant_type", grant, "username", "alice", "mfa_token", token,
				"otp", w.Code(t, alice.Seed, 0), "recovery_code", alice.Recovery)...)
			tokenless(t, fmt.Sprintf("%s, grant %q, the factor alone", m.client, grant), r)
			if r.Status < 400 || r.Status > 403 {
				t.Errorf("%s, grant %q: %d %s", m.client, grant, r.Status, r.Body)
			}
		}
	}
}

// elsewhere sends a whole login to every route but the token endpoint's, with an
// mfa_token as bearer where that is taken.
func elsewhere(t *testing.T, w *gatewaytest.World, grants []string, alice gatewaytest.Enrolled) {
	t.Helper()
	for _, route := range knownRoutes {
		method, path, _ := strings.Cut(route, " ")
		if path == "/oauth/token" || path == "/.well-known/jwks.json" { // a JWKS is no answer to a login
			continue
		}
		for _, m := range modes() {
			token := ""
			if !m.off {
				token = ask(t, w, m.client, "alice")
			}
			for _, grant := range grants {
				r := w.Do(t, gatewaytest.Request{Method: method, Path: path, ContentType: "application/x-www-form-urlencoded",
					Header: gatewaytest.Bearer(token),
					Body: gatewaytest.Encode(with(m.client, "grant_type", grant, "username", "alice", "password", gatewaytest.Password,
						"mfa_token", token, "otp", w.Code(t, alice.Seed, 0), "recovery_code", alice.Recovery, "authenticator_types", "otp")...)})
				tokenless(t, fmt.Sprintf("%s at %s, grant %q", m.client, route, grant), r)
			}
		}
	}
}
