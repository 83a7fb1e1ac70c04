package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// about sends a token to one of the endpoints about tokens, as a client.
func about(t *testing.T, w *gatewaytest.World, path, client, token string) gatewaytest.Reply {
	t.Helper()
	return w.Form(t, path, with(client, "token", token)...)
}

// revoked wants the one answer that there is to a revocation.
func revoked(t *testing.T, r gatewaytest.Reply) {
	t.Helper()
	if r.Want(t, http.StatusOK, ""); r.Body != "{}\n" {
		t.Errorf("body %q", r.Body)
	}
	uncached(t, r)
}

const inactive = "{\"active\":false}\n"

// known reports whether an access token is active in the eyes of an API's server, which
// any client that may have the API can be.
func known(t *testing.T, w *gatewaytest.World, token string) bool {
	t.Helper()
	r := about(t, w, "/oauth/introspect", "service", token).Want(t, http.StatusOK, "")
	uncached(t, r)
	if r.JSON["active"] != true && r.Body != inactive {
		t.Errorf("body %q, want %q", r.Body, inactive)
	}
	return r.JSON["active"] == true
}

// login gets tokens for the API by a password, of somebody without a factor.
func login(t *testing.T, w *gatewaytest.World, client string) gatewaytest.Reply {
	t.Helper()
	return w.Token(t, with(client, "grant_type", "password", "username", "carol", "password", gatewaytest.Password,
		"audience", things, "scope", "openid offline_access read:things")...).Want(t, http.StatusOK, "")
}

// O-70-1: a refresh token takes its login's access tokens along, an access token goes
// alone; on every node, and for who sends JSON as for who sends a form.
func TestRevoke(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for _, encode := range []func(token, hint string) gatewaytest.Request{
			func(token, hint string) gatewaytest.Request {
				body, err := json.Marshal(map[string]any{"client_id": "spa", "token": token, "token_type_hint": hint, "client_secret": nil})
				if err != nil {
					t.Fatal(err)
				}
				return gatewaytest.Request{Method: http.MethodPost, Path: "/oauth/revoke", ContentType: "application/json", Body: string(body)}
			},
			func(token, hint string) gatewaytest.Request {
				return gatewaytest.Request{Method: http.MethodPost, Path: "/oauth/revoke", ContentType: "application/x-www-form-urlencoded",
					Body: gatewaytest.Encode("client_id", "spa", "token", token, "token_type_hint", hint)}
			},
		} {
			first, second, other := login(t, w, "spa"), login(t, w, "spa"), login(t, w, "spa")
			revoked(t, w.Do(t, encode(first.Text("access_token"), "refresh_token")))
			revoked(t, w.Do(t, encode(second.Text("refresh_token"), "")))
			for range 2 { // both nodes
				for name, token := range map[string]string{"access": first.Text("access_token"), "refresh": second.Text("access_token")} {
					if known(t, w, token) {
						t.Errorf("the login whose %s token was revoked has an active access token", name)
					}
					refused(t, about(t, w, "/oauth/introspect", "spa", token), http.StatusUnauthorized, "invalid_client", "")
				}
				if !known(t, w, other.Text("access_token")) {
					t.Error("another login of the user was revoked")
				}
			}
			for _, token := range []string{first.Text("access_token"), second.Text("refresh_token"), second.Text("access_token"), first.Text("id_token")} {
				revoked(t, w.Do(t, encode(token, "access_token"))) // is over, or never was such a token
			}
		}
		// At the gateway itself it is over as well.
		open := login(t, w, "spa").Text("access_token")
		userinfo(t, w, open).Want(t, http.StatusOK, "")
		revoked(t, about(t, w, "/oauth/revoke", "spa", open))
		userinfo(t, w, open).Want(t, http.StatusUnauthorized, "invalid_token")
	})
}

// RFC 7009, 2.1: nobody ends another client's tokens, and who tries is told.
func TestRevokeForeign(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		tokens := login(t, w, "spa")
		for _, name := range []string{"access_token", "refresh_token"} {
			for _, client := range []string{"batch", "legacy", "service"} {
				refused(t, about(t, w, "/oauth/revoke", client, tokens.Text(name)), http.StatusBadRequest, "invalid_request", "The token was not issued to this client.")
			}
			for _, credentials := range [][]string{{}, {"client_id", "web"}, {"client_id", "nobody"}, {"client_id", "web", "client_secret", "wrong"}, {"client_id", "spa", "client_secret", "x"}} {
				refused(t, w.Form(t, "/oauth/revoke", append(credentials, "token", tokens.Text(name))...), http.StatusUnauthorized, "invalid_client", "")
			}
		}
		missing(t, w.Form(t, "/oauth/revoke", with("spa")...), "token")
		for _, token := range []string{"x", "x.y.z", tokens.Text("access_token") + "x", "eyJhbGciOiJub25lIn0.e30.", "%00", "Fe26.2*1*x"} {
			revoked(t, about(t, w, "/oauth/revoke", "batch", token))
		}
		if !known(t, w, tokens.Text("access_token")) {
			t.Error("the token was revoked")
		}
	})
}

// What was revoked is on record, once, with whom it concerned.
func TestRevocationIsRecorded(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		tokens := login(t, w, "spa")
		for range 3 {
			revoked(t, about(t, w, "/oauth/revoke", "spa", tokens.Text("refresh_token")))
		}
		revoked(t, about(t, w, "/oauth/revoke", "spa", "garbage"))
		events, err := admin.AuditEvents(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range events {
			if e.Type != "tokens.revoked" {
				continue
			}
			if n++; !e.Success || e.Subject != "auth0|carol" || e.Client != "spa" || e.Session == "" || e.Address != "127.0.0.1" {
				t.Errorf("event %+v", e)
			}
		}
		if n != 1 {
			t.Errorf("%d events, want 1", n)
		}
	})
}

// O-76-1, O-76-2: who may look sees all that the token says; all others see that it is
// not active, in the same bytes whatever it is.
func TestIntrospect(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := w.OTP(t, ask(t, w, "spa", "alice", "audience", things, "scope", "openid read:things"), w.Code(t, alice.Seed, 0)).
			Want(t, http.StatusOK, "").Text("access_token")
		said := claims(t, w, token, "at+jwt")
		for _, client := range []string{"service", "desk", "web"} {
			r := about(t, w, "/oauth/introspect", client, token).Want(t, http.StatusOK, "")
			if !r.Has("active", "iss", "sub", "aud", "client_id", "exp", "iat", "scope", "token_type", "sid", "jti", "acr", "amr", "auth_time") {
				t.Errorf("%s: %s", client, r.Body)
			}
			equal(t, r.JSON, map[string]any{"active": true, "token_type": "Bearer", "sub": "auth0|alice", "client_id": "spa", "scope": "openid read:things"})
			equal(t, r.JSON, said)
		}

		refused(t, w.Form(t, "/oauth/introspect", "token", token), http.StatusUnauthorized, "invalid_client", "")
		refused(t, w.Form(t, "/oauth/introspect", "token", token, "client_id", "service"), http.StatusUnauthorized, "invalid_client", "")
		refused(t, w.FormWith(t, "/oauth/introspect", gatewaytest.Bearer(token), "token", token), http.StatusUnauthorized, "invalid_client", "")
		missing(t, w.Form(t, "/oauth/introspect", with("service")...), "token")
		if r := w.FormWith(t, "/oauth/introspect", basic("web", gatewaytest.Secret), "token", token); r.JSON["active"] != true {
			t.Errorf("Basic: %d %s", r.Status, r.Body)
		}

		gateways := w.Login(t, "carol", gatewaytest.Password, "scope", "openid").Want(t, http.StatusOK, "")
		for name, text := range map[string]string{
			"for the gateway alone": gateways.Text("access_token"), "an ID token": gateways.Text("id_token"),
			"a refresh token": alice.Tokens.Text("refresh_token"), "an mfa_token": ask(t, w, "spa", "alice"),
			"garbage": "x.y.z", "altered": token[:len(token)-4] + "AAAA", "one word": "x",
		} {
			if r := about(t, w, "/oauth/introspect", "service", text); r.Status != http.StatusOK || r.Body != inactive {
				t.Errorf("%s: %d %s", name, r.Status, r.Body)
			}
		}
		w.Clock.Wind(15 * time.Minute)
		if known(t, w, token) {
			t.Error("an expired token is active")
		}
	})
}
