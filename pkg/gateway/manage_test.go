package gateway_test

import (
	"net/http"
	"testing"

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
