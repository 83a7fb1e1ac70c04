package gateway_test

import (
	"database/sql"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// withoutDatabase is what holds while PostgreSQL is gone: nobody gets tokens, nobody is
// told anything but that, and the keys and discovery are served.
func (f *finding) withoutDatabase(t *testing.T, c *crowd, begun string) {
	t.Helper()
	mark := c.mark()
	var all sync.WaitGroup
	for _, send := range []func(){
		func() { c.come(t) }, // without a new time step for who has begun
		func() { c.prove(t, "spa", "anna", begun, c.seeds["anna"]) },
		func() { c.redeem(begun, c.rene.code) },
		func() {
			c.send("anna", "list", nil, gatewaytest.Request{Method: http.MethodGet, Path: "/mfa/authenticators", Header: gatewaytest.Bearer(begun)})
		},
		func() {
			c.send("anna", "challenge", nil, gatewaytest.Request{Method: http.MethodPost, Path: "/mfa/challenge",
				ContentType: "application/x-www-form-urlencoded", Body: gatewaytest.Encode("client_id", "spa", "mfa_token", begun)})
		},
	} {
		all.Go(send)
	}
	all.Wait()
	failed, slowest := c.suffer(t, mark)
	f.saw("%d of %d answers 503, slowest %.1f s", failed, len(c.since(mark)), slowest.Seconds())
	for _, x := range c.since(mark) {
		if x.reply.Status != http.StatusServiceUnavailable {
			t.Errorf("%s of %s without a database: %s", x.what, x.who, told(x))
		}
	}
	for range c.w.Processes() {
		c.serves(t)
	}
	c.ready(t, http.StatusServiceUnavailable)
}

// PostgreSQL is down: whatever verifies or issues is 503, and nobody is ever told
// that somebody has no authenticators.
func TestFaultX20(t *testing.T) {
	f := fault(t, "X-20", "PostgreSQL stopped at once", false)
	w := gatewaytest.New(t, crowded(gatewaytest.Breakable()))
	c := gather(t, w)
	w.Clock.Wind(30 * time.Second)
	begun := c.begin("spa", "anna")
	w.Database().Stop(t)
	f.withoutDatabase(t, c, begun)
	w.Database().Start(t)
	f.sound(t, c)
}

// PostgreSQL and all that serve its connections take requests and answer nothing.
func TestFaultX21(t *testing.T) {
	f := fault(t, "X-21", "PostgreSQL frozen", false)
	w := gatewaytest.New(t, crowded(gatewaytest.Breakable()))
	c := gather(t, w)
	w.Clock.Wind(30 * time.Second)
	begun := c.begin("spa", "anna")
	w.Database().Freeze(t)
	f.withoutDatabase(t, c, begun)
	w.Database().Thaw(t)
	f.sound(t, c)
}

// every connection of the pools waits for one locked row; then the server has no
// connections left. Who comes meanwhile waits for a bounded time. (There are no polls yet
// that would have to be kept apart.)
func TestFaultX25(t *testing.T) {
	f := fault(t, "X-25", "no connections left", false)
	w := gatewaytest.New(t, crowded(gatewaytest.Breakable("max_connections=60")))
	c := gather(t, w)
	w.Clock.Wind(30 * time.Second)
	begun := c.begin("spa", "anna")
	holder, err := c.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.ExecContext(t.Context(), "SELECT id FROM users WHERE id = 'auth0|anna' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	mark := c.mark()
	var all sync.WaitGroup
	for range 80 { // twice what both pools have
		all.Go(func() { c.prove(t, "spa", "anna", begun, c.seeds["anna"]) })
	}
	eventually(t, "the pools to be used up", func() bool {
		return c.count(t, "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 2*20
	})
	c.come(t)
	for range w.Processes() {
		c.serves(t)
	}
	all.Wait()
	failed, slowest := c.suffer(t, mark)
	f.saw("row locked: %d of %d answers 503, slowest %.1f s", failed, len(c.since(mark)), slowest.Seconds())
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	f.saw("well after %.1f s", c.heals(t).Seconds())
	f.takeConnections(t, c)
	f.sound(t, c)
}

// takeConnections takes every connection of the server, those of the gateways as well.
func (f *finding) takeConnections(t *testing.T, c *crowd) {
	t.Helper()
	pool := c.w.SQL(t)
	var taken []*sql.Conn
	for range 100 {
		conn, err := pool.Conn(t.Context())
		if err == nil {
			taken = append(taken, conn)
			continue
		}
		if len(taken) == 0 {
			t.Fatal(err)
		}
		// The server is full: whom the gateways still have goes, unless that is nobody.
		var ended int
		if err := taken[0].QueryRowContext(t.Context(), `SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND application_name = '' AND pid <> ALL ($1::int[])`, c.own(t, taken)).Scan(&ended); err != nil {
			t.Fatal(err)
		}
		if ended == 0 {
			break
		}
	}
	mark := c.mark()
	missing := c.come(t)
	failed, slowest := c.suffer(t, mark)
	if len(missing) != 5 {
		t.Errorf("with all %d connections taken only these failed: %q", len(taken), missing)
	}
	f.saw("all %d connections taken: %d of %d answers 503, slowest %.1f s", len(taken), failed, len(c.since(mark)), slowest.Seconds())
	for _, conn := range taken {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}

// own are the processes of connections.
func (c *crowd) own(t *testing.T, conns []*sql.Conn) []int32 {
	t.Helper()
	out := make([]int32, len(conns))
	for i, conn := range conns {
		if err := conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
