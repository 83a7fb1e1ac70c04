package gateway_test

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A guesser has the password, and as many logins under way as it likes.
type guesser struct {
	w      *gatewaytest.World
	open   []func(code string) gatewaytest.Reply // each sends a guess another way
	looked atomic.Int64
	lost   atomic.Int64 // guesses that a busy machine gave up; they may have been counted
}

// begin opens logins of three clients, and a step-up of a session if there is one.
func (g *guesser) begin(t *testing.T, user, session string) {
	t.Helper()
	g.open = nil
	for _, client := range []string{"spa", "kiosk", "web"} {
		for _, factor := range [][2]string{{gatewaytest.GrantOTP, "otp"}, {gatewaytest.GrantRecovery, "recovery_code"}, {"mfa-otp", "otp"}} {
			token := ask(t, g.w, client, user)
			g.open = append(g.open, func(code string) gatewaytest.Reply {
				return g.w.Token(t, with(client, "grant_type", factor[0], "mfa_token", token, factor[1], code)...)
			})
		}
	}
	if session != "" {
		token := begun(t, stepUp(t, g.w, session, "max_age", "0"))
		g.open = append(g.open, func(code string) gatewaytest.Reply { return g.w.OTP(t, token, code) })
	}
}

// guess sends n wrong codes, all that wait at a time, and counts those that were looked at.
func (g *guesser) guess(t *testing.T, n int) {
	t.Helper()
	for sent := 0; sent < n; sent += parallel {
		for _, r := range gatewaytest.Race(min(parallel, n-sent), func(i int) gatewaytest.Reply {
			return g.open[(sent+i)%len(g.open)]("00000" + strconv.Itoa((sent+i)%10))
		}) {
			switch description := r.Text("error_description"); {
			case r.Status == http.StatusOK:
				t.Fatalf("a guess was right: %s", r.Body) // once in 50,000 runs
			case r.Status == http.StatusForbidden && (description == invalidOTP || description == rejected):
				g.looked.Add(1)
			case r.Status == http.StatusForbidden && description == malformedToken: // its login was forgotten
			case r.Status == http.StatusServiceUnavailable:
				g.lost.Add(1)
			default:
				r.Want(t, http.StatusTooManyRequests, "too_many_attempts").Say(t, tooMany)
			}
		}
	}
}

// waits is how long each gateway says that a guess has to wait.
func (g *guesser) waits(t *testing.T, token string) (all []string) {
	t.Helper()
	for _, node := range g.w.Apart() {
		r := node.OTP(t, token, "000000").Want(t, http.StatusTooManyRequests, "too_many_attempts")
		all = append(all, r.Header.Get("Retry-After"))
	}
	return all
}

// R4, R28: with the password known, 2,000 guesses at two authenticators and the recovery
// code are sent as fast as two gateways answer, through several clients, in many logins at
// once and in a session that is stepped up, for a day, while their owner logs in between and
// Redis is emptied in the middle: no more are looked at than is configured, and both
// gateways say how long to wait.
func TestR4TwoThousandGuesses(t *testing.T) {
	t.Parallel()
	const rounds, day = 8, 25
	w := gatewaytest.New(t, gatewaytest.PostgreSQL())
	alice := w.Enroll(t, "alice")
	token := manage(t, w, "alice", alice, "enroll")
	second := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
	w.OTP(t, token, w.Code(t, second.Text("secret"), 0)).Want(t, http.StatusOK, "")
	w.Clock.Wind(30 * time.Second)
	g, before := &guesser{w: w}, int64(0)
	for round := range rounds {
		w.Clock.Wind(2 * time.Hour)
		session := ""
		if before < day { // which ends the wait, and not what is counted for the day
			session = strong(t, w, "alice", alice.Seed).Text("access_token")
		}
		g.begin(t, "alice", session)
		g.guess(t, 2000/rounds/2)
		emptied := make(chan struct{})
		go func() {
			defer close(emptied)
			w.ForgetState(t)
		}()
		g.guess(t, 2000/rounds/2)
		<-emptied
		looked := g.looked.Load()
		if n := looked - before; n > 4+4 || round == 0 && n+g.lost.Load() < 4 {
			t.Errorf("round %d: %d guesses were looked at, want 4, and 4 of the session at most", round, n)
		}
		if waits := g.waits(t, ask(t, w, "spa", "alice")); waits[0] != waits[1] || waits[0] == "" || waits[0] == "0" {
			t.Errorf("round %d: the gateways say %q", round, waits)
		}
		before = looked
	}
	if before > day || before+g.lost.Load() < day {
		t.Errorf("%d of 2,000 guesses were looked at and %d lost, want %d", before, g.lost.Load(), day)
	}
	w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusTooManyRequests, "too_many_attempts")
}
