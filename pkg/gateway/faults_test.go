package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A finding is a row of the table that `make faults` prints (standards 6.5).
type finding struct {
	id, fault string
	seen      []string
}

// fault begins the test of a row. One that takes long runs when all are asked for.
func fault(t *testing.T, id, what string, smoke bool) *finding {
	t.Helper()
	if !smoke && os.Getenv("SALLYPORT_FAULTS") != "all" {
		t.Skip("one of the longer faults: make faults runs it")
	}
	f := &finding{id: id, fault: what}
	began := time.Now()
	t.Cleanup(func() {
		pass := "pass"
		if t.Failed() {
			pass = "FAIL"
		}
		_, _ = fmt.Fprintf(os.Stdout, "fault\t%s\t%s\t%s; %.0f s\t%s\n", f.id, f.fault, strings.Join(f.seen, "; "), time.Since(began).Seconds(), pass)
	})
	return f
}

func (f *finding) saw(format string, args ...any) {
	f.seen = append(f.seen, fmt.Sprintf(format, args...))
}

// sound ends each test of a fault: everybody gets what they want again, soon and without
// a restart, and the invariants hold.
func (f *finding) sound(t *testing.T, c *crowd) {
	t.Helper()
	f.saw("well again after %.1f s", c.heals(t).Seconds())
	c.invariants(t)
}

// Redis is down. Nobody logs in with a second factor, least of all without it; what
// needs no Redis goes on.
func TestFaultX01(t *testing.T) {
	f := fault(t, "X-01", "Redis killed", true)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	w.State().Stop(t)
	f.withoutState(t, c, time.Second)
	w.State().Start(t)
	f.sound(t, c)
}

// Redis takes connections and answers nothing. There is no circuit breaker: each
// request finds out for itself, in half a second, and a bounded pool keeps them apart.
func TestFaultX02(t *testing.T) {
	f := fault(t, "X-02", "Redis frozen", false)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	w.State().Freeze(t)
	f.withoutState(t, c, answerWithin)
	mark := c.mark()
	gatewaytest.Race(100, func(int) gatewaytest.Reply { c.begin("spa", "anna"); return gatewaytest.Reply{} })
	failed, slowest := c.suffer(t, mark)
	f.saw("100 at once: %d 503, slowest %.1f s", failed, slowest.Seconds())
	w.State().Thaw(t)
	f.sound(t, c)
}

// withoutState is what holds while Redis is gone.
func (f *finding) withoutState(t *testing.T, c *crowd, within time.Duration) {
	t.Helper()
	token := c.live(t)
	mark := c.mark()
	c.rounds(t, 2)
	failed, slowest := c.suffer(t, mark)
	f.saw("%d of %d answers 503, slowest %.1f s", failed, len(c.since(mark)), slowest.Seconds())
	for _, x := range c.since(mark) {
		switch {
		case x.what == "password" && (x.reply.Status != http.StatusServiceUnavailable || x.took > within):
			t.Errorf("a login of %s without Redis: %s, after %v", x.who, told(x), x.took)
		case x.what == "refresh" && !x.issued():
			t.Errorf("a refresh without Redis: %s", told(x))
		}
	}
	for range c.w.Processes() {
		if !known(t, c.w, token) {
			t.Error("introspection does not know a live token")
		}
		c.serves(t)
	}
	c.ready(t, http.StatusServiceUnavailable)
}

// serves wants the keys and discovery.
func (c *crowd) serves(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/openid-configuration"} {
		if r := c.w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: path}); r.Status != http.StatusOK || r.JSON == nil {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
}

// ready wants every gateway alive, and the status of its readiness.
func (c *crowd) ready(t *testing.T, status int) {
	t.Helper()
	live, ready := c.w.Probe(t, "/livez"), c.w.Probe(t, "/readyz")
	for i := range live {
		if live[i] != http.StatusOK || ready[i] != status {
			t.Errorf("gateway %d: /livez %d, /readyz %d, want 200 and %d", i, live[i], ready[i], status)
		}
	}
}

// Redis forgets everything, by FLUSHALL and by a restart. Logins under way begin
// again; what was counted stays counted.
func TestFaultX05(t *testing.T) {
	f := fault(t, "X-05", "Redis emptied", false)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	failures := func() int { return c.count(t, "SELECT failures FROM user_failures WHERE user_id = 'auth0|gus'") }
	for name, empty := range map[string]func(){
		"FLUSHALL": func() { w.State().FlushAll(t) },
		"restart":  func() { w.State().Stop(t); w.State().Start(t) },
	} {
		token, before := c.begin("spa", "anna"), failures()
		empty()
		w.Clock.Wind(30 * time.Second)
		x := c.prove(t, "spa", "anna", token, c.seeds["anna"])
		if x.reply.Status != http.StatusForbidden || x.reply.Text("error") != "invalid_grant" {
			t.Errorf("%s: a login under way: %s", name, told(x))
		}
		if now := failures(); now != before || now == 0 {
			t.Errorf("%s: there were %d failures and are %d", name, before, now)
		}
		mark := c.mark()
		c.rounds(t, 1)
		c.suffer(t, mark)
	}
	f.saw("logins under way get invalid_grant, %d failures stay", failures())
	f.sound(t, c)
}
