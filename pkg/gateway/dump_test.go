package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// I11, N-PW-6, N-LU-3, N-OT-3: neither the stores nor the logs hold anything that
// could be used to log in.
func TestNothingSecretIsStoredOrLogged(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		first := w.Login(t, "alice", gatewaytest.Password, "scope", "openid offline_access").Want(t, http.StatusForbidden, "mfa_required")
		wrong := "000000"
		w.OTP(t, first.Text("mfa_token"), wrong).Want(t, http.StatusForbidden, "invalid_grant")
		code := w.Code(t, alice.Seed, 0)
		done := w.OTP(t, first.Text("mfa_token"), code).Want(t, http.StatusOK, "")
		second := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")
		recovered := w.Recover(t, second.Text("mfa_token"), alice.Recovery).Want(t, http.StatusOK, "")
		refreshed := refresh(t, w, done.Text("refresh_token")).Want(t, http.StatusOK, "")
		waits := refresh(t, w, refreshed.Text("refresh_token"), "max_age", "0").Want(t, http.StatusForbidden, "mfa_required")
		// One more login stays open, so that the state store holds something.
		open := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")

		secrets := map[string]string{
			"password":          gatewaytest.Password,
			"client secret":     gatewaytest.Secret,
			"seed":              alice.Seed,
			"recovery code":     alice.Recovery,
			"new recovery code": recovered.Text("recovery_code"),
			"access token":      done.Text("access_token"),
			"ID token":          done.Text("id_token"),
			"used token":        done.Text("refresh_token"),
			"refresh token":     refreshed.Text("refresh_token"),
			"step-up token":     waits.Text("mfa_token"),
			"finished token":    first.Text("mfa_token"),
			"open token":        open.Text("mfa_token"),
		}
		dump, log := w.Dump(t), w.Log.String()
		if !strings.Contains(dump, "auth0|alice") || !strings.Contains(log, "/oauth/token") {
			t.Fatal("the dump or the log is empty, so this test would see nothing")
		}
		for name, value := range secrets {
			if value == "" {
				t.Errorf("there is no %s to look for", name)
				continue
			}
			if strings.Contains(dump, value) {
				t.Errorf("the stores hold the %s in the clear", name)
			}
			if strings.Contains(log, value) {
				t.Errorf("the log holds the %s", name)
			}
		}
		// Six digits stand in every dump by chance, but not as a value of their own.
		for _, quoted := range []string{`"` + code + `"`, `'` + code + `'`, "otp=" + code} {
			if strings.Contains(dump, quoted) || strings.Contains(log, quoted) {
				t.Errorf("a one-time password stands there as %s", quoted)
			}
		}
	})
}
