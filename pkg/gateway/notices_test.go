package gateway_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

var noticeLine = regexp.MustCompile(`(?m)^.* msg=notice type=(\S+) event=(\S+) at=\S+ subject=auth0\|(\S+) client=(\S+) address=(\S+) authenticators=("[^"]*"|\S+)`)

// notices are what the gateways told, in the order of types and users.
func notices(w *gatewaytest.World) (all []string) {
	for _, m := range noticeLine.FindAllStringSubmatch(w.Log.String(), -1) {
		all = append(all, strings.Join([]string{m[3], m[1], m[4], m[6]}, " "))
	}
	slices.Sort(all)
	return all
}

// areTold waits until there is nothing to tell, and wants all of it to have been told.
func areTold(t *testing.T, w *gatewaytest.World, want ...string) {
	t.Helper()
	db := w.SQL(t)
	var waits, ever int
	eventually(t, "everything was told", func() bool {
		err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), COALESCE(SUM(CASE told_at WHEN 0 THEN 1 ELSE 0 END), 0) FROM notices").Scan(&ever, &waits)
		if err != nil {
			t.Fatal(err)
		}
		return ever >= len(want) && waits == 0
	})
	if slices.Sort(want); !slices.Equal(notices(w), want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(notices(w), "\n"), strings.Join(want, "\n"))
	}
}

// R32, A-6.3.5, A-6.3.7, N-BI-2, N-RC-4: whatever changes how a user logs in is told, once,
// whichever gateway did it; and so is a right password that led no further.
func TestR32PeopleAreTold(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		lookedFor(t, w)
		admin := w.Administer(t)
		alice := w.Enroll(t, "alice")
		want := []string{"alice authenticator.confirmed web [otp]"}
		areTold(t, w, want...)

		recovery := alice.Recovery
		for looked := 0; looked < 12; w.Clock.Wind(time.Hour) {
			token := ask(t, w, "spa", "alice")
			looked += guesses(t, w, token, alice.Seed, 4)
			recovery = w.Recover(t, wound(t, w, token), recovery).Want(t, http.StatusOK, "").Text("recovery_code")
			want = append(want, "alice recovery_code.used spa [recovery-code]")
		}
		want = append(want, "alice authenticator.disabled spa [otp]")
		areTold(t, w, want...)

		e := event(w)
		e.Type, e.Subject = audit.Removed, "auth0|alice"
		if _, err := admin.ResetFactors(t.Context(), e.Subject, e); err != nil {
			t.Fatal(err)
		}
		want = append(want, `alice authenticator.removed "" "[recovery-code otp]"`)
		e.Type = audit.PasswordChanged
		if err := admin.SetPassword(t.Context(), e.Subject, "none", e); err != nil {
			t.Fatal(err)
		}
		want = append(want, `alice password.changed "" []`)
		areTold(t, w, want...)

		carol := w.Enroll(t, "carol")
		token := manage(t, w, "carol", carol, "enroll remove:authenticators read:authenticators")
		second := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
		third := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
		w.OTP(t, token, w.Code(t, second.Text("secret"), 0)).Want(t, http.StatusOK, "")
		for _, r := range []gatewaytest.Reply{second, third} { // of which one was never confirmed
			if r := remove(t, w, token, r.Text("id")); r.Status != http.StatusNoContent {
				t.Fatalf("%d %s", r.Status, r.Body)
			}
		}
		want = append(want, "carol authenticator.confirmed web [otp]", "carol authenticator.confirmed spa [otp]", "carol authenticator.removed spa [otp]")
		areTold(t, w, want...)

		for range 2 {
			w.Clock.Wind(time.Minute)
			left := ask(t, w, "spa", "carol")
			guesses(t, w, left, carol.Seed, 10)
		}
		want = append(want, "carol factor.refused spa [otp]")
		areTold(t, w, want...)
		w.Clock.Wind(12 * time.Minute)
		want = append(want, "carol factor.demanded spa []")
		areTold(t, w, want...)
	}, "throttle: {disable_after: 12}")
}

// lookedFor waits until the gateways look for unfinished logins.
func lookedFor(t *testing.T, w *gatewaytest.World) {
	t.Helper()
	db := w.SQL(t)
	eventually(t, "unfinished logins are looked for", func() bool {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM settings WHERE name = 'unfinished_logins'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
}

// What was committed is told though every gateway dies before it could, and is told once.
func TestNoticesOutliveGateways(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		hold, release := []string{"CREATE TRIGGER hold BEFORE UPDATE ON notices BEGIN SELECT RAISE(ABORT, 'held'); END"}, "DROP TRIGGER hold"
		if w.State() != nil {
			hold, release = []string{
				"CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'held'; END $$",
				"CREATE TRIGGER hold BEFORE UPDATE ON notices FOR EACH ROW EXECUTE FUNCTION hold()",
			}, "DROP TRIGGER hold ON notices"
		}
		for _, statement := range hold {
			w.Execute(t, statement)
		}
		alice := w.Enroll(t, "alice")
		w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "") // and nobody waits for it
		eventually(t, "the log says that nobody is told", func() bool {
			return strings.Contains(w.Log.String(), `msg="background work failed" work="tell users"`)
		})
		for i := range w.Processes() {
			w.Kill(t, i)
		}
		w.Execute(t, release)
		if got := notices(w); got != nil {
			t.Errorf("told %q before they died", got)
		}
		for i := range w.Processes() {
			w.Revive(t, i)
		}
		areTold(t, w, "alice authenticator.confirmed web [otp]", "alice recovery_code.used spa [recovery-code]")
		if log := w.Log.String(); strings.Contains(log, alice.Recovery) || strings.Contains(log, alice.Seed) {
			t.Error("a secret is in the log")
		}
	})
}
