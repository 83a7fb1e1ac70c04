package redis_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/conformance"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// soon bounds how long a request may wait for a server that is gone.
const soon = time.Second

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, url string, now func() time.Time) *redis.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(url), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// world is a server of its own, a store in it, and a bare client beside it.
func world(t *testing.T) (*storagetest.RedisServer, *redis.Store, *goredis.Client) {
	t.Helper()
	server := storagetest.NewRedis(t)
	options, err := goredis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	bare := goredis.NewClient(options)
	t.Cleanup(func() { _ = bare.Close() })
	return server, open(t, server.URL, func() time.Time { return now }), bare
}

func alive(id string) mfa.Transaction {
	return mfa.Transaction{ID: id, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
}

func TestTransactions(t *testing.T) {
	server := storagetest.NewRedis(t)
	conformance.RunTransactions(t, func(t testing.TB, now func() time.Time) mfa.TransactionStore {
		t.Helper()
		server.FlushAll(t)
		return open(t, server.URL, now)
	})
}

func TestChallenges(t *testing.T) {
	server := storagetest.NewRedis(t)
	conformance.RunChallenges(t, func(t testing.TB, now func() time.Time) oob.Store {
		t.Helper()
		server.FlushAll(t)
		return open(t, server.URL, now)
	})
}

func TestTickets(t *testing.T) {
	server := storagetest.NewRedis(t)
	conformance.RunTickets(t, func(t testing.TB, now func() time.Time) oob.TicketStore { return open(t, server.URL, now) })
}

// A key has its id as the hash tag and goes by itself when its transaction has.
func TestKey(t *testing.T) {
	_, s, bare := world(t)
	if err := s.CreateTransaction(t.Context(), alive("abc")); err != nil {
		t.Fatal(err)
	}
	keys, err := bare.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || keys[0] != "mfa:{abc}" {
		t.Fatalf("keys %q, %v, want mfa:{abc} alone", keys, err)
	}
	ttl, err := bare.PTTL(t.Context(), keys[0]).Result()
	if err != nil || ttl > time.Minute || ttl < 30*time.Second {
		t.Errorf("key lives for %v, %v, want a minute at most", ttl, err)
	}
}

// What cannot be read is an error and never "not found": nobody may conclude from it
// that there is no transaction.
func TestUnreadableValue(t *testing.T) {
	_, s, bare := world(t)
	if err := s.CreateTransaction(t.Context(), alive("x")); err != nil {
		t.Fatal(err)
	}
	good, err := bare.Get(t.Context(), "mfa:{x}").Result()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"garbage":        "\x00garbage",
		"cut off":        good[:len(good)/2],
		"empty":          "",
		"null":           "null",
		"later version":  strings.Replace(good, `"v":1`, `"v":2`, 1),
		"another's":      strings.Replace(good, `"id":"x"`, `"id":"y"`, 1),
		"not an object":  "[]",
		"a time is none": strings.Replace(good, "2026-03-01T12:01:00Z", "soon", 1),
	} {
		if err := bare.Set(t.Context(), "mfa:{x}", value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Transaction(t.Context(), "x"); fault.Of(err) != fault.Internal || err == nil {
			t.Errorf("%s: %+v, %v, want an error without a kind", name, got, err)
		}
	}
	if err := bare.HSet(t.Context(), "mfa:{hash}", "a", "b").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transaction(t.Context(), "hash"); fault.Of(err) == fault.NotFound || err == nil {
		t.Errorf("a hash: %v, want an error", err)
	}
}

// A server that stops is Unavailable at once, however many ask; when it is back the same
// store works, without its data and without the scripts it had loaded.
func TestServerStopsAndReturns(t *testing.T) {
	server, s, _ := world(t)
	if err := s.CreateTransaction(t.Context(), alive("a")); err != nil {
		t.Fatal(err)
	}
	server.Stop(t)
	for range 40 {
		_, load := s.Transaction(t.Context(), "a")
		for name, err := range map[string]error{
			"create": s.CreateTransaction(t.Context(), alive("b")), "load": load,
			"end": s.EndTransaction(t.Context(), "a"), "ping": s.Ping(t.Context()),
		} {
			wantUnavailable(t, name, err)
		}
	}
	began := time.Now()
	wantUnavailable(t, "ping", s.Ping(t.Context()))
	if took := time.Since(began); took > soon {
		t.Errorf("a stopped server was noticed after %v", took)
	}

	server.Start(t)
	awaitPing(t, s)
	if _, err := s.Transaction(t.Context(), "a"); fault.Of(err) != fault.NotFound {
		t.Errorf("after the restart: %v, want NotFound", err)
	}
	if err := s.CreateTransaction(t.Context(), alive("a")); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// A restart between two requests is not noticed by the second: the connections that
// the store still holds are seen to be dead before they are used.
func TestRestartBetweenRequests(t *testing.T) {
	server, s, _ := world(t)
	server.Stop(t)
	server.Start(t)
	if err := s.CreateTransaction(t.Context(), alive("a")); err != nil {
		t.Error(err)
	}
}

// A server that takes the connection and says nothing is given up just as well.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	began := time.Now()
	_, err = redis.Open(t.Context(), redis.Options{URL: secret.New("redis://:pomegranate@" + l.Addr().String())})
	wantUnavailable(t, "open", err)
	if took := time.Since(began); took > 2*soon {
		t.Errorf("given up after %v", took)
	}
}

// The errors of a wrong URL or password hold neither.
func TestOpenRefuses(t *testing.T) {
	server := storagetest.NewRedis(t)
	_, address, _ := strings.Cut(server.URL, "@")
	for _, url := range []string{
		"", "embedded:", "http://:pomegranate@localhost", "unix://:pomegranate@/run/redis.sock",
		"redis://:pomegranate@host:port", "redis://:pome%granate@localhost", "redis://:pomegranate@localhost/zero",
		"redis://:pomegranate@" + address, // the wrong password
	} {
		s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(url)})
		if err == nil {
			t.Errorf("%q was opened", url)
			_ = s.Close()
			continue
		}
		if strings.Contains(err.Error(), "granate") {
			t.Errorf("the password is in %q", err)
		}
	}
}

func wantUnavailable(t *testing.T, operation string, err error) {
	t.Helper()
	var d *fault.Details
	if !errors.As(err, &d) || d.Kind != fault.Unavailable || d.RetryAfter <= 0 {
		t.Errorf("%s: %v, want Unavailable with RetryAfter", operation, err)
	}
}

// awaitPing asks until the store answers, for ten seconds at most.
func awaitPing(t *testing.T, s *redis.Store) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	tooLate := time.After(10 * time.Second)
	for {
		err := s.Ping(t.Context())
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-tooLate:
			t.Fatalf("the server is back, and still: %v", err)
		}
	}
}
