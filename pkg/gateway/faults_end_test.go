package gateway_test

import (
	"context"
	"database/sql"
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// The points of an issuance where a gateway can be held. They are triggers, so the program
// that runs is the one that is shipped; each waits for an advisory lock that a test holds.
const (
	beforeFence  = 1
	afterFence   = 2
	beforeCommit = 3
	withinCommit = 4 // COMMIT was sent
	afterCommit  = 5 // committed, and not answered: Redis is frozen, and forgetting waits for it
)

const points = `
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint); RETURN NEW; END $$;
CREATE TRIGGER hold1 BEFORE INSERT ON redemptions FOR EACH ROW EXECUTE FUNCTION hold('1');
CREATE TRIGGER hold1 BEFORE UPDATE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION hold('1');
CREATE TRIGGER hold2 AFTER INSERT ON redemptions FOR EACH ROW EXECUTE FUNCTION hold('2');
CREATE TRIGGER hold2 AFTER UPDATE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION hold('2');
CREATE TRIGGER hold3 AFTER INSERT ON audit_events FOR EACH ROW WHEN (NEW.type = 'tokens.issued') EXECUTE FUNCTION hold('3');
CREATE CONSTRAINT TRIGGER hold4 AFTER INSERT ON audit_events DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.type = 'tokens.issued') EXECUTE FUNCTION hold('4');`

// issuing are the four of a round who are issued tokens.
const issuing = 4

// A hold stops issuances at a point until it is released.
type hold struct {
	conn *sql.Conn
	key  int
}

func (c *crowd) hold(t *testing.T, key int) hold {
	t.Helper()
	conn, err := c.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", key); err != nil {
		t.Fatal(err)
	}
	return hold{conn, key}
}

// waiting is how many stand at the point.
func (h hold) waiting(t *testing.T) (n int) {
	t.Helper()
	err := h.conn.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (h hold) release(t *testing.T) {
	t.Helper()
	if _, err := h.conn.ExecContext(t.Context(), "SELECT pg_advisory_unlock($1)", h.key); err != nil {
		t.Fatal(err)
	}
}

// over waits until no transaction of a gateway is under way.
func (h hold) over(t *testing.T) {
	t.Helper()
	eventually(t, "the transactions to end", func() bool {
		var n int
		err := h.conn.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
}

// at lets everybody come to one gateway alone; what is returned waits until all are
// through, and returns what they missed.
func (c *crowd) at(t *testing.T, node int) func() []string {
	t.Helper()
	all := c.w
	c.w = all.Apart()[node]
	done := make(chan []string, 1)
	go func() { done <- c.come(t) }()
	return func() []string {
		missing := <-done
		c.w = all
		return missing
	}
}

func (c *crowd) issuances(t *testing.T) int {
	t.Helper()
	return c.count(t, "SELECT COUNT(*) FROM audit_events WHERE type = 'tokens.issued'")
}

// a gateway is killed at each point of an issuance, with a one-time password, a
// recovery code, a refresh and an enrollment under way. What was committed is used up and
// was told to nobody; what was not is as good as before.
func TestFaultX40(t *testing.T) {
	f := fault(t, "X-40", "a gateway killed at five points", false)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	if _, err := c.db.ExecContext(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	for _, point := range []int{beforeFence, afterFence, beforeCommit, withinCommit, afterCommit} {
		f.kill(t, c, point)
		w.Revive(t, 0)
		c.heals(t)
	}
	f.sound(t, c)
}

// kill kills the first gateway at a point.
func (f *finding) kill(t *testing.T, c *crowd, point int) {
	t.Helper()
	w := c.w
	w.Clock.Wind(30 * time.Second)
	before, mark := c.issuances(t), c.mark()
	key := point
	if point == afterCommit {
		key = beforeCommit
	}
	h := c.hold(t, key)
	done := c.at(t, 0)
	eventually(t, "four issuances to stand at the point", func() bool { return h.waiting(t) == issuing })
	want := 0
	if point == afterCommit {
		w.State().Freeze(t)
		h.release(t)
		eventually(t, "the commits", func() bool { return c.issuances(t) == before+issuing })
		w.Kill(t, 0)
		w.State().Thaw(t)
		want = issuing
	} else {
		w.Kill(t, 0)
		h.release(t)
	}
	h.over(t)
	done()
	if point == withinCommit {
		want = issuing
	}
	answered := 0
	for _, x := range c.since(mark) {
		if x.issued() {
			answered++
		}
	}
	if got := c.issuances(t) - before; got != want {
		t.Errorf("point %d: %d of %d were issued, want %d", point, got, issuing, want)
	}
	f.saw("point %d: %d committed, %d answered", point, want, answered)
}

// a gateway is asked to stop while issuances are under way. It takes no more
// requests, and answers those that it has; the other one goes on.
func TestFaultX41(t *testing.T) {
	f := fault(t, "X-41", "SIGTERM with requests under way", true)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	if _, err := c.db.ExecContext(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	w.Clock.Wind(30 * time.Second)
	address := w.Address()
	mark := c.mark()
	h := c.hold(t, beforeCommit)
	done := c.at(t, 0)
	eventually(t, "four issuances to be under way", func() bool { return h.waiting(t) == issuing })
	ended := w.Terminate(t, 0)
	eventually(t, "the gateway to take no more connections", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	h.release(t)
	c.wants(t, done(), "under way at the stop")
	failed, slowest := c.suffer(t, mark)
	ended()
	f.saw("%d under way, %d failed, slowest %.1f s", issuing, failed, slowest.Seconds())
	w.Clock.Wind(30 * time.Second)
	c.wants(t, c.at(t, 1)(), "at the other gateway")
	w.Revive(t, 0)
	f.sound(t, c)
}
