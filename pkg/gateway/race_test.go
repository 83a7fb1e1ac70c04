package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// parallel is how many requests race for one thing.
const parallel = 50

// tokens logs in several times and returns an mfa_token of each login.
func tokens(t *testing.T, w *gatewaytest.World, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		out[i] = w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
	}
	return out
}

// R11, R13, T-4: one time step is accepted once, whatever mfa_tokens and gateways it
// comes through; also after the state store was emptied.
func TestR13OneTimePasswordOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		code := w.Code(t, alice.Seed, 0)
		several := tokens(t, w, 10)
		gatewaytest.OneWins(t, gatewaytest.Race(parallel, func(i int) gatewaytest.Reply {
			return w.OTP(t, several[i%len(several)], code)
		}))

		w.ForgetState(t)
		again := tokens(t, w, 2)
		for _, r := range gatewaytest.Race(parallel, func(i int) gatewaytest.Reply { return w.OTP(t, again[i%2], code) }) {
			r.Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Invalid otp_code.")
		}
		// None of the races counted as a guess, and the next step is good.
		w.Clock.Wind(30 * time.Second)
		w.OTP(t, again[0], w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// R10, R11, T-21: a recovery code is used once, and leaves exactly one that replaces it.
func TestR11RecoveryCodeOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		several := tokens(t, w, 10)
		won := gatewaytest.OneWins(t, gatewaytest.Race(parallel, func(i int) gatewaytest.Reply {
			return w.Recover(t, several[i%len(several)], alice.Recovery)
		}))

		w.ForgetState(t)
		again := tokens(t, w, 2)
		w.Recover(t, again[0], alice.Recovery).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "MFA Authorization rejected.")
		w.Recover(t, again[1], won.Text("recovery_code")).Want(t, http.StatusOK, "")
	})
}

// D.5, 3: an mfa_token is worth nothing after its success, with whatever proof: here
// a one-time password and a recovery code, both right, race for it.
func TestMFATokenOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		code, token := w.Code(t, alice.Seed, 0), tokens(t, w, 1)[0]
		gatewaytest.OneWins(t, gatewaytest.Race(parallel, func(i int) gatewaytest.Reply {
			if i%2 == 0 {
				return w.OTP(t, token, code)
			}
			return w.Recover(t, token, alice.Recovery)
		}))
		w.ForgetState(t)
		w.Clock.Wind(30 * time.Second)
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
	})
}

// The state store is emptied while the race runs: there is at most one success, and
// what was used stays used.
func TestStateLostInTheMiddle(t *testing.T) {
	w := gatewaytest.New(t, gatewaytest.PostgreSQL())
	alice := w.Enroll(t, "alice")
	code, several := w.Code(t, alice.Seed, 0), tokens(t, w, 10)
	first := gatewaytest.Race(parallel, func(i int) gatewaytest.Reply {
		if i == parallel/2 {
			w.ForgetState(t)
		}
		return w.OTP(t, several[i%len(several)], code)
	})
	again := tokens(t, w, 10)
	second := gatewaytest.Race(parallel, func(i int) gatewaytest.Reply { return w.OTP(t, again[i%len(again)], code) })
	if n := len(gatewaytest.Winners(t, append(first, second...))); n != 1 {
		t.Errorf("one code led to %d logins", n)
	}
}

// of two people who enroll a first authenticator for the same user at once, at
// most one succeeds; nobody has two first factors.
func TestFirstEnrollmentOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		type half struct{ token, seed string }
		halves := make([]half, 8)
		for i := range halves {
			token := w.Token(t, "grant_type", "password", "client_id", "web", "client_secret", gatewaytest.Secret,
				"username", "carol", "password", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
			made := w.Associate(t, token, map[string]any{"authenticator_types": []string{"otp"}}).Want(t, http.StatusOK, "")
			halves[i] = half{token, made.Text("secret")}
		}
		// Who comes later is asked for the factor that there is by now, and has another code.
		late := slices.DeleteFunc(gatewaytest.Race(len(halves), func(i int) gatewaytest.Reply {
			return w.Token(t, "grant_type", gatewaytest.GrantOTP, "client_id", "web", "client_secret", gatewaytest.Secret,
				"mfa_token", halves[i].token, "otp", w.Code(t, halves[i].seed, 0))
		}), func(r gatewaytest.Reply) bool { return r.Status == http.StatusTooManyRequests })
		gatewaytest.OneWins(t, late)
	})
}

// However many associations arrive at once for one mfa_token, the limit holds, and
// recovery codes come with exactly one of them (section 4.4).
func TestAssociationsAtOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := w.Token(t, "grant_type", "password", "client_id", "web", "client_secret", gatewaytest.Secret,
			"username", "carol", "password", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		made, codes := 0, 0
		associate := func(int) gatewaytest.Reply { return w.Associate(t, token, anOTP) }
		replies := gatewaytest.Race(10, associate)
		for len(replies) < 25 {
			replies = append(replies, associate(0))
		}
		for _, r := range append(replies, gatewaytest.Race(10, associate)...) {
			switch r.Status {
			case http.StatusOK:
				made++
			case http.StatusTooManyRequests:
			default:
				t.Errorf("%d %s", r.Status, r.Body)
			}
			if _, ok := r.JSON["recovery_codes"]; ok {
				codes++
			}
		}
		if made < 1 || made > 30 || codes != 1 {
			t.Errorf("%d associations and %d sets of recovery codes, want at most 30 and one", made, codes)
		}
	})
}
