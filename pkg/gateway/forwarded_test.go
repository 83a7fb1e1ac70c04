package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
)

// Section 1.3.5: the address of auth0-forwarded-for is on record when a client says it
// that proved itself and is trusted with that; from everybody else it is noise.
func TestForwardedAddress(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		const own, said = "127.0.0.1", "198.51.100.7"
		for _, c := range []struct {
			name, client, header, want string
		}{
			{"trusted", "desk", said, said},
			{"trusted, another spelling", "desk", "::ffff:" + said, said},
			{"trusted, no address", "desk", "<script>", own},
			{"trusted, two", "desk", said + ", 203.0.113.9", own},
			{"trusted, nothing", "desk", "", own},
			{"confidential", "batch", said, own},
			{"public", "spa", said, own},
		} {
			header := map[string]string{"Auth0-Forwarded-For": c.header}
			for password, status := range map[string]int{gatewaytest.Password: http.StatusOK, "wrong": http.StatusForbidden} {
				w.Clock.Wind(time.Second) // the latest event is this request's
				r := w.FormWith(t, "/oauth/token", header, with(c.client, "grant_type", "password", "username", "carol", "password", password)...)
				if r.Status != status {
					t.Fatalf("%s: %d %s", c.name, r.Status, r.Body)
				}
				events, err := admin.AuditEvents(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				if e := events[0]; e.Address != c.want || e.Client != c.client {
					t.Errorf("%s, password %q: recorded %+v, want %s", c.name, password, e, c.want)
				}
			}
		}
		refused(t, w.FormWith(t, "/oauth/token", map[string]string{"Auth0-Forwarded-For": said},
			"grant_type", "password", "client_id", "desk", "username", "carol", "password", gatewaytest.Password), http.StatusUnauthorized, "invalid_client", "")
	})
}

// R27: behind a server all users have its address. So a push comes from where it says that
// its user is, and somebody elsewhere does not take the place of one that is live.
func TestForwardedPush(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		ask := func(login, challenge string) gatewaytest.Reply {
			t.Helper()
			from := func(address string) map[string]string { return map[string]string{"Auth0-Forwarded-For": address} }
			token := w.FormWith(t, "/oauth/token", from(login), with("desk", "grant_type", "password", "username", "alice",
				"password", gatewaytest.Password)...).Want(t, 403, "mfa_required").Text("mfa_token")
			return w.FormWith(t, "/mfa/challenge", from(challenge), with("desk", "mfa_token", token, "challenge_type", "oob")...)
		}
		const own, elsewhere = "198.51.100.7", "203.0.113.9"
		ask(own, own).Want(t, 200, "")
		if place := mira.Next(t).Place; place.Name != own {
			t.Errorf("the phone shows %+v, want %s", place, own)
		}
		ask(elsewhere, elsewhere).Want(t, 429, "too_many_attempts")
		ask(elsewhere, "").Want(t, 429, "too_many_attempts")
		mira.None(t)
		ask(own, "").Want(t, 200, "")
		mira.Approve(t, mira.Next(t))
	})
}
