package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

// The path of a password and a push, as docs/architecture.md walks it.
func TestPasswordThenPush(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		p := w.AskPhone(t, "alice")
		n := mira.Next(t)

		pending := w.Poll(t, p).Want(t, 400, "authorization_pending").Say(t, "Authorization pending: please repeat the request in a few seconds.")
		if got := pending.Header.Get("Retry-After"); got != "5" {
			t.Errorf("Retry-After %q, want 5", got)
		}
		slow := w.Poll(t, p).Want(t, 400, "slow_down")
		if got := slow.Header.Get("Retry-After"); got != "10" {
			t.Errorf("Retry-After %q, want 10", got)
		}
		w.Clock.Wind(10 * time.Second)
		mira.Approve(t, n)
		tokens := w.Poll(t, p).Want(t, 200, "")
		equal(t, claims(t, w, tokens.Text("access_token"), "at+jwt"), map[string]any{
			"sub": "auth0|alice", "amr": []any{"pwd", "swk", "pop", "user", "mfa"}})
		w.Clock.Wind(10 * time.Second)
		w.Poll(t, p).Want(t, 403, "invalid_grant").Say(t, "Malformed mfa_token")
	})
}

// O-86-1: the interval is one for all nodes, and grows with each poll that comes too soon.
// Polls go to the nodes in turn.
func TestIntervalOfPolls(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		w.EnrollPhone(t, "alice", phone.Android)
		p := w.AskPhone(t, "alice")
		at := 0
		for _, poll := range []struct {
			at   int
			want string
		}{{0, "authorization_pending"}, {5, "authorization_pending"}, {10, "authorization_pending"},
			{12, "slow_down"}, {19, "slow_down"}, {34, "authorization_pending"}} {
			w.Clock.Wind(time.Duration(poll.at-at) * time.Second)
			at = poll.at
			w.Poll(t, p).Want(t, 400, poll.want)
		}
	})
}

// Every generation of the apps enrolls, approves and denies.
func TestPhonesOfAllKinds(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		for i, profile := range []phone.Profile{phone.Android, phone.Android02, phone.Swift, phone.Swift01, phone.Web} {
			name := []string{"alice", "carol"}[i%2]
			if i >= 2 {
				if _, err := w.Administer(t).ResetFactors(t.Context(), "auth0|"+name, event(w)); err != nil {
					t.Fatal(err)
				}
			}
			t.Log(profile)
			mine := w.EnrollPhone(t, name, profile)
			yes := w.AskPhone(t, name)
			mine.Approve(t, mine.Next(t))
			w.Poll(t, yes).Want(t, 200, "")
			no := w.AskPhone(t, name)
			mine.Deny(t, mine.Next(t), "mistake")
			w.Poll(t, no).Want(t, 403, "invalid_grant").Say(t, "MFA Authorization rejected.")
			w.Clock.Wind(time.Hour)
			w.Poll(t, no).Want(t, 401, "expired_token")
			w.Clock.Wind(24 * time.Hour)
		}
	})
}

// D.5, invariant 1: one approval is one set of tokens, however many polls race for it on
// however many nodes.
func TestOneApprovalOneSetOfTokens(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		p := w.AskPhone(t, "alice")
		n := mira.Next(t)
		mira.Approve(t, n)
		var mu sync.Mutex
		var race sync.WaitGroup
		seen := map[string]int{}
		for range 100 {
			race.Go(func() {
				r := w.Poll(t, p)
				mu.Lock()
				defer mu.Unlock()
				seen[r.Text("error")]++
			})
		}
		race.Wait()
		if seen[""] != 1 || seen["authorization_pending"]+seen["slow_down"]+seen["invalid_grant"]+1 != 100 {
			t.Errorf("%v, want one set of tokens", seen)
		}
	})
}

// R27: with a code on the phone a tap alone lets nobody in; after a denial it is asked for.
func TestCodeAfterADenial(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		no := w.AskPhone(t, "alice")
		mira.Deny(t, mira.Next(t), "")
		w.Poll(t, no).Want(t, 403, "invalid_grant")

		token := w.Login(t, "alice", gatewaytest.Password).Want(t, 403, "mfa_required").Text("mfa_token")
		c := w.Challenge(t, token, "challenge_type", "oob").Want(t, 200, "")
		if c.Text("binding_method") != "prompt" {
			t.Fatalf("%s, want a code", c.Body)
		}
		p := gatewaytest.Push{MFAToken: token, OOBCode: c.Text("oob_code")}
		n := mira.Next(t)
		consent, err := mira.App.Consent(t.Context(), mira.Account, n)
		if err != nil || consent == nil || len(consent.BindingMessage) != 6 {
			t.Fatalf("%+v, %v", consent, err)
		}
		waited := make(chan gatewaytest.Reply, 1)
		go func() {
			waited <- w.FormWith(t, "/oauth/token", map[string]string{"Prefer": "wait=2"}, "grant_type", gatewaytest.GrantOOB,
				"client_id", "spa", "mfa_token", p.MFAToken, "oob_code", p.OOBCode)
		}()
		began := time.Now()
		mira.Approve(t, n)
		// Without the code nobody learns that somebody tapped: not by the time either.
		(<-waited).Want(t, 400, "authorization_pending")
		if took := time.Since(began); took < time.Second {
			t.Errorf("the wait was over after %v", took)
		}
		w.Poll(t, p).Want(t, 400, "slow_down")
		w.Clock.Wind(10 * time.Second)
		wrong := strings.Repeat("1", 6)
		if wrong == consent.BindingMessage {
			wrong = strings.Repeat("2", 6)
		}
		w.Poll(t, p, "binding_code", wrong).Want(t, 403, "invalid_grant").Say(t, "Invalid binding_code.")
		w.Clock.Wind(10 * time.Second)
		w.Poll(t, p, "binding_code", consent.BindingMessage).Want(t, 200, "")

		// A completed login ends that.
		if c := w.Challenge(t, w.Login(t, "alice", gatewaytest.Password).Text("mfa_token"), "challenge_type", "oob").Want(t, 200, ""); c.Text("binding_method") != "" {
			t.Errorf("%s, want none", c.Body)
		}
	})
}

// "It was not me" ends the login, and every other one that waits.
func TestItWasNotMe(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		other := w.Login(t, "alice", gatewaytest.Password).Text("mfa_token")
		w.Clock.Wind(time.Second)
		p := w.AskPhone(t, "alice")
		mira.Deny(t, mira.Next(t), "hacked")
		w.Poll(t, p).Want(t, 403, "invalid_grant")
		w.Challenge(t, other, "challenge_type", "otp").Want(t, 403, "invalid_grant").Say(t, "Malformed mfa_token")
		w.OTP(t, other, w.Code(t, mira.Account.TOTP.Secret.Reveal(), 0)).Want(t, 403, "invalid_grant")
		w.Clock.Wind(time.Minute)
		w.OTP(t, w.Login(t, "alice", gatewaytest.Password).Text("mfa_token"), w.Code(t, mira.Account.TOTP.Secret.Reveal(), 0)).Want(t, 200, "")
	})
}

// R27: a bomber who knows the password gets no more pushes than are allowed, and none while
// the user's own is live.
func TestR27Bomber(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		pushes, refused := 0, 0
		for range 60 { // an hour, once a minute
			token := w.Login(t, "alice", gatewaytest.Password).Want(t, 403, "mfa_required").Text("mfa_token")
			switch r := w.Challenge(t, token, "challenge_type", "oob"); r.Status {
			case http.StatusOK:
				pushes++
				mira.Next(t)
			case http.StatusTooManyRequests:
				refused++
				r.Want(t, 429, "too_many_attempts")
				if r.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			default:
				t.Fatalf("%d %s", r.Status, r.Body)
			}
			mira.None(t)
			w.Clock.Wind(time.Minute)
		}
		if pushes > 20 || refused == 0 {
			t.Errorf("%d pushes in an hour, %d refused", pushes, refused)
		}
		t.Logf("%d pushes in an hour", pushes)
	})
}

// A second login from elsewhere does not take the place of a live push; one from the same
// client and address does.
func TestLivePush(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Swift)
		first := w.AskPhone(t, "alice")
		old := mira.Next(t)
		web := gatewaytest.As("web")
		token := w.Token(t, append(web, "grant_type", "password", "username", "alice", "password", gatewaytest.Password)...).Text("mfa_token")
		w.Form(t, "/mfa/challenge", append(web, "mfa_token", token, "challenge_type", "oob")...).Want(t, 429, "too_many_attempts")
		mira.None(t)
		second := w.AskPhone(t, "alice")
		n := mira.Next(t)
		if err := mira.App.Allow(t.Context(), mira.Account, old, secret.Text{}); err == nil {
			t.Error("the push that was replaced is still answered")
		}
		mira.Approve(t, n)
		w.Poll(t, first).Want(t, 403, "invalid_grant")
		w.Poll(t, second).Want(t, 200, "")
	})
}

// A client that would rather wait is answered the moment the phone decides, whichever node
// it asked.
func TestLongPoll(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		for _, decide := range []struct {
			answer func(testing.TB, phone.Notification)
			status int
		}{{mira.Approve, 200}, {func(t testing.TB, n phone.Notification) { t.Helper(); mira.Deny(t, n, "") }, 403}} {
			p := w.AskPhone(t, "alice")
			n := mira.Next(t)
			answered := make(chan gatewaytest.Reply, 1)
			began := time.Now()
			go func() {
				answered <- w.FormWith(t, "/oauth/token", map[string]string{"Prefer": "wait=25"}, "grant_type", gatewaytest.GrantOOB,
					"client_id", "spa", "mfa_token", p.MFAToken, "oob_code", p.OOBCode)
			}()
			decide.answer(t, n)
			if r := <-answered; r.Status != decide.status || time.Since(began) > 15*time.Second {
				t.Errorf("%d %s after %v", r.Status, r.Body, time.Since(began))
			}
		}
		apart(t, w)
	})
}

// apart wants the two polls that waited beside the requests that did not.
func apart(t *testing.T, w *gatewaytest.World) {
	t.Helper()
	took, _ := scrape(t, w)
	for series, want := range map[string]float64{
		`sallyport_http_wait_duration_seconds_count{status="200"}`:                         1,
		`sallyport_http_wait_duration_seconds_count{status="403"}`:                         1,
		`sallyport_http_request_duration_seconds_count{route="/oauth/token",status="200"}`: 1, // of who enrolled
		`sallyport_token_requests_total{grant="mfa-oob",outcome="rejected"}`:               1,
	} {
		if took[series] != want {
			t.Errorf("%s is %v, want %v", series, took[series], want)
		}
	}
}

// A client that proves itself by an assertion, which is good once, polls with one for each
// poll; what is decided before fosite does not use it up.
func TestPollWithAssertions(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		robot := func() []string {
			return []string{"client_assertion", w.Assertion(t, nil), "client_assertion_type", gatewaytest.AssertionType}
		}
		token := w.Token(t, append(robot(), "grant_type", "password", "username", "alice", "password", gatewaytest.Password)...).Want(t, 403, "mfa_required").Text("mfa_token")
		c := w.Form(t, "/mfa/challenge", append(robot(), "mfa_token", token, "challenge_type", "oob")...).Want(t, 200, "")
		poll := func(proof []string) gatewaytest.Reply {
			return w.Token(t, append(proof, "grant_type", gatewaytest.GrantOOB, "mfa_token", token, "oob_code", c.Text("oob_code"))...)
		}
		once := robot()
		poll(once).Want(t, 400, "authorization_pending")
		w.Clock.Wind(10 * time.Second)
		mira.Approve(t, mira.Next(t))
		poll(once).Want(t, 401, "invalid_client")
		poll(robot()).Want(t, 200, "")
	})
}

// A pending poll is one trip to Redis: a script, and nothing beside it.
func TestPollIsOneTrip(t *testing.T) {
	t.Parallel()
	s := gatewaytest.PostgreSQL()
	s.Phones = true
	w := gatewaytest.New(t, s)
	w.EnrollPhone(t, "alice", phone.Android)
	p := w.AskPhone(t, "alice")
	w.Poll(t, p).Want(t, 400, "authorization_pending") // both nodes have the script now, or read it once
	w.Poll(t, p).Want(t, 400, "slow_down")
	trips := func() float64 {
		series, _ := scrape(t, w)
		n := 0.0
		for name, value := range series {
			if strings.HasPrefix(name, "sallyport_redis_duration_seconds_count{") {
				n += value
			}
		}
		return n
	}
	const polls = 20
	before := trips()
	for range polls {
		w.Poll(t, p).Want(t, 400, "slow_down")
	}
	if n := trips() - before; n != polls {
		t.Errorf("%v trips to Redis for %d polls", n, polls)
	}
}
