// Package gatewaytest is the world of the end-to-end tests: gateways that are processes
// of their own and listen on loopback, a clock that is wound by hand, and a client that
// speaks the wire.
//
// The same tests run in every [Setting]: one gateway on SQLite and the embedded state
// store, and two on PostgreSQL and redis-server that take requests in turn. A gateway
// is the test binary itself, started again, so its TestMain has to call [Main].
package gatewaytest

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	_ "embed"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/guardian/provider"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/storagetest"
)

//go:embed tenant.yaml
var tenant []byte

// Password is the password of every user of the tenant but bob.
const Password = "correct horse battery staple"

// Secret is the secret of the confidential client "web".
const Secret = "web-secret-0123456789abcdef0123456789abcdef"

// A Setting is a choice of stores and a number of gateways that share them.
type Setting struct {
	Name     string
	Nodes    int
	Phones   bool     // there is a push service, and phones can be enrolled
	Messages bool     // codes are sent, see [World.Message]
	People   []string // users beside those of tenant.yaml, with the same password
	Empty    bool     // the gateways begin with an empty database, as on the day they are installed
	open     func(t testing.TB, empty bool) backends
}

// backends are the stores of one world, and how a test reaches behind the gateways.
type backends struct {
	database, redis string
	ring            []byte                      // the key ring that the database is sealed with; nil when it is empty
	dump            func(t testing.TB) string   // everything that is stored; nil in a world of Failover or Cluster
	state           *storagetest.RedisServer    // nil when the state store is in process
	server          *storagetest.PostgresServer // nil when it is not the world's own
	failover        *storagetest.RedisFailover  // nil but in a world of Failover
	cluster         *storagetest.RedisCluster   // nil but in a world of Cluster
}

// SQLite is one gateway that needs nothing beside itself.
func SQLite() Setting {
	return Setting{Name: "sqlite+embedded", Nodes: 1, open: func(t testing.TB, empty bool) backends {
		url, ring := openSQLite(t, empty)
		return backends{database: url, redis: "embedded:", ring: ring, dump: func(t testing.TB) string {
			return dumpFiles(t, filepath.Dir(strings.TrimPrefix(url, "sqlite://")))
		}}
	}}
}

// PostgreSQL is two gateways on real servers.
func PostgreSQL() Setting {
	return Setting{Name: "postgres+redis", Nodes: 2, open: func(t testing.TB, empty bool) backends {
		url, ring := openPostgres(t, empty)
		redis := storagetest.NewRedis(t)
		return backends{database: url, redis: redis.URL, ring: ring, state: redis,
			dump: func(t testing.TB) string { return storagetest.PostgresDump(t, url) + redis.Dump(t) }}
	}}
}

// Breakable is two gateways on servers of their own, which a test may stop and freeze;
// settings are PostgreSQL's.
func Breakable(settings ...string) Setting {
	return Setting{Name: "own postgres+redis", Nodes: 2, open: func(t testing.TB, _ bool) backends {
		server, redis := storagetest.NewPostgres(t, settings...), storagetest.NewRedis(t)
		return backends{database: server.URL, redis: redis.URL, state: redis, server: server,
			dump: func(t testing.TB) string { return storagetest.PostgresDump(t, server.URL) + redis.Dump(t) }}
	}}
}

// Each runs a test in every setting, with further lines of configuration, beside the
// other tests that do.
func Each(t *testing.T, test func(t *testing.T, w *World), lines ...string) {
	t.Helper()
	t.Parallel()
	for _, s := range []Setting{SQLite(), PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			test(t, New(t, s, lines...))
		})
	}
}

// World is one tenant, served.
type World struct {
	URL   string // the issuer
	Clock *Clock
	Log   *Buffer // what the gateways logged

	Provider *provider.Provider // the push services of a setting with Phones
	service  *service           // what is before them

	Webhook, Fallback *phonetest.Webhook // what text messages and calls are handed to in a setting with Messages
	Mail              *mailtest.Server   // and mails
	read              int                // how many of them a test has looked at

	http   *http.Client
	file   string // the configuration
	nodes  []*node
	turn   atomic.Uint32
	stores backends
}

// New starts the gateways of a setting; they stop with the test. Each line is one of
// the configuration file, "tls:" and what belongs to it for example.
func New(t testing.TB, s Setting, lines ...string) *World {
	t.Helper()
	w := &World{
		URL: "https://login.example.test/", Log: &Buffer{}, stores: s.open(t, s.Empty || slices.ContainsFunc(lines, begins)),
		// The certificates that tests make are nobody's to check here.
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			MaxIdleConnsPerHost: 64, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	for _, l := range lines {
		if url, ok := strings.CutPrefix(l, "public_url: "); ok {
			w.URL = url
		}
	}
	t.Cleanup(w.http.CloseIdleConnections)
	if s.Phones {
		lines = append(slices.Clone(lines), w.serveProvider(t))
	}
	if s.Messages {
		lines = append(slices.Clone(lines), w.serveMessages(t))
	}
	w.file = w.configure(t, s.People, lines)
	w.Clock = newClock(func(now time.Time) {
		for _, n := range w.nodes {
			if !n.over() {
				n.set(t, now)
			}
		}
	})
	w.start(t, s.Nodes)
	return w
}

// start starts gateways, all at the same time.
func (w *World) start(t testing.TB, nodes int) {
	t.Helper()
	w.nodes = nil
	for range nodes {
		w.nodes = append(w.nodes, start(t, w.file, w.Clock.Now(), w.Log))
	}
	for _, n := range w.nodes {
		n.wait(t)
	}
}

// Restart stops every gateway and starts it anew, with texts of the configuration and the
// tenant file replaced: old and new in turn. Each old one must be there.
func (w *World) Restart(t testing.TB, replace ...string) {
	t.Helper()
	for _, n := range w.nodes {
		n.stop()
	}
	said := map[string]bool{}
	for _, file := range []string{w.file, filepath.Join(filepath.Dir(w.file), "tenant.yaml")} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(replace); i += 2 {
			said[replace[i]] = said[replace[i]] || bytes.Contains(text, []byte(replace[i]))
			text = bytes.ReplaceAll(text, []byte(replace[i]), []byte(replace[i+1]))
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for old, there := range said {
		if !there {
			t.Fatalf("neither file says %q", old)
		}
	}
	w.start(t, len(w.nodes))
}

// Administer opens the database beside the gateways, as the command line does.
func (w *World) Administer(t testing.TB) *gateway.Administration {
	t.Helper()
	a, err := gateway.Administer(t.Context(), w.Options(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// Options are what one more gateway would be made from.
func (w *World) Options(t testing.TB) gateway.Options {
	t.Helper()
	c, err := config.Load(w.file, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now, Random: rand.Reader}
}

// Apart is each gateway for itself: what is sent to such a world goes to that one.
func (w *World) Apart() []*World {
	var out []*World
	for i := range w.nodes {
		out = append(out, &World{URL: w.URL, Clock: w.Clock, Log: w.Log, Provider: w.Provider, service: w.service,
			Webhook: w.Webhook, Fallback: w.Fallback, Mail: w.Mail, http: w.http, file: w.file, nodes: w.nodes[i : i+1], stores: w.stores})
	}
	return out
}

// Execute runs a statement on the database behind the gateways: what somebody does who
// can write to it.
func (w *World) Execute(t testing.TB, statement string) {
	t.Helper()
	driver, source := "pgx", w.stores.database
	if path, ok := strings.CutPrefix(source, "sqlite://"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// Address is the host and port of the first gateway.
func (w *World) Address() string { return w.nodes[0].public }

// Manage is the base URL of each gateway's management listener.
func (w *World) Manage() []string {
	var out []string
	for _, n := range w.nodes {
		out = append(out, "http://"+n.management)
	}
	return out
}

// configure writes the configuration of the gateways and returns its path.
func (w *World) configure(t testing.TB, people, lines []string) string {
	t.Helper()
	dir := t.TempDir()
	w.writeRing(t, filepath.Join(dir, "keys.json"))
	text := strings.Join(lines, "\n") + "\n"
	for _, setting := range []string{
		"public_url: " + w.URL,
		"listen: 127.0.0.1:0",
		`management: {listen: "127.0.0.1:0"}`,
		fmt.Sprintf("database: {url: %q}", w.stores.database),
		fmt.Sprintf("redis: {url: %q}", w.stores.redis),
		"secrets: {key_file: keys.json}",
		"tenant_files: [tenant.yaml]",
		// The least that is allowed: nobody attacks these hashes.
		"passwords: {argon2: {memory: 7168, time: 5}, queue: 200}",
	} {
		if key, _, _ := strings.Cut(setting, ":"); !strings.Contains("\n"+text, "\n"+key+":") {
			text += setting + "\n"
		}
	}
	users := bytes.Clone(tenant)
	for _, p := range people {
		users = fmt.Appendf(users, "  - {id: auth0|%s, username: %s, email: %s@example.test, password: %s}\n", p, p, p, Password)
	}
	file := filepath.Join(dir, "sallyport.yaml")
	for path, content := range map[string][]byte{
		file:                              []byte(text),
		filepath.Join(dir, "tenant.yaml"): users,
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// writeRing writes the key ring that the database is sealed with, or a new one.
func (w *World) writeRing(t testing.TB, path string) {
	t.Helper()
	if w.stores.ring != nil {
		if err := os.WriteFile(path, w.stores.ring, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	ring, err := secret.NewRing(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Save(path); err != nil {
		t.Fatal(err)
	}
}

// Dump is everything that the stores hold, as text.
func (w *World) Dump(t testing.TB) string {
	t.Helper()
	return w.stores.dump(t)
}

// ForgetState empties the state store, as when a Redis was lost and replaced. It
// reports whether there is one that can be emptied.
func (w *World) ForgetState(t testing.TB) bool {
	t.Helper()
	if w.stores.state == nil {
		return false
	}
	w.stores.state.FlushAll(t)
	return true
}

// State is the redis-server that holds what is under way; nil when that is in process.
func (w *World) State() *storagetest.RedisServer { return w.stores.state }

// dumpFiles is the content of every file of a folder.
func dumpFiles(t testing.TB, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
