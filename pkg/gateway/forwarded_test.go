package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
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
