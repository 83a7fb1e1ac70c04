package redis_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

func TestOneServer(t *testing.T) {
	server, s, bare := world(t)
	t.Run("an answer is lost", func(t *testing.T) { answerIsLost(t, s, bare) })
	t.Run("it evicts", func(t *testing.T) { refusesEviction(t, server.URL, bare) })
	t.Run("is no cluster", func(t *testing.T) {
		url := strings.TrimSuffix(strings.Replace(server.URL, "redis", "redis+cluster", 1), "/0")
		wantRefused(t, url, "cluster support disabled")
	})
	t.Run("is no Sentinel", func(t *testing.T) {
		wantRefused(t, strings.Replace(server.URL, "redis", "redis+sentinel", 1), "ping")
	})
}

// Where CONFIG is forbidden, as hosted services do, there is a warning instead.
func TestConfigForbidden(t *testing.T) {
	server, _, bare := world(t)
	if err := bare.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	var lines lockedBuffer
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(server.URL), Log: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if text := lines.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "noeviction") || !strings.Contains(text, "NOPERM") {
		t.Errorf("want a warning that names noeviction and the answer, got\n%s", text)
	}
}

// A cluster that was started and never formed holds nothing.
func TestClusterWithoutSlots(t *testing.T) {
	server := storagetest.NewRedis(t, "cluster-enabled yes")
	wantRefused(t, strings.TrimSuffix(strings.Replace(server.URL, "redis", "redis+cluster", 1), "/0"), "the cluster has no masters")
	wantRefused(t, server.URL, "write redis+cluster://")
}

// A lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// answerIsLost has a server answer too late. That is Unavailable, although a second try
// would have come through: it might have found the id taken by the first.
func answerIsLost(t *testing.T, s *redis.Store, server *goredis.Client) {
	if err := s.CreateTransaction(t.Context(), alive("l}0")); err != nil { // loads the script
		t.Fatal(err)
	}
	if err := server.Do(t.Context(), "CLIENT", "PAUSE", "800", "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, "create", s.CreateTransaction(t.Context(), alive("l}1")))
	if err := server.Ping(t.Context()).Err(); err != nil { // answered when the pause is over
		t.Fatal(err)
	}
	awaitPing(t, s)
}

// refusesEviction has a server evict, and finds that no store opens until it stops.
func refusesEviction(t *testing.T, url string, server *goredis.Client) {
	for _, policy := range []string{"allkeys-lru", "volatile-ttl"} {
		if err := server.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, url, "has maxmemory-policy "+policy+", which forgets logins under way: set maxmemory-policy noeviction")
	}
	if err := server.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	open(t, url, fixed)
}

// wantRefused opens what must not open, and finds the text in the error.
func wantRefused(t *testing.T, url, text string) {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(url)})
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

// With TLS asked for, nothing is sent in the clear: the first byte is that of a
// handshake (RFC 8446 5.1), with servers, nodes and Sentinels.
func TestTLS(t *testing.T) {
	for _, form := range []string{"rediss://:pomegranate@%", "rediss+sentinel://:pomegranate@%/m", "rediss+cluster://:pomegranate@%"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		first := make(chan byte, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var b [1]byte
			_, _ = io.ReadFull(c, b[:])
			first <- b[0]
			_ = c.Close()
		}()
		_, err = redis.Open(t.Context(), redis.Options{URL: secret.New(strings.Replace(form, "%", l.Addr().String(), 1))})
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want Unavailable", form, err)
		}
		select {
		case b := <-first:
			if b != 0x16 {
				t.Errorf("%s: first byte %#x, want that of a handshake", form, b)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: nobody came", form)
		}
	}
}
