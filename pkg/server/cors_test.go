package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// page is the one origin that a client has.
const page = "https://app.example.test"

// preflight is what a browser asks before it sends a request with further headers.
func preflight(path, origin, method string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodOptions, path, nil)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", method)
	if len(headers) > 0 {
		r.Header["Access-Control-Request-Headers"] = headers
	}
	return r
}

// send returns the answer as it is; a preflight's has no body.
func (w *world) send(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

// allows reports whether the answer lets a page of the origin go on. No answer ever
// allows credentials, and each says that it depends on the origin.
func allows(t *testing.T, rec *httptest.ResponseRecorder, origin string) bool {
	t.Helper()
	h := rec.Header()
	if h.Get("Access-Control-Allow-Credentials") != "" || !strings.HasPrefix(h.Get("Vary"), "Origin") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	for name := range h {
		if h.Get("Access-Control-Allow-Origin") == "" && strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s though the origin is refused", name)
		}
	}
	return len(h.Values("Access-Control-Allow-Origin")) == 1 && h.Get("Access-Control-Allow-Origin") == origin
}

var (
	forPages  = []string{"oauth/token", "oauth/revoke", "mfa/challenge", "mfa/associate", "mfa/authenticators", "mfa/authenticators/x", "userinfo"}
	forAll    = []string{".well-known/jwks.json", ".well-known/openid-configuration", ".well-known/oauth-authorization-server"}
	strangers = []string{"null", "https://evil.test", page + ".evil.test", "https://evil-app.example.test", "https://APP.example.test",
		"HTTPS://app.example.test", page + ":443", page + ":8443", "http://app.example.test", page + "/", "*", "https://example.test"}
)

// The matrix of standards 7.5: who may call from where.
func TestPreflight(t *testing.T) {
	for _, prefix := range []string{"/", "/a%20b/"} {
		w := newWorld(t, strings.TrimSuffix(issuerURL, "/")+prefix)
		for _, path := range forPages {
			rec := w.send(preflight(prefix+path, page, "POST", "authorization,content-type"))
			if rec.Code != http.StatusNoContent || !allows(t, rec, page) || rec.Body.Len() > 0 ||
				rec.Header().Get("Access-Control-Allow-Methods") != "POST" || rec.Header().Get("Access-Control-Max-Age") == "" {
				t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
			}
			for _, origin := range strangers {
				if rec := w.send(preflight(prefix+path, origin, "POST", "content-type")); rec.Code != http.StatusNoContent || allows(t, rec, origin) {
					t.Errorf("%s from %s: %d %v", path, origin, rec.Code, rec.Header())
				}
			}
		}
		for _, path := range forAll {
			for _, origin := range append(strangers, page) {
				if rec := w.send(preflight(prefix+path, origin, "GET", "auth0-client")); rec.Code != http.StatusNoContent || !allows(t, rec, "*") {
					t.Errorf("%s from %s: %d %v", path, origin, rec.Code, rec.Header())
				}
			}
		}
	}
}

func TestPreflightAsks(t *testing.T) {
	w := newWorld(t, issuerURL)
	for _, c := range []struct {
		method  string
		headers []string
		ok      bool
	}{
		{"GET", nil, true},
		{"PATCH", nil, true},
		{"DELETE", []string{"authorization"}, true},
		{"POST", []string{"auth0-client,authorization,content-type,dpop"}, true},
		{"POST", []string{"Content-Type, Auth0-Client"}, true}, // as jsdom does
		{"POST", []string{"dpop", "Authorization"}, true},
		{"POST", []string{""}, true},
		{"PUT", nil, false},
		{"TRACE", nil, false},
		{"post", nil, false},
		{"POST", []string{"x-forwarded-for"}, false},
		{"POST", []string{"auth0-forwarded-for,content-type"}, false},
		{"POST", []string{"*"}, false},
		{"POST", []string{"content-type", "cookie"}, false},
	} {
		if rec := w.send(preflight("/oauth/token", page, c.method, c.headers...)); rec.Code != http.StatusNoContent || allows(t, rec, page) != c.ok {
			t.Errorf("%s %q: %d %v", c.method, c.headers, rec.Code, rec.Header())
		}
	}
}

// What is no preflight, or not for pages, is answered as ever.
func TestNoPreflight(t *testing.T) {
	w := newWorld(t, issuerURL)
	for _, path := range []string{"/", "/oauth/token/", "/oauth", "/mfa", "/oauth/revoke/", "/livez", "//oauth/token", "/oauth/%74oken"} {
		rec, _ := w.do(t, preflight(path, page, "POST"))
		if rec.Code != http.StatusNotFound || rec.Header().Get("Access-Control-Allow-Origin") != "" || rec.Header().Get("Vary") != "" {
			t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
		}
	}
	bare := preflight("/oauth/token", page, "")
	if rec, _ := w.do(t, bare); rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" {
		t.Errorf("OPTIONS alone: %d %v", rec.Code, rec.Header())
	}
}

// The answer itself can be read by the client's page, a refusal no less than tokens.
func TestAnswersToPages(t *testing.T) {
	w := newWorld(t, issuerURL)
	from := func(r *http.Request, origins ...string) *httptest.ResponseRecorder {
		if len(origins) > 0 {
			r.Header["Origin"] = origins
		}
		rec, _ := w.do(t, r)
		return rec
	}
	refused := func() *http.Request { return send("/oauth/token", "client_id", "nobody", "grant_type", "password") }
	for _, r := range []*http.Request{login(), refused()} {
		rec := from(r, page)
		if !allows(t, rec, page) || !strings.Contains(rec.Header().Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%d %v", rec.Code, rec.Header())
		}
	}
	for _, origins := range [][]string{nil, {"https://evil.test"}, {page, "https://evil.test"}, {"https://evil.test", page}, {page, page}} {
		if rec := from(refused(), origins...); rec.Code != http.StatusUnauthorized || allows(t, rec, page) {
			t.Errorf("from %q: %d %v", origins, rec.Code, rec.Header())
		}
	}
	if rec := from(httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil), "https://evil.test"); !allows(t, rec, "*") {
		t.Errorf("keys: %v", rec.Header())
	}
}

// When nobody can say whose origin it is, that is no "nobody's".
func TestOriginsDown(t *testing.T) {
	w := newWorld(t, issuerURL)
	w.down = errDown
	for _, r := range []*http.Request{preflight("/oauth/token", page, "POST"), preflight("/mfa/challenge", "https://evil.test", "POST")} {
		rec, members := w.do(t, r)
		if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" || members["error"] != "temporarily_unavailable" {
			t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
	}
	if rec := w.send(preflight("/.well-known/jwks.json", page, "GET")); rec.Code != http.StatusNoContent {
		t.Errorf("keys: %d", rec.Code)
	}
}
