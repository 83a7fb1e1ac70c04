package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// R3: the second factor alone is nothing, whatever stands in the place of the mfa_token.
func TestR3FactorAlone(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		used := ask(t, w, "spa", "alice")
		tokens := w.OTP(t, used, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		w.Clock.Wind(30 * time.Second)
		for _, token := range []string{"", "garbage", used, tokens.Text("access_token"), alice.Tokens.Text("refresh_token")} {
			for _, r := range []gatewaytest.Reply{w.OTP(t, token, w.Code(t, alice.Seed, 0)), w.Recover(t, token, alice.Recovery)} {
				tokenless(t, "the factor alone", r)
				if r.Status < 400 || r.Status > 403 {
					t.Errorf("%.20q: %d %s", token, r.Status, r.Body)
				}
			}
			tokenless(t, "a challenge alone", w.Challenge(t, token))
		}
		// Neither was used up.
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")
	})
}

// R5: who does not know the password delays nobody's second factor, and spends nobody's
// attempts: not with passwords, nor with codes under tokens of others or of nobody.
func TestR5StrangerDelaysNobody(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		open := ask(t, w, "spa", "alice")
		carol := w.Enroll(t, "carol") // the stranger has an account as well
		theirs := ask(t, w, "spa", "carol")
		for n := range 30 {
			w.Login(t, "alice", fmt.Sprint("wrong ", n))
			w.OTP(t, "garbage", w.Code(t, alice.Seed, 100))
			w.OTP(t, theirs, w.Code(t, alice.Seed, 0)) // even the right code
			w.Recover(t, theirs, alice.Recovery)
		}
		w.OTP(t, theirs, w.Code(t, carol.Seed, 0)).Want(t, http.StatusTooManyRequests, "too_many_attempts")
		w.OTP(t, open, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// R12: a recovery code is its owner's.
func TestR12CodeOfAnother(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		w.Enroll(t, "carol")
		w.Recover(t, ask(t, w, "spa", "carol"), alice.Recovery).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "MFA Authorization rejected.")
		w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")
	})
}

// A half is a login that waits for its second factor, as a model: whose it is, at which
// client, and what its token is good for.
type half struct {
	token, user, client string
	dead                bool
}

// R7: each step belongs to one login of one user at one client. People, clients, tokens and
// proofs are mixed at random; a model says what must come of it.
func TestR7StepsAreBound(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		seeds := map[string]string{}
		for _, user := range []string{"alice", "carol"} {
			seeds[user] = w.Enroll(t, user).Seed
		}
		users, clients := []string{"alice", "carol"}, []string{"spa", "web"}
		pick := func(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }
		seed := uint64(w.Clock.Now().UnixNano())
		r := rand.New(rand.NewPCG(seed, 7))
		var open []*half
		for step := range 120 {
			w.Clock.Wind(30 * time.Second)
			if len(open) == 0 || r.IntN(3) == 0 {
				user, client := pick(r, users), pick(r, clients)
				open = append(open, &half{token: ask(t, w, client, user), user: user, client: client})
				continue
			}
			h, user, client := open[r.IntN(len(open))], pick(r, users), pick(r, clients)
			got := w.Token(t, with(client, "grant_type", gatewaytest.GrantOTP, "mfa_token", h.token, "otp", w.Code(t, seeds[user], 0))...)
			wins := !h.dead && h.user == user && h.client == client
			if (got.Status == http.StatusOK) != wins && got.Status != http.StatusTooManyRequests && got.Text("error") != "expired_token" {
				t.Fatalf("walk %d, step %d: %s's code at %s with a token of %s at %s (dead: %t): %d %s",
					seed, step, user, client, h.user, h.client, h.dead, got.Status, got.Body)
			}
			h.dead = h.dead || got.Status == http.StatusOK
			if got.Status == http.StatusOK && claims(t, w, got.Text("access_token"), "at+jwt")["sub"] != "auth0|"+user {
				t.Fatalf("walk %d, step %d: somebody else's tokens", seed, step)
			}
			if got.Status == http.StatusTooManyRequests {
				w.Clock.Wind(5 * time.Minute)
			}
		}
	})
}
