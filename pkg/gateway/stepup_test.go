package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
)

// stepUp asks as "spa" for more than an access token has.
func stepUp(t testing.TB, w *gatewaytest.World, token string, more ...string) gatewaytest.Reply {
	t.Helper()
	return w.Token(t, append([]string{"grant_type", "mfa_token", "client_id", "spa", "access_token", token}, more...)...)
}

// begun fails the test unless the answer is an mfa_token and nothing else.
func begun(t testing.TB, r gatewaytest.Reply) string {
	t.Helper()
	r.Want(t, http.StatusOK, "")
	if !r.Has("mfa_token", "expires_in", "mfa_requirements") || r.JSON["expires_in"] != float64(600) || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answer %s %v", r.Body, r.Header)
	}
	return r.Text("mfa_token")
}

// RFC 9470 without a browser, O-AC-3: a live access token in, an mfa_token out, and the MFA
// grants finish it.
func TestStepUp(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		old := weak(t, w)
		carol := w.Enroll(t, "carol")
		open := begun(t, stepUp(t, w, old.Text("access_token"), "acr_values", record.MultiFactor))
		w.Challenge(t, open).Want(t, http.StatusOK, "")
		done := w.OTP(t, open, w.Code(t, carol.Seed, 0)).Want(t, http.StatusOK, "")
		if done.Text("scope") != "openid read:things" || done.Text("refresh_token") != "" || done.Text("id_token") == "" {
			t.Errorf("answer %s", done.Body)
		}
		was, is := claims(t, w, old.Text("access_token"), "at+jwt"), claims(t, w, done.Text("access_token"), "at+jwt")
		if was["acr"] != nil || is["acr"] != record.MultiFactor || was["sid"] != is["sid"] || is["auth_time"] != float64(w.Clock.Now().Unix()) {
			t.Errorf("from %v to %v", was, is)
		}
		w.OTP(t, open, w.Code(t, carol.Seed, 1)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")

		// Nothing more is needed: tokens at once, and no longer good than the one in hand.
		w.Clock.Wind(5 * time.Minute)
		again := stepUp(t, w, done.Text("access_token"), "acr_values", "urn:other "+record.MultiFactor, "max_age", "300",
			"scope", "write:things", "audience", apiThings).Want(t, http.StatusOK, "")
		if again.Text("scope") != "write:things" || again.JSON["expires_in"] != float64(600) || again.Text("refresh_token") != "" {
			t.Errorf("answer %s", again.Body)
		}
		w.Clock.Wind(time.Second)
		begun(t, stepUp(t, w, done.Text("access_token"), "max_age", "300"))
		begun(t, stepUp(t, w, done.Text("access_token"), "max_age", "0"))
		// The session was stepped up, and its refresh token with it.
		refresh(t, w, old.Text("refresh_token"), "scope", "write:things", "max_age", "301").Want(t, http.StatusOK, "")
	})
}

// An access token is shown to APIs, any of which could send it to the gateway: without a
// new proof it yields nothing that it is not good for itself.
func TestStepUpIsNoExchange(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := strong(t, w, "alice", alice.Seed).Text("access_token")
		for _, more := range [][]string{
			{"scope", "read:things email"}, {"audience", w.URL + "userinfo", "scope", "openid email"},
			{"audience", w.URL + "mfa/", "scope", "enroll"}, {"audience", w.URL + "mfa"}, {"scope", "read:things profile offline_access"},
		} {
			open := begun(t, stepUp(t, w, token, more...))
			done := w.OTP(t, open, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
			if done.Text("refresh_token") != "" || strings.Contains(done.Text("scope"), "offline_access") {
				t.Errorf("%v: %s", more, done.Body)
			}
			w.Clock.Wind(30 * time.Second)
		}
		same := stepUp(t, w, token, "scope", "read:things offline_access").Want(t, http.StatusOK, "")
		if same.Text("scope") != "read:things" || same.Text("refresh_token") != "" {
			t.Errorf("answer %s", same.Body)
		}
		w.Clock.Wind(8 * time.Minute)
		last := stepUp(t, w, same.Text("access_token")).Want(t, http.StatusOK, "")
		w.Clock.Wind(5 * time.Minute) // fifteen minutes after the first one
		stepUp(t, w, last.Text("access_token")).Want(t, http.StatusUnauthorized, "invalid_token")
	})
}

// What the grant refuses, and what it asks of whom.
func TestStepUpRefused(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := weak(t, w).Text("access_token")
		stepUp(t, w, "").Want(t, http.StatusBadRequest, "invalid_request").Say(t, "Missing required parameter: access_token")
		for _, bad := range []string{"x", token + "x", weak(t, w).Text("refresh_token"), weak(t, w).Text("id_token")} {
			stepUp(t, w, bad).Want(t, http.StatusUnauthorized, "invalid_token")
		}
		own := w.Token(t, with("web", "grant_type", "client_credentials", "audience", apiThings)...).Want(t, http.StatusOK, "")
		w.Token(t, with("web", "grant_type", "mfa_token", "access_token", own.Text("access_token"))...).
			Want(t, http.StatusUnauthorized, "invalid_token") // nobody stands behind it
		w.Token(t, with("web", "grant_type", "mfa_token", "access_token", token)...).Want(t, http.StatusBadRequest, "invalid_request")
		w.Token(t, with("legacy", "grant_type", "mfa_token", "access_token", token)...).Want(t, http.StatusForbidden, "unauthorized_client")
		stepUp(t, w, token, "acr_values", "urn:phr phrh").Want(t, http.StatusBadRequest, "unmet_authentication_requirements")
		stepUp(t, w, token, "max_age", "-1").Want(t, http.StatusBadRequest, "invalid_request")
		stepUp(t, w, token, "audience", "https://nobody.example.test/").Want(t, http.StatusForbidden, "access_denied")
		desk := w.Token(t, with("desk", "grant_type", "password", "username", "carol", "password", gatewaytest.Password,
			"audience", apiThings)...).Want(t, http.StatusOK, "").Text("access_token")
		w.Token(t, with("desk", "grant_type", "mfa_token", "access_token", desk, "scope", "write:things")...).
			Want(t, http.StatusBadRequest, "invalid_scope")
		batch := w.Token(t, with("batch", "grant_type", "password", "username", "carol", "password", gatewaytest.Password)...).
			Want(t, http.StatusOK, "").Text("access_token")
		w.Token(t, with("batch", "grant_type", "mfa_token", "access_token", batch, "acr_values", record.MultiFactor)...).
			Want(t, http.StatusForbidden, "unauthorized_client")

		// Who has no factor enrolls the first one, while the password is new.
		r := stepUp(t, w, token, "scope", "write:things")
		if requirements, _ := r.JSON["mfa_requirements"].(map[string]any); requirements["enroll"] == nil || requirements["challenge"] != nil {
			t.Errorf("requirements %v", requirements)
		}
		open := begun(t, r)
		made := w.Associate(t, open, anOTP).Want(t, http.StatusOK, "")
		w.Clock.Wind(10*time.Minute - time.Millisecond)
		late := begun(t, stepUp(t, w, token, "scope", "write:things"))
		w.Clock.Wind(time.Second)
		w.Associate(t, late, anOTP).Want(t, http.StatusUnauthorized, "insufficient_user_authentication")
		w.OTP(t, late, w.Code(t, made.Text("secret"), 0)).Want(t, http.StatusUnauthorized, "unsupported_challenge_type")
	})
}

// A step-up ends with the session in hand, whoever ends that.
func TestStepUpEndsWithItsSession(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		for name, end := range map[string]func(tokens gatewaytest.Reply){
			"logout": func(r gatewaytest.Reply) {
				w.Form(t, "/oauth/revoke", "client_id", "spa", "token", r.Text("refresh_token")).Want(t, http.StatusOK, "")
			},
			"reuse": func(r gatewaytest.Reply) {
				refresh(t, w, r.Text("refresh_token")).Want(t, http.StatusOK, "")
				refresh(t, w, r.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant")
			},
		} {
			tokens := strong(t, w, "alice", alice.Seed)
			open := begun(t, stepUp(t, w, tokens.Text("access_token"), "max_age", "0"))
			end(tokens)
			w.Authenticators(t, open).Want(t, http.StatusUnauthorized, "invalid_grant")
			w.Challenge(t, open).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
			got := w.OTP(t, open, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant")
			if got.Text("error_description") != "Malformed mfa_token" {
				t.Errorf("%s: %s", name, got.Body)
			}
			stepUp(t, w, tokens.Text("access_token")).Want(t, http.StatusUnauthorized, "invalid_token")
		}
	})
}
