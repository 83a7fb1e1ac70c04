package gateway_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// app is the origin of the client "spa".
const app = "https://app.example.test"

// What browsers ask before a request of a library that sends all it may (1.4).
const pageHeaders = "auth0-client,authorization,content-type,dpop"

// A preflight asks, as a browser does, whether a page of an origin may send a request.
type preflight struct{ origin, method, path, headers string }

func (p preflight) ask(t *testing.T, w *gatewaytest.World) gatewaytest.Reply {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: http.MethodOptions, Path: p.path, Header: map[string]string{
		"Origin": p.origin, "Access-Control-Request-Method": p.method, "Access-Control-Request-Headers": p.headers}})
}

// readable checks that a page may read an answer, and all of its headers that say
// something (1.4).
func readable(t *testing.T, r gatewaytest.Reply, origin string) gatewaytest.Reply {
	t.Helper()
	if got := r.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != origin {
		t.Errorf("Access-Control-Allow-Origin %q at %d %s", got, r.Status, r.Body)
	}
	exposed := strings.Split(strings.ToLower(strings.Join(r.Header.Values("Access-Control-Expose-Headers"), ",")), ",")
	seen := map[string]bool{}
	for _, name := range exposed {
		seen[strings.TrimSpace(name)] = true
	}
	want := map[string]bool{"dpop-nonce": true, "retry-after": true, "x-ratelimit-limit": true, "x-ratelimit-remaining": true,
		"x-ratelimit-reset": true, "location": true}
	if !maps.Equal(seen, want) {
		t.Errorf("a page may read the headers %q", exposed)
	}
	return r
}

// A13, section 1.4: a page of a client's origin asks first, as every library for browsers
// makes it. Nobody else's page gets an answer that it may read.
func TestPreflightOfPages(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for _, c := range [][2]string{{"POST", "/oauth/token"}, {"POST", "/oauth/revoke"}, {"POST", "/mfa/challenge"}, {"POST", "/mfa/associate"},
			{"GET", "/mfa/authenticators"}, {"DELETE", "/mfa/authenticators/totp%7Cdev_0000000000000000"}, {"GET", "/userinfo"}, {"POST", "/userinfo"}} {
			method, path := c[0], c[1]
			for _, headers := range []string{pageHeaders, "auth0-client", "content-type", "authorization,dpop"} {
				r := preflight{app, method, path, headers}.ask(t, w)
				if r.Status != http.StatusNoContent || r.Body != "" || r.Header.Get("Access-Control-Allow-Origin") != app ||
					r.Header.Get("Access-Control-Allow-Headers") != headers || r.Header.Get("Access-Control-Allow-Methods") != method {
					t.Errorf("%s %s with %s: %d %v", method, path, headers, r.Status, r.Header)
				}
			}
			for _, origin := range []string{"null", "https://evil.test", app + ".evil.test", "https://APP.example.test", app + ":444", "http://app.example.test"} {
				if r := (preflight{origin, method, path, pageHeaders}).ask(t, w); r.Header.Get("Access-Control-Allow-Origin") != "" || !strings.HasPrefix(r.Header.Get("Vary"), "Origin") {
					t.Errorf("%s from %s: %d %v", path, origin, r.Status, r.Header)
				}
			}
			for _, more := range [][2]string{{"PUT", pageHeaders}, {method, pageHeaders + ",x-forwarded-for"}, {method, "auth0-forwarded-for"}} {
				if r := (preflight{app, more[0], path, more[1]}).ask(t, w); r.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s with %s: %d %v", more[0], path, more[1], r.Status, r.Header)
				}
			}
		}
		for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			if r := (preflight{"https://anybody.test", "GET", path, pageHeaders}).ask(t, w); r.Status != http.StatusNoContent || r.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %d %v", path, r.Status, r.Header)
			}
			readable(t, w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: path, Header: map[string]string{"Origin": "https://anybody.test"}}), "*").
				Want(t, http.StatusOK, "")
		}
		// The servers of APIs ask about tokens, pages do not.
		if r := (preflight{app, "POST", "/oauth/introspect", pageHeaders}).ask(t, w); r.Status != http.StatusMethodNotAllowed || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("introspection: %d %v", r.Status, r.Header)
		}
	})
}

// A13: a page logs in with a second factor and looks at what comes back, refusals no less
// than tokens, with the header that libraries tell of themselves (1.3.6).
func TestLoginFromAPage(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		page := func(bearer string) map[string]string {
			header := map[string]string{"Origin": app, "Auth0-Client": "eyJuYW1lIjoiYXV0aDAtc3BhLWpzIn0="}
			if bearer != "" {
				header["Authorization"] = "Bearer " + bearer
			}
			return header
		}
		post := func(status int, code, path string, pairs ...string) gatewaytest.Reply {
			t.Helper()
			return readable(t, w.FormWith(t, path, page(""), with("spa", pairs...)...), app).Want(t, status, code)
		}
		call := func(status int, code, method, path, bearer string) gatewaytest.Reply {
			t.Helper()
			return readable(t, w.Do(t, gatewaytest.Request{Method: method, Path: path, ContentType: "application/json", Header: page(bearer)}), app).
				Want(t, status, code)
		}
		login := func(more ...string) string {
			t.Helper()
			first := post(http.StatusForbidden, "mfa_required", "/oauth/token", append(more, "grant_type", "password", "username", "alice", "password", gatewaytest.Password)...)
			w.Clock.Wind(30 * time.Second)
			return first.Text("mfa_token")
		}
		token := login("scope", "openid offline_access")
		call(http.StatusOK, "", http.MethodGet, "/mfa/authenticators", token)
		call(http.StatusBadRequest, "invalid_request", http.MethodPost, "/mfa/associate", token)
		post(http.StatusOK, "", "/mfa/challenge", "mfa_token", token)
		post(http.StatusForbidden, "invalid_grant", "/oauth/token", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, alice.Seed, 5))
		done := post(http.StatusOK, "", "/oauth/token", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, alice.Seed, 0))
		call(http.StatusOK, "", http.MethodGet, "/userinfo", done.Text("access_token"))
		call(http.StatusUnauthorized, "invalid_token", http.MethodGet, "/userinfo", "garbage")
		post(http.StatusOK, "", "/oauth/revoke", "token", done.Text("refresh_token"))

		manage := post(http.StatusOK, "", "/oauth/token", "grant_type", gatewaytest.GrantOTP,
			"mfa_token", login("audience", w.URL+"mfa/"), "otp", w.Code(t, alice.Seed, 0)).Text("access_token")
		call(http.StatusNotFound, "invalid_authenticator", http.MethodDelete, "/mfa/authenticators/totp%7Cdev_0000000000000000", manage)
		id := w.Associate(t, manage, anOTP).Want(t, http.StatusOK, "").Text("id")
		call(http.StatusNoContent, "", http.MethodDelete, "/mfa/authenticators/"+strings.ReplaceAll(id, "|", "%7C"), manage)
	})
}
