package gateway_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
)

// challengeKey is what the challenge of a push is kept under.
func challengeKey(n phone.Notification) string { return "oob:{" + n.Challenge + "}" }

// 100 polls, at all gateways in turn, at the moment at which the phone approves. On a
// cluster of three masters, too, that is one set of tokens.
func TestFaultX53(t *testing.T) {
	f := fault(t, "X-53", "100 polls at all gateways while the phone approves", false)
	for _, s := range []gatewaytest.Setting{gatewaytest.Cluster(), gatewaytest.Failover()} {
		t.Run(s.Name, func(t *testing.T) {
			w := gatewaytest.New(t, withPhones(s))
			c := gather(t, w)
			alice := c.taps(t, "alice")
			for range 5 { // on several masters
				push, n := alice.asked(t)
				before := alice.events(t, "tokens.issued")
				alice.stampede(t, push, n)
				if now := alice.events(t, "tokens.issued"); now != before+1 {
					t.Errorf("%d issuances are on record, want one", now-before)
				}
				w.Clock.Wind(time.Minute)
			}
			f.saw("%s: 5 times one set of tokens", s.Name)
			f.sound(t, c)
		})
	}
}

// stampede polls a hundred times at once, while the phone approves and the time goes on:
// else one interval would hold back all but one.
func (p *tapper) stampede(t *testing.T, push gatewaytest.Push, n phone.Notification) {
	t.Helper()
	before := p.mark()
	approved := make(chan error, 1)
	go func() { approved <- answerOf(t, p.phone, n, true) }()
	for round := range 4 {
		var race sync.WaitGroup
		for range 25 {
			race.Go(func() { p.poll(p.who, push) })
		}
		race.Wait()
		p.w.Clock.Wind(time.Duration(round+1) * 15 * time.Second)
	}
	if err := <-approved; err != nil {
		t.Fatal(err)
	}
	p.w.Clock.Wind(time.Minute)
	p.poll(p.who, push)
	won := 0
	for _, x := range p.since(before) {
		switch code := x.reply.Text("error"); {
		case x.issued():
			won++
		case !slices.Contains([]string{"authorization_pending", "slow_down", "invalid_grant"}, code):
			t.Errorf("a poll: %s", told(x))
		}
	}
	if won != 1 {
		t.Errorf("%d sets of tokens, want one", won)
	}
}

// the slot of a challenge moves to another master, under polls and an approval.
// Nobody sees an error.
func TestFaultX09(t *testing.T) {
	f := fault(t, "X-09", "a cluster's slots move under polls", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Cluster()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	push, n := alice.asked(t)
	other, asked := carol.asked(t)
	mark := c.mark()
	var polls sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		polls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					c.poll("alice", push)
				}
			}
		})
	}
	for _, n := range []phone.Notification{n, asked} {
		move := w.Cluster().MoveSlot(t, challengeKey(n))
		carol.taken(t, asked, true) // before the key has gone, or once more after that
		move.Key(t, challengeKey(n))
		carol.taken(t, asked, true)
		move.End(t)
	}
	c.wants(t, c.rounds(t, 2), "while slots move")
	close(stop)
	polls.Wait()
	failed, slowest := c.suffer(t, mark)
	if failed != 0 {
		t.Errorf("%d of %d answers failed while slots moved", failed, len(c.since(mark)))
	}
	f.saw("%d answers, %d failed, slowest %.1f s", len(c.since(mark)), failed, slowest.Seconds())
	w.Clock.Wind(time.Minute)
	carol.wants(t, other, http.StatusOK, "")
	alice.taken(t, n, true)
	alice.wants(t, push, http.StatusOK, "")
	f.sound(t, c)
}

// the master of a challenge is cut off from all others. It says what it knows for two
// seconds more, and then nothing; nobody is let in by it. It comes back by itself.
func TestFaultX10(t *testing.T) {
	f := fault(t, "X-10", "a cluster's minority", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Cluster()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	push, n := alice.asked(t)
	approved, yes := carol.asked(t)
	carol.taken(t, yes, true)
	began := time.Now()
	heal := w.Cluster().Isolate(t, challengeKey(n))
	eventually(t, "the minority falls silent", func() bool { return alice.poll("alice", push).reply.Status == http.StatusServiceUnavailable })
	f.saw("silent after %.1f s", time.Since(began).Seconds())
	before, mark := c.issuances(t), c.mark()
	for range 2 * len(w.Processes()) {
		alice.unavailable(t, push)
		carol.unavailable(t, approved)
	}
	if status, code := alice.answers(t, n, true); status != http.StatusServiceUnavailable {
		t.Errorf("the phone is told %d %s", status, code)
	}
	failed, slowest := c.suffer(t, mark)
	f.saw("%d of %d polls 503, slowest %.1f s", failed, len(c.since(mark)), slowest.Seconds())
	c.ready(t, http.StatusServiceUnavailable)
	if now := c.issuances(t); now != before {
		t.Errorf("%d were issued without a majority", now-before)
	}
	heal()
	f.saw("polls are answered again after %.1f s", alice.recovers(t, push).Seconds())
	c.served(t)
	w.Clock.Wind(time.Minute) // the interval has grown
	carol.wants(t, approved, http.StatusOK, "")
	alice.taken(t, n, true)
	alice.wants(t, push, http.StatusOK, "")
	f.sound(t, c)
}

// recovers polls until each gateway answers, and says how long that took.
func (p *tapper) recovers(t *testing.T, push gatewaytest.Push) time.Duration {
	t.Helper()
	began := time.Now()
	all := p.w
	defer func() { p.w = all }()
	for _, p.w = range all.Apart() {
		for p.poll(p.who, push).unknown() {
			if time.Since(began) > recovery {
				t.Fatalf("after %v polls are not answered", recovery)
			}
		}
	}
	return time.Since(began)
}

// unavailable polls and wants a 503 that says when to come again.
func (p *tapper) unavailable(t *testing.T, push gatewaytest.Push) {
	t.Helper()
	x := p.poll(p.who, push)
	if x.err != nil || x.reply.Status != http.StatusServiceUnavailable || x.reply.Header.Get("Retry-After") == "" {
		t.Errorf("a poll of %s: %s", p.who, told(x))
	}
}

// a master dies, and so does who took over from it. A cluster that is not whole serves
// nobody; when another master has the slots, the logins that were lost with them are over,
// and the others go on.
func TestFaultX11(t *testing.T) {
	f := fault(t, "X-11", "a master and its replica dead", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Cluster()))
	c := gather(t, w)
	alice := c.taps(t, "alice")
	push, n := alice.asked(t)
	mark := c.mark()
	w.Cluster().StopMaster(t, challengeKey(n))
	alice.unavailable(t, push)
	f.saw("the replica serves after %.1f s", alice.recovers(t, push).Seconds())
	w.Clock.Wind(time.Minute)
	alice.wants(t, push, http.StatusBadRequest, "authorization_pending")
	w.Cluster().Kill(t, challengeKey(n))
	before := c.issuances(t)
	for range len(w.Processes()) {
		alice.unavailable(t, push)
	}
	if status, code := alice.answers(t, n, true); status != http.StatusServiceUnavailable {
		t.Errorf("the phone is told %d %s", status, code)
	}
	if now := c.issuances(t); now != before {
		t.Errorf("%d were issued", now-before)
	}
	_, slowest := c.suffer(t, mark)
	f.saw("then all 503, slowest %.1f s", slowest.Seconds())
	c.ready(t, http.StatusServiceUnavailable)
	w.Cluster().Adopt(t)
	f.saw("another master has the slots: polls are answered after %.1f s", alice.recovers(t, push).Seconds())
	c.served(t)
	alice.wants(t, push, http.StatusForbidden, "invalid_grant")
	again, n := alice.asked(t)
	alice.taken(t, n, true)
	alice.wants(t, again, http.StatusOK, "")
	f.sound(t, c)
}
