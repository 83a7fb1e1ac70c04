package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
)

// R1: the /mfa/ audience is excused from "required" for enrolling the first factor and
// for nothing else.
func TestManageAudienceIsNoWayAround(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		ask := func(client []string, more ...string) gatewaytest.Reply {
			pairs := append(client, "grant_type", "password", "username", "carol", "password", gatewaytest.Password,
				"audience", w.URL+"mfa/")
			return w.Token(t, append(pairs, more...)...)
		}
		web := []string{"client_id", "web", "client_secret", gatewaytest.Secret}
		spa := []string{"client_id", "spa"}
		for _, scope := range []string{"openid enroll", "enroll offline_access", "openid profile email offline_access enroll"} {
			ask(web, "scope", scope).Want(t, http.StatusForbidden, "mfa_required")
		}
		for _, client := range [][]string{web, spa} {
			ask(client, "scope", "enroll", "acr_values", record.MultiFactor).Want(t, http.StatusForbidden, "mfa_required")
		}
		weak := ask(web, "scope", "enroll read:authenticators").Want(t, http.StatusOK, "")

		// R6: what the password alone got before there was a factor adds none afterwards.
		w.Enroll(t, "carol")
		again := w.Associate(t, weak.Text("access_token"), map[string]any{"authenticator_types": []string{"otp"}})
		again.Want(t, http.StatusForbidden, "access_denied").Say(t, "User is already enrolled.")
	})
}

// Section 4 and Q6: somebody who has a factor adds a second one, lists both, removes the
// first, and at last has none.
func TestR6ManageAuthenticators(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		manage := func(seed string) string {
			t.Helper()
			first := w.Login(t, "alice", gatewaytest.Password, "audience", w.URL+"mfa/").Want(t, http.StatusForbidden, "mfa_required")
			token := w.OTP(t, first.Text("mfa_token"), w.Code(t, seed, 0)).Want(t, http.StatusOK, "").Text("access_token")
			w.Clock.Wind(30 * time.Second)
			return token
		}
		token := manage(alice.Seed)
		second := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
		seed, ids := second.Text("secret"), map[string]string{}
		for _, row := range w.Authenticators(t, token).List {
			id, _ := row["id"].(string)
			kind, _ := row["type"].(string)
			if id != second.Text("id") {
				ids[kind] = id
			}
		}

		// Another token of the same user confirms nothing, nor does this one at another client.
		other := manage(alice.Seed)
		w.OTP(t, other, w.Code(t, seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		w.Token(t, "grant_type", gatewaytest.GrantOTP, "client_id", "web", "client_secret", gatewaytest.Secret, "mfa_token", token,
			"otp", w.Code(t, seed, 0)).Want(t, http.StatusBadRequest, "invalid_request")
		w.OTP(t, token, w.Code(t, seed, 2)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Invalid otp_code.")
		confirmed := gatewaytest.OneWins(t, gatewaytest.Race(10, func(int) gatewaytest.Reply { return w.OTP(t, token, w.Code(t, seed, 0)) }))
		if got := confirmed.Text("scope"); got != "enroll read:authenticators remove:authenticators" {
			t.Errorf("scope %q", got)
		}
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token") // never a login
		w.Clock.Wind(30 * time.Second)

		open := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		remove(t, w, open, ids["otp"]).Want(t, http.StatusForbidden, "insufficient_scope")
		remove(t, w, token, "totp|dev_0000000000000000").Want(t, http.StatusNotFound, "invalid_authenticator").Say(t, "Authenticator not found")
		remove(t, w, token, ids["recovery-code"]).Want(t, http.StatusForbidden, "access_denied")
		if r := remove(t, w, token, ids["otp"]); r.Status != http.StatusNoContent || r.Body != "" {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		remove(t, w, token, ids["otp"]).Want(t, http.StatusNotFound, "invalid_authenticator")
		w.OTP(t, open, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant")
		w.OTP(t, open, w.Code(t, seed, 0)).Want(t, http.StatusOK, "")
		w.Clock.Wind(30 * time.Second)

		// With the last factor go the recovery codes.
		remove(t, w, manage(seed), second.Text("id")).Want(t, http.StatusNoContent, "")
		w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusOK, "")
		if again := w.Enroll(t, "alice"); again.Recovery == alice.Recovery {
			t.Error("an old recovery code came back")
		}
	})
}

// What a token for /mfa/ may do ends with the token, with the factor that its session
// proved, and at what others were shown.
func TestManageEnds(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		manage := func(user, seed string) string {
			t.Helper()
			first := w.Login(t, user, gatewaytest.Password, "audience", w.URL+"mfa/",
				"scope", "openid offline_access enroll read:authenticators remove:authenticators").Want(t, http.StatusForbidden, "mfa_required")
			token := w.OTP(t, first.Text("mfa_token"), w.Code(t, seed, 0)).Want(t, http.StatusOK, "").Text("access_token")
			w.Clock.Wind(30 * time.Second)
			return token
		}
		// Confirming renews nothing.
		alice := w.Enroll(t, "alice")
		token := manage("alice", alice.Seed)
		w.Clock.Wind(8 * time.Minute)
		second := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
		confirmed := w.OTP(t, token, w.Code(t, second.Text("secret"), 0)).Want(t, http.StatusOK, "")
		if left, _ := confirmed.JSON["expires_in"].(float64); left > 120 || confirmed.Text("refresh_token") != "" {
			t.Errorf("the answer renews the token: %s", confirmed.Body)
		}
		w.Clock.Wind(30 * time.Second)

		// A session is as strong as the factors that its user still has.
		first := manage("alice", alice.Seed)
		other := manage("alice", second.Text("secret"))
		for _, row := range w.Authenticators(t, other).List {
			if id, _ := row["id"].(string); row["type"] == "otp" && id != second.Text("id") {
				remove(t, w, other, id).Want(t, http.StatusNoContent, "")
			}
		}
		remove(t, w, first, second.Text("id")).Want(t, http.StatusForbidden, "access_denied")

		// A password alone takes nothing away that somebody else was shown.
		web := []string{"client_id", "web", "client_secret", gatewaytest.Secret}
		mine := w.Token(t, append(web, "grant_type", "password", "username", "carol", "password", gatewaytest.Password)...).
			Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		made := w.Associate(t, mine, anOTP).Want(t, http.StatusOK, "")
		weak := w.Login(t, "carol", gatewaytest.Password, "audience", w.URL+"mfa/").Want(t, http.StatusOK, "").Text("access_token")
		own := w.Associate(t, weak, anOTP).Want(t, http.StatusOK, "")
		remove(t, w, weak, made.Text("id")).Want(t, http.StatusForbidden, "access_denied")
		remove(t, w, weak, own.Text("id")).Want(t, http.StatusNoContent, "")
		w.Token(t, append(web, "grant_type", gatewaytest.GrantOTP, "mfa_token", mine, "otp", w.Code(t, made.Text("secret"), 0))...).Want(t, http.StatusOK, "")
		codes, _ := made.JSON["recovery_codes"].([]any)
		code, _ := codes[0].(string)
		again := w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		w.Recover(t, again, code).Want(t, http.StatusOK, "")
	})
}
