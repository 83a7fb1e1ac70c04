package gateway_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/redis"
)

// Ten thousand clients wait at one node, each for an answer of its own. Whose phone decides
// is answered within a second, however many others wait on; at the end all are sent home.
func TestFaultManyWait(t *testing.T) {
	f := fault(t, "L-10", "10,000 polls that wait at one node", false)
	s := gatewaytest.PostgreSQL()
	s.Nodes, s.Phones = 1, true
	w := gatewaytest.New(t, s)
	mira := w.EnrollPhone(t, "alice", phone.Android)
	o := w.Options(t)
	ring, err := secret.LoadRing(o.Config.Secrets.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	store, err := redis.Open(t.Context(), redis.Options{URL: o.Config.Redis.URL, Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()

	const all, decided = 10_000, 1_000
	waiters := make([]waiter, all)
	for i := range waiters {
		waiters[i] = await(t, w, ring, store, mira.Account.ID)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	var waiting sync.WaitGroup
	var home atomic.Int64
	for i := range waiters {
		waiting.Go(func() { waiters[i].answered <- waiters[i].poll(client, w.Address()) })
		if (i+1)%500 == 0 { // nobody comes at the same moment as all others
			inFlight(t, w, i+1)
		}
	}
	var slowest time.Duration
	for i := range decided {
		began := time.Now()
		if err := store.Decide(t.Context(), waiters[i].challenge, oob.Approved); err != nil {
			t.Fatal(err)
		}
		if got := <-waiters[i].answered; got != "200 " {
			t.Fatalf("an approved one got %s", got)
		}
		slowest = max(slowest, time.Since(began))
	}
	if slowest > time.Second {
		t.Errorf("one was answered %v after its approval", slowest)
	}
	ended := w.Terminate(t, 0)
	waiting.Wait()
	ended()
	for _, other := range waiters[decided:] {
		if got := <-other.answered; got == "400 authorization_pending" {
			home.Add(1)
		}
	}
	if home.Load() != all-decided {
		t.Errorf("%d of %d were told to come again", home.Load(), all-decided)
	}
	f.saw("%d approved one by one, the slowest answered after %v; %d sent home at the end", decided, slowest.Round(time.Millisecond), home.Load())
}

// A waiter is a login that waits.
type waiter struct {
	mfaToken, oobCode secret.Text
	challenge         string
	answered          chan string
}

// await makes a login of alice, challenged, as if she had sent her password. She would never
// have more than one at a time.
func await(t *testing.T, w *gatewaytest.World, ring *secret.Ring, store *redis.Store, device string) waiter {
	t.Helper()
	now := w.Clock.Now().UTC().Truncate(time.Millisecond)
	until := now.Add(5 * time.Minute)
	token, login, err := mfa.Handles(ring, rand.Reader).Make("spa", until)
	if err != nil {
		t.Fatal(err)
	}
	code, challenge, err := (&handle.Maker{Kind: "oob_code", Ring: ring, Random: rand.Reader}).Make(login.ID, until)
	if err != nil {
		t.Fatal(err)
	}
	err = store.CreateTransaction(t.Context(), mfa.Transaction{ID: login.ID, CreatedAt: now, ExpiresAt: until, Factors: []string{"push|" + device}, Login: mfa.Login{
		Subject: "auth0|alice", Client: "spa", Origin: mfa.FromPassword, Grant: "password", Scopes: []string{"openid"},
		Audience: []string{w.URL + "userinfo"}, Proofs: []record.Proof{{Methods: []string{"pwd"}, At: now}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = store.CreateChallenge(t.Context(), oob.Challenge{ID: challenge.ID, Handle: login.ID, Authenticator: "push|" + device, Channel: "auth0",
		Binding: record.BindingPlain, Answered: true, CreatedAt: now, ExpiresAt: until, Subject: "auth0|alice", Client: "spa"})
	if err != nil {
		t.Fatal(err)
	}
	return waiter{token, code, challenge.ID, make(chan string, 1)}
}

// poll waits for as long as one may, and returns status and error of the answer.
func (x waiter) poll(c *http.Client, address string) string {
	body := gatewaytest.Encode("grant_type", gatewaytest.GrantOOB, "client_id", "spa", "mfa_token", x.mfaToken.Reveal(), "oob_code", x.oobCode.Reveal())
	r, err := http.NewRequest(http.MethodPost, "http://"+address+"/oauth/token", strings.NewReader(body)) //nolint:noctx // it ends with the gateway
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Prefer", "wait=30")
	answer, err := c.Do(r)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	_, said, _ := strings.Cut(string(text), `"error":"`)
	said, _, _ = strings.Cut(said, `"`)
	return fmt.Sprintf("%d %s", answer.StatusCode, said)
}

// inFlight waits until so many requests are being served.
func inFlight(t *testing.T, w *gatewaytest.World, want int) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		series, _ := scrape(t, w)
		n := int(series["sallyport_http_requests_in_flight"])
		if n >= want {
			return
		}
		select {
		case <-again.C:
		case <-t.Context().Done():
			t.Fatalf("%d requests are being served, want %d", n, want)
		}
	}
}
