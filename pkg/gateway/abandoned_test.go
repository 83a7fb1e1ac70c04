package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A login that nobody finishes before its mfa_token is over is found in the record, with
// what was tried; one that was finished is not.
func TestAbandonedLoginIsFound(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		alice := w.Enroll(t, "alice")
		since := w.Clock.Now()
		left := ask(t, w, "spa", "alice")
		w.OTP(t, left, "000000").Want(t, http.StatusForbidden, "invalid_grant")
		done := ask(t, w, "spa", "alice")
		w.OTP(t, done, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		w.Clock.Wind(10*time.Minute + time.Second)
		ask(t, w, "spa", "alice") // this one is under way
		abandoned, err := admin.Records(t.Context(), audit.Query{Since: since, Abandoned: w.Clock.Now().Add(-10 * time.Minute), Limit: 10})
		if err != nil || len(abandoned) != 1 || abandoned[0].Event.Subject != "auth0|alice" {
			t.Fatalf("abandoned %+v, %v", abandoned, err)
		}
		all, err := admin.Records(t.Context(), audit.Query{Since: since, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		tried := map[audit.Type]int{}
		for _, r := range all {
			if r.Event.Transaction == abandoned[0].Event.Transaction {
				tried[r.Event.Type]++
			}
		}
		if len(tried) != 2 || tried[audit.FactorDemanded] != 1 || tried[audit.FactorRefused] != 1 {
			t.Errorf("its transaction has %v", tried)
		}
	})
}
