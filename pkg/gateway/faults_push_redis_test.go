package gateway_test

import (
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
)

// waiting polls with patience at a gateway, and returns when it waits there; what it
// returns waits for the answer.
func (p *tapper) waiting(t *testing.T, at *gatewaytest.World, push gatewaytest.Push, n phone.Notification) func() exchange {
	t.Helper()
	r := polls(push)
	r.Header = map[string]string{"Prefer": "wait=25"}
	answered := make(chan exchange, 1)
	go func() {
		answered <- p.sendTo(at, 30*time.Second, exchange{who: p.who, what: "wait", uses: uses(push)}, r)
	}()
	named := regexp.MustCompile(regexp.QuoteMeta(challengeKey(n)) + ` .*waiter:[0-9a-f]+`)
	eventually(t, "a poll to wait", func() bool { return named.MatchString(p.w.State().Dump(t)) })
	return func() exchange { return <-answered }
}

// Redis stands still while a push is out, under polls and a poll that waits. Then the
// login goes on.
func TestFaultX02Push(t *testing.T) {
	f := fault(t, "X-02", "Redis frozen while a push is out", true)
	w := gatewaytest.New(t, withPhones(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	push, n := alice.asked(t)
	other, asked := carol.asked(t)
	answered := carol.waiting(t, w, other, asked)
	alice.wants(t, push, http.StatusBadRequest, "authorization_pending")
	mark := c.mark()
	w.State().Freeze(t)
	for range 2 * len(w.Processes()) {
		alice.unavailable(t, push)
	}
	began := time.Now()
	if status, code := alice.answers(t, n, true); status != http.StatusServiceUnavailable || time.Since(began) > answerWithin {
		t.Errorf("the phone is told %d %s after %v", status, code, time.Since(began))
	}
	_, slowest := c.suffer(t, mark)
	w.State().Thaw(t)
	took := c.served(t)
	f.saw("polls get 503, slowest %.1f s; served after %.1f s", slowest.Seconds(), took.Seconds())
	carol.taken(t, asked, true)
	if x := answered(); !x.issued() {
		t.Errorf("a poll that waited all the time: %s", told(x))
	}
	alice.taken(t, n, true) // as the phone repeats it
	w.Clock.Wind(time.Minute)
	alice.wants(t, push, http.StatusOK, "")
	f.saw("logins go on, and the poll that waited")
	f.sound(t, c)
}

// Redis dies while a push is out, and comes back empty. Polls get 503, and then the
// login is over; a poll that waits is told so at once.
func TestFaultX01Push(t *testing.T) {
	f := fault(t, "X-01", "Redis killed while a push is out", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	push, n := alice.asked(t)
	other, asked := carol.asked(t)
	answered := carol.waiting(t, w, other, asked)
	alice.wants(t, push, http.StatusBadRequest, "authorization_pending")
	mark := c.mark()
	w.State().Stop(t)
	for range 2 * len(w.Processes()) {
		alice.unavailable(t, push)
	}
	if status, code := alice.answers(t, n, true); status != http.StatusServiceUnavailable {
		t.Errorf("the phone is told %d %s", status, code)
	}
	_, slowest := c.suffer(t, mark)
	w.State().Start(t)
	began := time.Now()
	x := answered()
	if x.reply.Status != http.StatusForbidden || x.reply.Text("error") != "invalid_grant" || time.Since(began) > recovery {
		t.Errorf("a poll that waited: %s, %v after Redis was back", told(x), time.Since(began))
	}
	f.saw("polls get 503, slowest %.1f s; one that waited is told %.1f s after the return", slowest.Seconds(), time.Since(began).Seconds())
	c.served(t)
	alice.wants(t, push, http.StatusForbidden, "invalid_grant")
	alice.gone(t, n, true)
	alice.completes(t)
	f.sound(t, c)
}

// a gateway is asked to stop while polls wait there. They are told to come again
// before it ends; the other one takes the approvals, and has the tokens.
func TestFaultX41Push(t *testing.T) {
	f := fault(t, "X-41", "SIGTERM with polls that wait", true)
	w := gatewaytest.New(t, withPhones(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	push, n := alice.asked(t)
	other, asked := carol.asked(t)
	first := w.Apart()[0]
	polled := []func() exchange{alice.waiting(t, first, push, n), carol.waiting(t, first, other, asked)}
	began := time.Now()
	ended := w.Terminate(t, 0)
	var all sync.WaitGroup
	for _, answered := range polled {
		all.Go(func() {
			x := answered()
			if x.reply.Status != http.StatusBadRequest || x.reply.Text("error") != "authorization_pending" || x.reply.Header.Get("Retry-After") == "" {
				t.Errorf("a poll that waited: %s", told(x))
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	ended()
	if took > answerWithin {
		t.Errorf("polls were sent home after %v", took)
	}
	f.saw("2 polls sent home after %.1f s, ended after %.1f s", took.Seconds(), time.Since(began).Seconds())
	c.w = w.Apart()[1]
	for _, p := range []*tapper{alice, carol} {
		p.phone = p.phone.At(t, c.w, w.Clock.Now)
	}
	alice.taken(t, n, true)
	alice.wants(t, push, http.StatusOK, "")
	answered := carol.waiting(t, c.w, other, asked)
	carol.taken(t, asked, true)
	if x := answered(); !x.issued() {
		t.Errorf("a poll that waits at the other gateway: %s", told(x))
	}
	c.w = w
	w.Revive(t, 0)
	for _, p := range []*tapper{alice, carol} {
		p.phone = p.phone.At(t, w, w.Clock.Now)
	}
	f.sound(t, c)
}
