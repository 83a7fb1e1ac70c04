package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// sealedIn waits until nothing is without a seal, and returns how long that took.
func sealedIn(t *testing.T, admin *gateway.Administration) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		n, err := admin.Unsealed(t.Context())
		took := time.Since(began)
		if err != nil || took > 20*time.Second {
			t.Fatalf("%d records wait for a seal after %v: %v", n, took, err)
		}
		if n == 0 {
			return took
		}
	}
}

// What the gateways recorded is sealed within a second, whichever of them wrote it, and
// holds until somebody writes to the database.
func TestAuditIsSealed(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		verify := func(known audit.Seal) audit.Report {
			t.Helper()
			report, err := audit.Verify(t.Context(), admin, admin.Ring, known)
			if err != nil {
				t.Fatal(err)
			}
			return report
		}
		// A busy machine may take longer once; who seals each minute always does.
		took := time.Hour
		for range 5 {
			w.Login(t, "nobody", "wrong").Want(t, http.StatusForbidden, "invalid_grant")
			took = min(took, sealedIn(t, admin))
		}
		if took > time.Second {
			t.Errorf("sealed after %v at best, want a second", took)
		}
		alice := w.Enroll(t, "alice")
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		sealedIn(t, admin)
		first := verify(audit.Seal{})
		if first.Damages != nil || first.Head.Seq < 5 {
			t.Fatalf("verified %+v", first)
		}
		w.Execute(t, "UPDATE audit_events SET address = 'x' WHERE seal_seq = 3")
		if got := verify(first.Head).Damages; len(got) != 1 || !strings.HasPrefix(got[0], "record 3 ") {
			t.Errorf("after a change: %q", got)
		}
	})
}

const loseAudit = "ALTER TABLE audit_events RENAME TO lost"

// I8: while nothing can be recorded nobody gets a token, and nothing is used up.
func TestNoRecordNoTokens(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := ask(t, w, "spa", "alice")
		code := w.Code(t, alice.Seed, 0)
		w.Execute(t, loseAudit)
		for what, r := range map[string]gatewaytest.Reply{
			"a right code":     w.OTP(t, token, code),
			"a wrong code":     w.OTP(t, token, w.Code(t, alice.Seed, 1)),
			"a right password": w.Login(t, "alice", gatewaytest.Password),
			"a wrong password": w.Login(t, "alice", "wrong"),
		} {
			if r.Status != http.StatusServiceUnavailable || r.Text("error") != "temporarily_unavailable" {
				t.Errorf("%s: %d %v", what, r.Status, r.JSON)
			}
		}
		w.Execute(t, "ALTER TABLE lost RENAME TO audit_events")
		w.OTP(t, token, code).Want(t, http.StatusOK, "")
	})
}

// With audit.required off people go on, and the log tells what was not recorded.
func TestAuditNotRequired(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		w.Execute(t, loseAudit)
		token := ask(t, w, "spa", "alice")
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant") // it is used up all the same
		w.Execute(t, "ALTER TABLE lost RENAME TO audit_events")
		for _, kind := range []string{"factor.demanded", "tokens.issued"} {
			if !strings.Contains(w.Log.String(), "type="+kind+" lost=") {
				t.Errorf("the log does not tell of %s", kind)
			}
		}
		// The demand and the tokens.
		if got, _ := scrape(t, w); got["sallyport_audit_lost_total"] != 2 {
			t.Errorf("%v lost records are counted, want 2", got["sallyport_audit_lost_total"])
		}
	}, "audit: {required: off}")
}
