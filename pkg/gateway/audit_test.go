package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// That somebody has sent too many passwords is recorded as it begins; what is sent after
// that, and nobody looks at, does not fill the record.
func TestPasswordsThatWaitAreRecorded(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for range 10 {
			w.Login(t, "carol", "wrong").Want(t, http.StatusForbidden, "invalid_grant")
		}
		for range 20 {
			w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusTooManyRequests, "too_many_attempts")
		}
		events, err := w.Administer(t).AuditEvents(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, e := range events {
			if e.Type == audit.PasswordRefused && e.Subject == "auth0|carol" && e.Client == "spa" && e.Address == "127.0.0.1" {
				got[e.Reason]++
			}
		}
		if len(got) != 2 || got["wrong_password"] != 10 || got["too_many_attempts"] != 1 {
			t.Errorf("recorded %v", got)
		}
	})
}

// Part 10: every step of a login is recorded, a wrong factor is counted, and a right
// one that was used before is recorded but not counted.
func TestLoginIsRecorded(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		counted := func(want int) {
			t.Helper()
			if n, _, err := admin.UserFailures(t.Context(), "auth0|alice"); err != nil || n != want {
				t.Errorf("%d failures are counted, want %d (%v)", n, want, err)
			}
		}
		alice := w.Enroll(t, "alice")
		w.Login(t, "alice", "wrong").Want(t, http.StatusForbidden, "invalid_grant")
		w.Login(t, "nobody", "wrong").Want(t, http.StatusForbidden, "invalid_grant")
		token := ask(t, w, "spa", "alice")
		counted(0)
		w.OTP(t, token, w.Code(t, alice.Seed, 1)).Want(t, http.StatusForbidden, "invalid_grant")
		w.Recover(t, token, "AAAAAAAAAAAAAAAAAAAAAAAA").Want(t, http.StatusForbidden, "invalid_grant")
		counted(2)
		used := w.Code(t, alice.Seed, -1) // it confirmed the enrollment
		w.OTP(t, token, used).Want(t, http.StatusForbidden, "invalid_grant")
		counted(2)
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		counted(0)

		events, err := admin.AuditEvents(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			if e.At.Before(w.Clock.Now()) {
				continue // of the enrollment
			}
			line := strings.Join([]string{string(e.Type), e.Reason, e.Subject, e.Client}, " ")
			if e.Address != "127.0.0.1" || e.Grant == "" {
				t.Errorf("event %+v", e)
			}
			if e.Success != (e.Type == "tokens.issued" || e.Type == "factor.demanded") {
				t.Errorf("event %+v is a success", e)
			}
			if named := len(e.Authenticators) == 1; named != (e.Type == "factor.refused" || e.Type == "tokens.issued") {
				t.Errorf("event %+v names authenticators", e)
			}
			got = append(got, line)
		}
		want := []string{
			"password.refused wrong_password  spa", "password.refused wrong_password auth0|alice spa",
			"factor.demanded  auth0|alice spa",
			"factor.refused wrong_otp auth0|alice spa", "factor.refused wrong_recovery_code auth0|alice spa",
			"factor.refused used_otp auth0|alice spa", "tokens.issued  auth0|alice spa",
		}
		slices.Sort(got) // the clock stands still, and two gateways wrote
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
