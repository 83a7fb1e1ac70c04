package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A client that acts for itself (RFC 6749, 4.4; Auth0 MFA API, 3.1).
func TestClientCredentials(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		own := func(client string, more ...string) gatewaytest.Reply {
			return w.Token(t, with(client, append([]string{"grant_type", "client_credentials"}, more...)...)...)
		}
		now := float64(w.Clock.Now().Unix())
		done := own("service", "audience", things).Want(t, http.StatusOK, "")
		uncached(t, done)
		if !done.Has("access_token", "token_type", "expires_in", "scope") || done.Text("scope") != "read:things write:things" {
			t.Errorf("members of %s", done.Body)
		}
		equal(t, claims(t, w, done.Text("access_token"), "at+jwt"), map[string]any{
			"iss": w.URL, "sub": "service", "client_id": "service", "aud": things, "scope": "read:things write:things",
			"iat": now, "exp": now + 900, "sid": nil, "auth_time": nil, "amr": nil, "acr": nil,
		})
		w.Clock.Wind(time.Second) // the event that is looked at below is the latest
		if some := own("web", "audience", things, "scope", "write:things openid offline_access"); some.Text("scope") != "write:things" || some.Text("refresh_token") != "" {
			t.Errorf("some: %s", some.Body)
		}
		missing(t, own("service"), "audience")
		missing(t, own("service", "audience", ""), "audience")
		for _, audience := range []string{"https://nowhere.test/", w.URL + "mfa/", w.URL + "mfa", w.URL + "userinfo"} {
			refused(t, own("service", "audience", audience), http.StatusForbidden, "access_denied", "")
		}
		for _, client := range []string{"spa", "desk", "batch", "legacy"} {
			refused(t, own(client, "audience", things), http.StatusForbidden, "unauthorized_client",
				"Grant type 'client_credentials' not allowed for the client.")
		}
		refused(t, w.Token(t, "grant_type", "client_credentials", "client_id", "service", "audience", things),
			http.StatusUnauthorized, "invalid_client", "")

		// It opens nothing that is a user's.
		w.Authenticators(t, done.Text("access_token")).Want(t, http.StatusUnauthorized, "invalid_grant")
		w.Associate(t, done.Text("access_token"), anOTP).Want(t, http.StatusUnauthorized, "invalid_grant")
		w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo", Header: gatewaytest.Bearer(done.Text("access_token"))}).
			Want(t, http.StatusUnauthorized, "invalid_token")

		events, err := w.Administer(t).AuditEvents(t.Context(), 1)
		if err != nil || len(events) != 1 || events[0].Type != "tokens.issued" || events[0].Client != "web" ||
			events[0].Subject+events[0].Session != "" || events[0].Grant != "client_credentials" || events[0].Address != "127.0.0.1" {
			t.Errorf("recorded %+v, %v", events, err)
		}
	})
}

func TestClientCredentialsInAuth0Dialect(t *testing.T) {
	w := gatewaytest.New(t, gatewaytest.SQLite(), "tokens: {dialect: auth0}")
	done := w.Token(t, with("service", "grant_type", "client_credentials", "audience", things)...).Want(t, http.StatusOK, "")
	equal(t, claims(t, w, done.Text("access_token"), "JWT"), map[string]any{
		"sub": "service@clients", "azp": "service", "gty": "client-credentials", "aud": things, "client_id": nil, "sid": nil, "auth_time": nil,
	})
}
