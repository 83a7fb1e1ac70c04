package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// A wire passes on what two sides say to each other, until it freezes: then connections
// stay, and are made, but nobody hears anything.
type wire struct {
	sync.RWMutex // held for writing while it is frozen
	listener     net.Listener
	to           string
}

// newWire puts a wire before the server of a URL and returns the URL of the wire.
func newWire(t *testing.T, server string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: u.Host}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(near)
		}
	}()
	u.Host = l.Addr().String()
	return w, u.String()
}

func (w *wire) join(near net.Conn) {
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = near.Close()
		return
	}
	go w.pass(near, far)
	w.pass(far, near)
}

func (w *wire) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		w.RLock()
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		w.RUnlock()
		if err != nil {
			return
		}
	}
}

// readiness is what /readyz of the first gateway says, and how long it took.
func readiness(t *testing.T, w *gatewaytest.World) (status int, body string, took time.Duration) {
	t.Helper()
	began := time.Now()
	res, err := http.Get(w.Manage()[0] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(text)), time.Since(began)
}

// Whichever dependency is frozen, /readyz names it within its deadline, and takes the
// gateway back when it is there again.
func TestReadyNamesWhatIsFrozen(t *testing.T) {
	t.Parallel()
	redis, redisURL := newWire(t, storagetest.Redis(t))
	sql, sqlURL := newWire(t, storagetest.Postgres(t))
	w := gatewaytest.New(t, gatewaytest.SQLite(), fmt.Sprintf("redis: {url: %q}", redisURL), fmt.Sprintf("database: {url: %q}", sqlURL))
	const fine = `{"status":"ready","checks":{"keys":"ok","redis":"ok","sql":"ok"}}`
	if status, body, _ := readiness(t, w); status != http.StatusOK || body != fine {
		t.Fatalf("%d %s", status, body)
	}
	for _, c := range []struct {
		frozen *wire
		want   string
	}{
		{redis, `{"status":"not ready","checks":{"keys":"ok","redis":"does not answer","sql":"ok"}}`},
		{sql, `{"status":"not ready","checks":{"keys":"ok","redis":"ok","sql":"does not answer"}}`},
	} {
		c.frozen.Lock()
		for range 3 {
			status, body, took := readiness(t, w)
			if status != http.StatusServiceUnavailable || body != c.want || took > 4*time.Second {
				t.Errorf("%d %s after %s, want %s", status, body, took, c.want)
			}
		}
		if got := health(t, w, "/livez") + health(t, w, "/startupz"); got != 2*http.StatusOK {
			t.Error("the gateway is not alive, or has not started")
		}
		c.frozen.Unlock()
		eventually(t, "the gateway is ready", func() bool {
			status, body, _ := readiness(t, w)
			return status == http.StatusOK && body == fine
		})
	}
	w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusOK, "")
	if log := w.Log.String(); !strings.Contains(log, "dependency=redis") || !strings.Contains(log, "dependency=sql") {
		t.Error("the log does not say what was not ready")
	}
}
