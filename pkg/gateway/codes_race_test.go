package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// N-OB-4: of fifty who send the right code at once, to two gateways, one gets tokens; of fifty
// more, after the state store was emptied, none.
func TestCodeOnce(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		c, made := coded{client: "web", token: ask(t, w, "web", "alice")}.associate(t, w, "sms", aNumber)
		race := func(c coded) []gatewaytest.Reply {
			return gatewaytest.Race(50, func(int) gatewaytest.Reply { return c.redeem(t, w, c.code) })
		}
		gatewaytest.OneWins(t, race(c)) // an enrollment
		sms := made.Text("id")
		c = challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		gatewaytest.OneWins(t, race(c))
		if w.ForgetState(t) {
			if n := len(gatewaytest.Winners(t, race(c))); n != 0 {
				t.Errorf("%d got tokens for a used code", n)
			}
		}
		// Losers guessed nothing: the next login waits for nothing.
		c = challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
	})
}

// N-OB-4: the state store is emptied while fifty send the code.
func TestCodeOnceWhileStateIsLost(t *testing.T) {
	s := gatewaytest.PostgreSQL()
	s.Messages = true
	t.Parallel()
	w := gatewaytest.New(t, s)
	sms := phoned(t, w, "alice", aNumber)
	for range 3 {
		c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		replies := gatewaytest.Race(51, func(i int) gatewaytest.Reply {
			if i == 25 {
				w.ForgetState(t)
				return gatewaytest.Reply{Status: http.StatusForbidden, JSON: map[string]any{"error": "invalid_grant"}}
			}
			return c.redeem(t, w, c.code)
		})
		if n := len(gatewaytest.Winners(t, replies)); n > 1 {
			t.Fatalf("%d got tokens for one code", n)
		}
		w.Clock.Wind(time.Second)
	}
	// Redis gone between challenge and code: a definite answer, and the login begins anew.
	c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
	w.ForgetState(t)
	refused(t, c.redeem(t, w, c.code), http.StatusForbidden, "invalid_grant", "")
	c = challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
	c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
}

// Redis is gone between challenge and code: 503 and when to try again; once it is back the
// same code goes on, or the answer is a definite one.
func TestCodeWithoutState(t *testing.T) {
	s := gatewaytest.PostgreSQL()
	s.Messages = true
	t.Parallel()
	w := gatewaytest.New(t, s)
	sms := phoned(t, w, "alice", aNumber)
	c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
	w.State().Stop(t)
	for range 2 {
		r := refused(t, c.redeem(t, w, c.code), http.StatusServiceUnavailable, "temporarily_unavailable", "")
		if r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	w.State().Start(t)
	var r gatewaytest.Reply
	eventually(t, "there is a definite answer", func() bool {
		r = c.redeem(t, w, c.code)
		return r.Status != http.StatusServiceUnavailable
	})
	if r.Status != http.StatusOK {
		r.Want(t, http.StatusForbidden, "invalid_grant")
	}
}

// Standards, 5.3: the code of one login is worth nothing in another one, of another user,
// client, authenticator or channel.
func TestCodeOfAnother(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		alice := phoned(t, w, "alice", aNumber)
		carol := phoned(t, w, "carol", "+4915550100043")
		voice := strings.Replace(alice, "sms|", "voice|", 1)
		of := func(client, user, id string) coded {
			return challenged(t, w, client, ask(t, w, client, user), id)
		}
		target := of("spa", "alice", alice)
		for name, other := range map[string]coded{
			"another channel": of("spa", "alice", voice), "another user": of("spa", "carol", carol), "another client": of("kiosk", "alice", voice),
		} {
			if other.code == target.code {
				continue // once in a million
			}
			// Its code here, its challenge here, and both.
			for _, mix := range []coded{
				{target.client, target.token, target.challenge, other.code},
				{target.client, target.token, other.challenge, other.code},
				{target.client, other.token, target.challenge, target.code},
				{other.client, other.token, target.challenge, target.code},
			} {
				r := mix.redeem(t, w, mix.code)
				tokenless(t, name, r)
				if r.Status != http.StatusForbidden && r.Status != http.StatusBadRequest {
					t.Errorf("%s: %d %s", name, r.Status, r.Body)
				}
			}
		}
		target.redeem(t, w, target.code).Want(t, http.StatusOK, "")
	}, "throttle: {free_attempts: 10}")
}

// S-1, S-4: who has many users send messages to many numbers of one range gets no more of
// them than the range may have, also when the state store was emptied; who has another
// number is not kept from anything, and codes that come back make room.
func TestPumping(t *testing.T) {
	const perRange, users = 5, 12
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		s.Messages = true
		for i := range users {
			s.People = append(s.People, fmt.Sprint("pump", i))
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			w := gatewaytest.New(t, s, fmt.Sprintf("messages: {phone: {per_range: %d}}", perRange))
			mine := phoned(t, w, "alice", "+4915112345678")
			before := len(w.Webhook.Messages())
			pump := func() {
				t.Helper()
				replies := gatewaytest.Race(users*2, func(i int) gatewaytest.Reply {
					token := ask(t, w, "web", fmt.Sprint("pump", i%users))
					return w.Associate(t, token, reach([]string{"sms", "voice"}[i%2], fmt.Sprintf("+491555010%04d", 100+i)))
				})
				for _, r := range replies {
					if r.Status != http.StatusOK {
						overrun(t, r)
					}
				}
			}
			sent := func() int { return len(w.Webhook.Messages()) - before }
			pump()
			if n := sent(); n != perRange {
				t.Fatalf("%d messages went to the range, want %d", n, perRange)
			}
			w.ForgetState(t)
			pump()
			if n := sent(); n != perRange {
				t.Errorf("%d messages went to the range when the state store was emptied", n)
			}
			// Everybody else goes on, and their codes come back, which costs the range of theirs nothing.
			for range 2*perRange - 2 {
				c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), mine)
				c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
				w.Clock.Wind(time.Second)
			}
			phoned(t, w, "carol", "+4915198765432")
		})
	}
}
