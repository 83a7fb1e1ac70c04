// Package gatewaytest is the world of the end-to-end tests: real gateways that listen
// on loopback, a clock that is wound by hand, and a client that speaks the wire and
// keeps what it was told.
//
// The same tests run in every [Setting]: one gateway on SQLite and the embedded state
// store, and two on PostgreSQL and redis-server that take requests in turn.
package gatewaytest

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/storagetest"
)

//go:embed tenant.yaml
var tenant []byte

// Password is the password of every user of the tenant but bob.
const Password = "correct horse battery staple"

// Secret is the secret of the confidential client "web".
const Secret = "web-secret-0123456789abcdef0123456789abcdef" //nolint:gosec // of a test tenant

// A Setting is a choice of stores and a number of gateways that share them.
type Setting struct {
	Name  string
	Nodes int
	open  func(t testing.TB) backends
}

// backends are the stores of one world, and how a test reaches behind the gateways.
type backends struct {
	database, redis string
	dump            func(t testing.TB) string // everything that is stored
	forget          func(t testing.TB)        // empties the state store; nil when it is in process
}

// Settings are the two ways to run a gateway that every end-to-end test covers.
func Settings() []Setting {
	return []Setting{
		{Name: "sqlite+embedded", Nodes: 1, open: func(t testing.TB) backends {
			url := storagetest.SQLite(t)
			return backends{database: url, redis: "embedded:", dump: func(t testing.TB) string {
				return dumpFiles(t, filepath.Dir(url[len("sqlite://"):]))
			}}
		}},
		{Name: "postgres+redis", Nodes: 2, open: func(t testing.TB) backends {
			url, redis := storagetest.Postgres(t), storagetest.NewRedis(t)
			return backends{database: url, redis: redis.URL, forget: redis.FlushAll, dump: func(t testing.TB) string {
				return storagetest.PostgresDump(t, url) + redis.Dump(t)
			}}
		}},
	}
}

// Each runs a test in every setting.
func Each(t *testing.T, test func(t *testing.T, w *World)) {
	t.Helper()
	for _, s := range Settings() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			test(t, New(t, s))
		})
	}
}

// World is one tenant, served.
type World struct {
	URL    string // the issuer
	Clock  *Clock
	Config *config.Config
	Log    *Buffer // what the gateways logged

	http   *http.Client
	nodes  []string // the base URL of each gateway
	turn   atomic.Uint32
	stores backends
}

// An Option changes the configuration of a world.
type Option func(*config.Config)

// New starts the gateways of a setting; they stop with the test.
func New(t testing.TB, s Setting, options ...Option) *World {
	t.Helper()
	b := s.open(t)
	w := &World{
		URL: "https://login.example.test/", Clock: NewClock(), Log: &Buffer{}, stores: b,
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(w.http.CloseIdleConnections)
	w.Config = configuration(t, w.URL, b)
	for _, o := range options {
		o(w.Config)
	}
	w.URL = w.Config.Server.PublicURL
	for range s.Nodes {
		w.nodes = append(w.nodes, w.start(t))
	}
	return w
}

// configuration is what a file would say.
func configuration(t testing.TB, url string, b backends) *config.Config {
	t.Helper()
	ring, err := secret.NewRing(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := ring.Save(keys); err != nil {
		t.Fatal(err)
	}
	c := config.Default(config.Recommended)
	c.Server.PublicURL = url
	c.Database.URL, c.Redis.URL = secret.New(b.database), secret.New(b.redis)
	c.Secrets.KeyFile = keys
	// The least that is allowed: nobody attacks these hashes.
	c.Passwords.Argon2.Memory, c.Passwords.Argon2.Time = 7*1024, 5
	c.Passwords.Queue = 200
	return c
}

// start runs one more gateway and returns its base URL.
func (w *World) start(t testing.TB) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	file := filepath.Join(t.TempDir(), "tenant.yaml")
	if err := os.WriteFile(file, tenant, 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, err := config.LoadTenant(file, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(ctx, gateway.Options{
		Config: w.Config, Tenants: []*config.Tenant{parsed}, Now: w.Clock.Now, Random: rand.Reader,
		Log: slog.New(slog.NewTextHandler(w.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	public, management := listen(t), listen(t)
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, public, management) }()
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if w.Config.Server.TLS != nil {
		return "https://" + public.Addr().String()
	}
	return "http://" + public.Addr().String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Dump is everything that the stores hold, as text.
func (w *World) Dump(t testing.TB) string {
	t.Helper()
	return w.stores.dump(t)
}

// ForgetState empties the state store, as a Redis that was lost and replaced. It
// reports whether there is one that can be emptied.
func (w *World) ForgetState(t testing.TB) bool {
	t.Helper()
	if w.stores.forget == nil {
		return false
	}
	w.stores.forget(t)
	return true
}

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
