package gateway_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// the key that a seed is sealed with is in no ring. The one-time password is not
// wrong, it cannot be judged: 503, and it counts nothing. (The seed is edited to name such
// a key, for a key that is in use cannot be taken out of a ring.) When the file is gone a
// gateway that runs goes on with what it has read, and no other one starts.
func TestFaultX47(t *testing.T) {
	f := fault(t, "X-47", "a sealing key missing, then the ring", false)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	w.Clock.Wind(30 * time.Second)
	who := newcomer(0)
	const other, of = "zzzzzzzz", " WHERE user_id = $1 AND type = 'otp'"
	var sealed string
	if err := c.db.QueryRowContext(t.Context(), "SELECT sealed_secret FROM authenticators"+of, "auth0|"+who).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(sealed, ".", 3)
	seal := func(text string) {
		t.Helper()
		if _, err := c.db.ExecContext(t.Context(), "UPDATE authenticators SET sealed_secret = $2"+of, "auth0|"+who, text); err != nil {
			t.Fatal(err)
		}
	}
	seal(parts[0] + "." + other + "." + parts[2])
	mark := c.mark()
	for range 10 {
		if x := c.login(t, "kiosk", who, c.confirmed[who]); x.reply.Status != http.StatusServiceUnavailable {
			t.Errorf("a seed that does not open: %s", told(x))
		}
	}
	c.suffer(t, mark)
	if n := c.count(t, "SELECT COUNT(*) FROM user_failures WHERE user_id = $1 AND (failures <> 0 OR recent <> '[]')", "auth0|"+who); n != 0 {
		t.Error("what could not be judged counts as a failure")
	}
	c.wants(t, c.rounds(t, 1), "whose key is there")
	seal(sealed)

	file := w.File("keys.json")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	c.wants(t, c.rounds(t, 2), "without the file")
	w.Refuses(t)
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	f.saw("10 of 10 answers 503, none counted; no start without the file")
	f.sound(t, c)
}

// the audit cannot be written, because its table is locked: nothing is issued.
func TestFaultX48Blocked(t *testing.T) {
	f := fault(t, "X-48", "the audit blocked", false)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	tx, err := c.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE audit_events IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	f.unissued(t, c)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	f.sound(t, c)
}

// the audit is full: the gateway may write no further than its files reach, by its
// limit on their size, which needs no file system of its own nor root as a full disk
// would. Everything is in one SQLite file, so not only the audit is full.
func TestFaultX48Full(t *testing.T) {
	f := fault(t, "X-48", "the audit full (SQLite)", true)
	if _, err := exec.LookPath("prlimit"); err != nil {
		storagetest.Missing(t, "prlimit")
	}
	w := gatewaytest.New(t, crowded(gatewaytest.SQLite()))
	c := gather(t, w)
	limit := func(size string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "prlimit", "--pid", strconv.Itoa(w.Processes()[0]), "--fsize="+size+":").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	limit("4096")
	f.unissued(t, c)
	limit("unlimited")
	f.sound(t, c)
}

// unissued is a round in which nobody is issued anything, refreshing included.
func (f *finding) unissued(t *testing.T, c *crowd) {
	t.Helper()
	before, mark := c.issuances(t), c.mark()
	c.rounds(t, 1)
	failed, slowest := c.suffer(t, mark)
	f.saw("%d of %d answers 503, slowest %.1f s", failed, len(c.since(mark)), slowest.Seconds())
	for _, x := range c.since(mark) {
		if x.reply.Status != http.StatusServiceUnavailable {
			t.Errorf("%s of %s without an audit: %s", x.what, x.who, told(x))
		}
	}
	if n := c.issuances(t) - before; n != 0 {
		t.Errorf("%d were issued without an audit", n)
	}
}

// A damage is something of anna's that is stored and cannot be read.
type damage struct {
	name, spoil, repair string
	status              int
	code                string
}

// damages edit what is stored. Each has a statement that repairs it.
func damages() []damage {
	change := func(name, what, column, value string, status int, code string) damage {
		table, where, _ := strings.Cut(what, " ")
		of := " WHERE user_id = 'auth0|anna'" + where
		return damage{name,
			fmt.Sprintf("CREATE TABLE kept AS SELECT %s AS it FROM %s%s; UPDATE %s SET %s = %s%s", column, table, of, table, column, value, of),
			fmt.Sprintf("UPDATE %s SET %s = (SELECT it FROM kept)%s; DROP TABLE kept", table, column, of), status, code}
	}
	const app, unavailable = "authenticators  AND type = 'otp'", http.StatusServiceUnavailable
	return []damage{
		change("a seed cut short", app, "sealed_secret", "substr(sealed_secret, 1, 30)", unavailable, "temporarily_unavailable"),
		change("a seed of a later version", app, "sealed_secret", "'v9' || substr(sealed_secret, 3)", unavailable, "temporarily_unavailable"),
		change("an unknown algorithm", app, "algorithm", "'MD9'", http.StatusInternalServerError, "server_error"),
		change("failures that are no JSON", "user_failures", "recent", "'[17'", unavailable, "temporarily_unavailable"),
		// Nobody outside can tell this from a wrong password (R24); the log can.
		change("a password hash of a later version", "passwords", "hash", "'$later$1$x'", http.StatusForbidden, "invalid_grant"),
	}
}

// what is stored cannot be read. That user gets an error of the server, never
// something easier; nobody else notices, and the log tells.
func TestFaultX56(t *testing.T) {
	f := fault(t, "X-56", "rows and values damaged", true)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	if x := c.token("anna", "guess", nil, with("spa", "grant_type", gatewaytest.GrantOTP, "mfa_token", c.begin("spa", "anna"), "otp", c.w.Code(t, c.seeds["anna"], 40))...); x.reply.Status != http.StatusForbidden {
		t.Fatal(told(x)) // so that she has a row of failures
	}
	for _, d := range damages() {
		w.Clock.Wind(30 * time.Second)
		if _, err := c.db.ExecContext(t.Context(), d.spoil); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		log := len(w.Log.String())
		f.refuses(t, d, c.login(t, "spa", "anna", c.seeds["anna"]))
		eventually(t, d.name+" is an error in the log", func() bool { return strings.Contains(w.Log.String()[log:], "level=ERROR") })
		var missing []string
		for _, what := range []string{c.recover(), c.renew(t)} {
			if what != "" {
				missing = append(missing, what)
			}
		}
		c.wants(t, missing, d.name)
		if _, err := c.db.ExecContext(t.Context(), d.repair); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
	}
	for name, value := range map[string]string{"no JSON": `{"v":1,`, "a later version": `{"v":99,"transaction":{}}`} {
		w.Clock.Wind(30 * time.Second)
		token := c.begin("spa", "anna")
		w.State().Overwrite(t, "mfa:*", value)
		d := damage{name: "a login under way that is " + name, status: http.StatusServiceUnavailable, code: "temporarily_unavailable"}
		f.refuses(t, d, c.prove(t, "spa", "anna", token, c.seeds["anna"]))
		w.State().FlushAll(t)
	}
	f.sound(t, c)
}

// refuses wants the answer of a damage, which yields nothing.
func (f *finding) refuses(t *testing.T, d damage, x exchange) {
	t.Helper()
	if x.reply.Status != d.status || x.reply.Text("error") != d.code || x.reply.Text("mfa_token") != "" {
		t.Errorf("%s: %s, want %d %s", d.name, told(x), d.status, d.code)
	}
	f.saw("%s: %d", d.name, x.reply.Status)
}
