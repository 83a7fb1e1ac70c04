package storagetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisServer is a redis-server on a loopback port: with a password, without
// persistence, ended with the test.
type RedisServer struct {
	URL string // redis://:password@127.0.0.1:port/0; the same after Stop and Start

	program  string
	password string
	port     int
	settings string // lines of its configuration beside the usual ones
	sentinel bool   // it is a Sentinel
	running  *process
}

// Redis starts a redis-server for one test and returns its URL.
func Redis(t testing.TB) string {
	t.Helper()
	return NewRedis(t).URL
}

// NewRedis starts a redis-server for one test, with lines of configuration beside the
// usual ones.
func NewRedis(t testing.TB, settings ...string) *RedisServer {
	t.Helper()
	s := newServer(t, rand.Text(), strings.Join(settings, "\n")+"\n")
	s.Start(t)
	return s
}

// newServer makes a redis-server that is not started yet.
func newServer(t testing.TB, password, settings string) *RedisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		Missing(t, "redis-server")
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &RedisServer{program: path, password: password, port: port, settings: settings}
	s.URL = fmt.Sprintf("redis://:%s@%s/0", s.password, s.address())
	t.Cleanup(s.end)
	return s
}

// Start starts a server that was stopped, empty and on the same port.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	folder, err := os.MkdirTemp("", "sallyport-redis-")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "redis.conf")
	if err := os.WriteFile(file, []byte(s.config(folder)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := program{folder: folder, signal: "KILL", args: []string{s.program, file}}
	if s.sentinel {
		p.args = append(p.args, "--sentinel")
	}
	if s.running, err = p.start(s.listening); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server without notice, as a crash does.
func (s *RedisServer) Stop(t testing.TB) {
	t.Helper()
	s.end()
}

// Freeze stops the server where it is: it takes connections and answers nothing.
func (s *RedisServer) Freeze(t testing.TB) {
	t.Helper()
	if err := s.running.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// Thaw lets a frozen server go on.
func (s *RedisServer) Thaw(t testing.TB) {
	t.Helper()
	if err := s.running.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// FlushAll forgets everything the server holds.
func (s *RedisServer) FlushAll(t testing.TB) {
	t.Helper()
	c := s.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatalf("storagetest: flush: %v", err)
	}
}

// Overwrite sets every key that fits the pattern to a value, and keeps its expiry.
func (s *RedisServer) Overwrite(t testing.TB, pattern, value string) {
	t.Helper()
	c := s.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	keys := c.Scan(t.Context(), 0, pattern, 100).Iterator()
	for keys.Next(t.Context()) {
		if err := c.Set(t.Context(), keys.Val(), value, redis.KeepTTL).Err(); err != nil {
			t.Fatalf("storagetest: overwrite: %v", err)
		}
	}
	if err := keys.Err(); err != nil {
		t.Fatalf("storagetest: overwrite: %v", err)
	}
}

// Dump returns every key and value the server holds, one a line, for a test that
// searches them for secrets.
func (s *RedisServer) Dump(t testing.TB) string {
	t.Helper()
	c := s.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	var lines []string
	keys := c.Scan(t.Context(), 0, "*", 100).Iterator()
	for keys.Next(t.Context()) {
		value, err := content(t.Context(), c, keys.Val())
		if err != nil {
			t.Fatalf("storagetest: dump: %v", err)
		}
		lines = append(lines, keys.Val()+" "+value)
	}
	if err := keys.Err(); err != nil {
		t.Fatalf("storagetest: dump: %v", err)
	}
	return strings.Join(lines, "\n")
}

// content reads a value of one of the two kinds that the gateway writes.
func content(ctx context.Context, c *redis.Client, key string) (string, error) {
	kind, err := c.Type(ctx, key).Result()
	if err != nil {
		return "", err
	}
	switch kind {
	case "string":
		return c.Get(ctx, key).Result()
	case "hash":
		fields, err := c.HGetAll(ctx, key).Result()
		return fmt.Sprint(fields), err
	default:
		return "", fmt.Errorf("%s is a %s", key, kind)
	}
}

func (s *RedisServer) end() {
	if s.running != nil {
		s.running.stop()
		s.running = nil
	}
}

func (s *RedisServer) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// config is a file and not arguments, which every local user can read.
func (s *RedisServer) config(folder string) string {
	usual := fmt.Sprintf("bind 127.0.0.1\nport %d\nrequirepass %s\ndir %s\n", s.port, s.password, folder)
	if !s.sentinel {
		usual += "save \"\"\nappendonly no\n"
	}
	return usual + s.settings
}

func (s *RedisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.address(), Password: s.password, PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: time.Second, DisableIdentity: true,
	})
}

// listening is all there is to wait for: without persistence nothing is loaded.
func (s *RedisServer) listening(ctx context.Context) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return err
	}
	return c.Close()
}
