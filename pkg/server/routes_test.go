package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const issuerURL = "https://login.example.test/"

// methods are those of each path of the gateway.
var methods = map[string]string{
	"oauth/token":                            "POST",
	"oauth/revoke":                           "POST",
	"oauth/introspect":                       "POST",
	"mfa/associate":                          "POST",
	"mfa/challenge":                          "POST",
	"mfa/authenticators":                     "GET, HEAD",
	"userinfo":                               "GET, HEAD, POST",
	".well-known/jwks.json":                  "GET, HEAD",
	".well-known/openid-configuration":       "GET, HEAD",
	".well-known/oauth-authorization-server": "GET, HEAD",
}

func TestMethods(t *testing.T) {
	for _, prefix := range []string{"", "tenant/", "a%20b/%7Bx%7D/"} {
		w := newWorld(t, issuerURL+prefix)
		for path, allow := range methods {
			path = "/" + prefix + path
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "FOO"} {
				r := httptest.NewRequest(method, "https://login.example.test"+path, nil)
				r.Header.Set("X-HTTP-Method-Override", strings.Fields(allow)[0]) // B-69
				rec, members := w.do(t, r)
				if slices.Contains(strings.Split(allow, ", "), method) {
					if rec.Code == http.StatusMethodNotAllowed || rec.Code == http.StatusNotFound || rec.Code >= 500 {
						t.Errorf("%s %s: %d", method, path, rec.Code)
					}
					continue
				}
				if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != allow || members["error"] != "invalid_request" {
					t.Errorf("%s %s: %d, Allow %q, %s", method, path, rec.Code, rec.Header().Get("Allow"), rec.Body)
				}
			}
		}
	}
}

// B-74: a path that is not exactly right is not there. A redirect would make the client
// send its credentials again.
func TestPathsAreExact(t *testing.T) {
	w := newWorld(t, issuerURL)
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{
		"//oauth/token", "/oauth//token", "/oauth/./token", "/./oauth/token", "/oauth/../oauth/token", "/x/../oauth/token", "/oauth/token/", "/oauth/token//",
		"/oauth%2ftoken", "/oauth%2Ftoken", "/oauth/tok%65n", "/oauth/token%00", "/oauth/token%20", "/OAuth/token", "/oauth/Token", "/oauth/token;x=1", "/oauth/token.json",
		"/oauth", "/oauth/", "/", "/mfa", "/mfa/", "/mfa/challenge/", "/MFA/challenge", "/mfa%2fchallenge", "/mfa/authenticators/", "/userinfo/", "/%2e/oauth/token",
		"/mfa%2fauthenticators/a|b", "/mfa/authenti%63ators/a|b", "/mfa/authenticators/a%2fb|", "/mfa/authenticators/a\"b",
		"/.well-known/", "/.well-known/oauth-authorization-server/tenant", "/tenant/oauth/token", "/livez", "/readyz", "/debug/pprof/",
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			r, err := http.NewRequestWithContext(t.Context(), method, srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = path // goes on the wire as it stands
			if strings.HasPrefix(path, "//") {
				r.URL.Opaque, r.URL.Path = "", path
			}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			var body map[string]any
			if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusNotFound || body["error"] != "not_found" || answer.Header.Get("Location") != "" {
				t.Errorf("%s %s: %d %v", method, path, answer.StatusCode, body)
			}
		}
	}
}

// The well-known documents, also at the place that RFC 8414 has for an issuer with a path.
func TestDiscovery(t *testing.T) {
	for issuer, paths := range map[string][]string{
		issuerURL:            {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"},
		issuerURL + "a/b/":   {"/a/b/.well-known/openid-configuration", "/a/b/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/a/b"},
		issuerURL + "a%20b/": {"/a%20b/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/a%20b"},
	} {
		w := newWorld(t, issuer)
		for _, path := range paths {
			rec, got := w.do(t, httptest.NewRequest(http.MethodGet, path, nil))
			if rec.Code != http.StatusOK {
				t.Errorf("%s: %d", path, rec.Code)
				continue
			}
			for member, want := range map[string]string{
				"issuer": issuer, "token_endpoint": issuer + "oauth/token", "userinfo_endpoint": issuer + "userinfo",
				"jwks_uri": issuer + ".well-known/jwks.json", "mfa_challenge_endpoint": issuer + "mfa/challenge",
				"mfa_associate_endpoint": issuer + "mfa/associate", "mfa_authenticators_endpoint": issuer + "mfa/authenticators",
				"revocation_endpoint": issuer + "oauth/revoke", "introspection_endpoint": issuer + "oauth/introspect",
			} {
				if got[member] != want {
					t.Errorf("%s: %s is %v, want %s", path, member, got[member], want)
				}
			}
			if served := strings.Join(list(got["grant_types_supported"]), " "); served != "password http://auth0.com/oauth/grant-type/password-realm http://auth0.com/oauth/grant-type/mfa-otp" {
				t.Errorf("%s: grants %s", path, served)
			}
			if !slices.Contains(list(got["id_token_signing_alg_values_supported"]), "RS256") {
				t.Errorf("%s: no RS256", path)
			}
			for _, absent := range []string{"authorization_endpoint", "registration_endpoint", "response_types_supported"} {
				if _, ok := got[absent]; ok {
					t.Errorf("%s names %s, which is not served", path, absent)
				}
			}
			// Every endpoint that is named is there.
			for member, value := range got {
				target, ok := value.(string)
				if !ok || member == "issuer" {
					continue
				}
				rec, _ := w.do(t, httptest.NewRequest(http.MethodDelete, target, nil))
				if rec.Code != http.StatusMethodNotAllowed {
					t.Errorf("%s %s: %d", member, target, rec.Code)
				}
			}
		}
	}
}

func list(v any) []string {
	var out []string
	all, _ := v.([]any)
	for _, one := range all {
		text, _ := one.(string)
		out = append(out, text)
	}
	return out
}

func TestJWKS(t *testing.T) {
	w := newWorld(t, issuerURL)
	rec, got := w.do(t, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
	all, _ := got["keys"].([]any)
	if rec.Code != http.StatusOK || len(all) != 2 || rec.Header().Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	for _, k := range all {
		key, _ := k.(map[string]any)
		if key["kid"] == nil || key["alg"] == nil || key["use"] != "sig" || key["d"] != nil || key["p"] != nil || key["k"] != nil {
			t.Errorf("key %v", key)
		}
	}
}

// HEAD is GET without a body.
func TestHead(t *testing.T) {
	w := newWorld(t, issuerURL)
	srv := httptest.NewServer(w.Handler())
	defer srv.Close()
	for path, status := range map[string]int{"/.well-known/jwks.json": 200, "/.well-known/openid-configuration": 200, "/mfa/authenticators": 401, "/userinfo": 401} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != status || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", path, answer.StatusCode, answer.Header)
		}
	}
}
