package gateway_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// Gateways that start at the same time on an empty database make one of everything, and
// find it when they start again. Other tests begin with a copy of what one gateway made.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			s.Empty = true
			w := gatewaytest.New(t, s)
			first := made(t, w)
			if first[0] != 4 || first[1] != 8 || first[2] == 0 || first[3] != 4 {
				t.Errorf("%d users, %d clients, %d keys, %d records of a user", first[0], first[1], first[2], first[3])
			}
			published := keysOf(t, w)
			for _, node := range w.Apart() {
				node.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusOK, "")
				if keys := keysOf(t, node); keys != published {
					t.Errorf("gateways that started together publish %s and %s", published, keys)
				}
			}
			w.Restart(t)
			if again := made(t, w); !slices.Equal(again, first) {
				t.Errorf("there were %v, and after a restart %v", first, again)
			}
			w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusOK, "")
		})
	}
}

// keysOf are the keys that a gateway publishes, as it writes them.
func keysOf(t *testing.T, w *gatewaytest.World) string {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/jwks.json"}).Want(t, http.StatusOK, "").Body
}

// made counts what a first start makes: users, clients and signing keys, and the changes of
// users that it recorded.
func made(t *testing.T, w *gatewaytest.World) (counts []int) {
	t.Helper()
	for _, what := range []string{"users", "clients", "signing_keys", "audit_events WHERE type = 'user.changed'"} {
		var n int
		if err := w.SQL(t).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+what).Scan(&n); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	return counts
}
