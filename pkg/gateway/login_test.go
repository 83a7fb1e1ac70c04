package gateway_test

import (
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// The path that docs/architecture.md draws, line by line.
func TestPasswordThenOneTimePassword(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")

		first := w.Login(t, "alice", gatewaytest.Password, "scope", "openid").
			Want(t, http.StatusForbidden, "mfa_required").Say(t, "Multifactor authentication required")
		w.Challenge(t, first.Text("mfa_token"), "challenge_type", "otp").Want(t, http.StatusOK, "")
		w.OTP(t, first.Text("mfa_token"), w.Code(t, alice.Seed, 1)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Invalid otp_code.")
		code := w.Code(t, alice.Seed, 0)
		done := w.OTP(t, first.Text("mfa_token"), code).Want(t, http.StatusOK, "")
		if !done.Has("access_token", "id_token", "token_type", "expires_in", "scope") {
			t.Errorf("members of %s", done.Body)
		}

		// Both doors have shut behind that login: neither token nor code opens again.
		w.OTP(t, first.Text("mfa_token"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		second := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")
		w.OTP(t, second.Text("mfa_token"), code).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Invalid otp_code.")
	})
}
