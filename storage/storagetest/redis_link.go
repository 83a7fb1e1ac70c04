package storagetest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A link is a proxy in front of a server. Once it is cut, replicas that follow the server
// through it get nothing more, and neither they nor the server notice: what the server
// acknowledges from then on exists there alone. (A replica that is merely frozen loses
// nothing: the bytes wait in its socket.) Clients pass as before.
type link struct {
	listener net.Listener
	to       string
	cut      atomic.Bool
	mu       sync.Mutex
	open     []net.Conn
}

// newLink makes a link to a server for one test.
func newLink(t testing.TB, to string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{listener: l, to: to}
	t.Cleanup(k.close)
	go k.serve()
	return k
}

func (k *link) port() int { return k.listener.Addr().(*net.TCPAddr).Port } //nolint:forcetypeassert // it listens on TCP

func (k *link) close() {
	_ = k.listener.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.open {
		_ = c.Close()
	}
}

func (k *link) serve() {
	for {
		near, err := k.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", k.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		k.mu.Lock()
		k.open = append(k.open, near, far)
		k.mu.Unlock()
		var replica atomic.Bool
		go k.copy(far, near, func(p []byte) bool {
			if bytes.Contains(bytes.ToUpper(p), []byte("PSYNC")) {
				replica.Store(true)
			}
			return true
		})
		go k.copy(near, far, func([]byte) bool { return !k.cut.Load() || !replica.Load() })
	}
}

// copy passes on what may pass until one side ends; then both do.
func (*link) copy(to, from net.Conn, pass func([]byte) bool) {
	defer to.Close()   //nolint:errcheck // nothing is left to lose
	defer from.Close() //nolint:errcheck // nothing is left to lose
	p := make([]byte, 64<<10)
	for {
		n, err := from.Read(p)
		if n > 0 && pass(p[:n]) {
			if _, err := to.Write(p[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
