package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A13: a page of a client's origin asks first, as every library for browsers makes it,
// and then logs in. Nobody else's page gets an answer that it may read.
func TestPagesOfAClient(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		const app = "https://app.example.test"
		ask := func(path, origin, method string) gatewaytest.Reply {
			return w.Do(t, gatewaytest.Request{Method: http.MethodOptions, Path: path, Header: map[string]string{
				"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "auth0-client,authorization,content-type"}})
		}
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/mfa/challenge", "/mfa/associate", "/mfa/authenticators", "/userinfo"} {
			r := ask(path, app, "POST")
			if r.Status != http.StatusNoContent || r.Header.Get("Access-Control-Allow-Origin") != app ||
				r.Header.Get("Access-Control-Allow-Headers") != "auth0-client,authorization,content-type" {
				t.Errorf("%s: %d %v", path, r.Status, r.Header)
			}
			for _, origin := range []string{"null", "https://evil.test", app + ".evil.test", "https://APP.example.test", app + ":444", "http://app.example.test"} {
				if r := ask(path, origin, "POST"); r.Header.Get("Access-Control-Allow-Origin") != "" || !strings.HasPrefix(r.Header.Get("Vary"), "Origin") {
					t.Errorf("%s from %s: %d %v", path, origin, r.Status, r.Header)
				}
			}
		}
		for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration"} {
			if r := ask(path, "https://anybody.test", "GET"); r.Status != http.StatusNoContent || r.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %d %v", path, r.Status, r.Header)
			}
		}

		page := map[string]string{"Origin": app, "Auth0-Client": "eyJuYW1lIjoiYXV0aDAtc3BhLWpzIn0="}
		login := func() gatewaytest.Reply {
			return w.FormWith(t, "/oauth/token", page, with("spa", "grant_type", "password", "username", "carol", "password", gatewaytest.Password)...)
		}
		if r := login().Want(t, http.StatusOK, ""); r.Header.Get("Access-Control-Allow-Origin") != app {
			t.Errorf("headers %v", r.Header)
		}

		// A client that is stopped takes its origins along, on every node.
		if err := w.Administer(t).SetClientDisabled(t.Context(), "spa", true, event(w)); err != nil {
			t.Fatal(err)
		}
		w.Clock.Wind(5 * time.Second)
		for range 2 {
			if r := login().Want(t, http.StatusUnauthorized, "invalid_client"); r.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("headers %v", r.Header)
			}
		}
	})
}
