package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
)

// What an access token was exchanged for ends with it, and so does what waits for a proof.
func TestRevokedTokenYieldsNothing(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		revoke := func(token string) {
			t.Helper()
			w.Form(t, "/oauth/revoke", "client_id", "spa", "token", token).Want(t, http.StatusOK, "")
		}
		active := func(token string, want bool) {
			t.Helper()
			r := w.Form(t, "/oauth/introspect", with("desk", "token", token)...).Want(t, http.StatusOK, "")
			if r.JSON["active"] != want {
				t.Errorf("active %v, want %t", r.JSON["active"], want)
			}
		}
		alice := w.Enroll(t, "alice")
		login := strong(t, w, "alice", alice.Seed)
		first := login.Text("access_token")
		second := stepUp(t, w, first).Want(t, http.StatusOK, "").Text("access_token")
		third := stepUp(t, w, second).Want(t, http.StatusOK, "").Text("access_token")
		proved := w.OTP(t, begun(t, stepUp(t, w, first, "max_age", "0")), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "").Text("access_token")
		w.Clock.Wind(30 * time.Second)
		waits := begun(t, stepUp(t, w, second, "max_age", "0"))
		revoke(first)
		active(second, false)
		active(third, false)
		active(proved, true) // by a proof of its own
		w.Challenge(t, waits).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		w.OTP(t, waits, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		refresh(t, w, login.Text("refresh_token")).Want(t, http.StatusOK, "") // the session goes on

		// A first factor is not enrolled with what a revoked token began.
		token := weak(t, w).Text("access_token")
		waits = begun(t, stepUp(t, w, token, "scope", "write:things"))
		made := w.Associate(t, waits, anOTP).Want(t, http.StatusOK, "")
		revoke(token)
		w.Associate(t, waits, anOTP).Want(t, http.StatusUnauthorized, "invalid_grant")
		w.OTP(t, waits, w.Code(t, made.Text("secret"), 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
	})
}

// R5: who has a token of somebody's, and not the password, has four guesses of its own and
// makes its owner wait for none of them.
func TestR5StolenTokenDelaysNobody(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		stolen := strong(t, w, "alice", alice.Seed)
		looked := 0
		for range 6 {
			token := begun(t, stepUp(t, w, stolen.Text("access_token"), "max_age", "0"))
			for range 3 {
				r := w.OTP(t, token, w.Code(t, alice.Seed, 100)).Want(t, http.StatusForbidden, "invalid_grant")
				if r.Text("error_description") == "Invalid otp_code." {
					looked++
				}
			}
			w.OTP(t, refresh(t, w, stolen.Text("refresh_token"), "max_age", "0").Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token"),
				w.Code(t, alice.Seed, 100)).Want(t, http.StatusForbidden, "invalid_grant")
		}
		if looked > 4 {
			t.Errorf("%d guesses were looked at, want 4 in all", looked)
		}
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")

		// A token for /mfa/ associates one, whose codes can be wrong as often as one likes.
		w.Clock.Wind(30 * time.Second)
		enroller := manage(t, w, "alice", alice, "enroll")
		seed := w.Associate(t, enroller, anOTP).Want(t, http.StatusOK, "").Text("secret")
		looked = 0
		for range 6 {
			r := w.OTP(t, enroller, w.Code(t, seed, 100)).Want(t, http.StatusForbidden, "invalid_grant")
			if r.Text("error_description") == invalidOTP {
				looked++
			}
		}
		if looked != 4 {
			t.Errorf("%d codes of a new authenticator were looked at, want 4", looked)
		}
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// O-AC-1: tokens tell of no factor that its user has no more.
func TestClaimsOfARemovedFactor(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		session := strong(t, w, "alice", alice.Seed)
		first := w.Login(t, "alice", gatewaytest.Password, "audience", w.URL+"mfa/").Want(t, http.StatusForbidden, "mfa_required")
		manage := w.OTP(t, first.Text("mfa_token"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "").Text("access_token")
		for _, row := range w.Authenticators(t, manage).List {
			if id, _ := row["id"].(string); row["type"] == "otp" {
				w.Do(t, gatewaytest.Request{Method: http.MethodDelete, Path: "/mfa/authenticators/" + id, Header: gatewaytest.Bearer(manage)}).
					Want(t, http.StatusNoContent, "")
			}
		}
		again := refresh(t, w, session.Text("refresh_token")).Want(t, http.StatusOK, "")
		if c := claims(t, w, again.Text("access_token"), "at+jwt"); c["acr"] != nil {
			t.Errorf("claims %v", c)
		}
		refresh(t, w, again.Text("refresh_token"), "acr_values", record.MultiFactor).Want(t, http.StatusForbidden, "mfa_required")
	})
}

// no login lasts for ever, however often it is stepped up.
func TestStepUpOfAnOldSession(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := strong(t, w, "alice", alice.Seed).Text("access_token")
		for range 4 {
			w.Clock.Wind(14 * time.Minute)
			token = w.OTP(t, begun(t, stepUp(t, w, token, "max_age", "0")), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "").Text("access_token")
		}
		w.Clock.Wind(5 * time.Minute)
		stepUp(t, w, token).Want(t, http.StatusUnauthorized, "insufficient_user_authentication")
	}, "lifetimes: {refresh_token: 1h}")
}
