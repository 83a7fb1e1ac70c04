package gatewaytest

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
)

// The environment of a test binary that is to be a gateway.
const (
	envConfig = "SALLYPORT_TEST_CONFIG"
	envTime   = "SALLYPORT_TEST_TIME"
)

// Main is for TestMain: it runs the tests, or is a gateway or its mail server if that is
// what this process was started for.
func Main(m *testing.M) {
	mailtest.Main()
	file, ok := os.LookupEnv(envConfig)
	if !ok {
		os.Exit(m.Run())
	}
	if err := serve(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve is a gateway whose clock is set over its standard input, a time a line, and
// that stops when its input ends: so it does not outlive the tests.
func serve(file string) error {
	c, tenants, err := config.Check(file, os.LookupEnv)
	if err != nil {
		return err
	}
	began, err := time.Parse(time.RFC3339Nano, os.Getenv(envTime))
	if err != nil {
		return err
	}
	clock := &Clock{now: began}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	g, err := gateway.New(ctx, gateway.Options{
		Config: c, Tenants: tenants, Now: clock.Now, Random: rand.Reader,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	public, err := net.Listen("tcp", c.Server.Listen)
	if err != nil {
		return err
	}
	management, err := net.Listen("tcp", c.Server.Management.Listen)
	if err != nil {
		return err
	}
	fmt.Println("ready", public.Addr(), management.Addr(), c.Server.TLS != nil)
	go func() {
		defer stop()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if now, err := time.Parse(time.RFC3339Nano, lines.Text()); err == nil {
				clock.set(now)
				fmt.Println("set")
			}
		}
	}()
	if err := g.Serve(ctx, public, management); err != nil {
		return err
	}
	return g.Close()
}

// node is a gateway that runs as a process of its own.
type node struct {
	public, management string
	secure             bool

	in     io.WriteCloser
	out    *bufio.Scanner
	cmd    *exec.Cmd
	killed atomic.Bool   // a test killed it
	gone   chan struct{} // closed when it was seen to have ended
	stop   func()        // ends the gateway and waits until it has ended; also when called again
}

// start starts a gateway; wait waits until it serves.
func start(t testing.TB, file string, now time.Time, log io.Writer) *node {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), envConfig+"="+file, envTime+"="+now.Format(time.RFC3339Nano))
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{in: in, out: bufio.NewScanner(out), cmd: cmd, gone: make(chan struct{})}
	n.stop = sync.OnceFunc(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && !n.killed.Load() {
			t.Errorf("a gateway ended with %v", err)
		}
		close(n.gone)
	})
	t.Cleanup(n.stop)
	return n
}

// over reports whether the gateway was killed or has been stopped.
func (n *node) over() bool {
	select {
	case <-n.gone:
		return true
	default:
		return n.killed.Load()
	}
}

func (n *node) wait(t testing.TB) {
	t.Helper()
	fields := strings.Fields(n.line())
	if len(fields) != 4 || fields[0] != "ready" {
		t.Fatalf("a gateway did not start; it says %q", fields)
	}
	n.public, n.management, n.secure = fields[1], fields[2], fields[3] == "true"
}

// set sets the clock of the gateway and returns when it is set.
func (n *node) set(t testing.TB, now time.Time) {
	t.Helper()
	if _, err := fmt.Fprintln(n.in, now.Format(time.RFC3339Nano)); err != nil {
		t.Fatal(err)
	}
	if got := n.line(); got != "set" {
		t.Fatalf("setting the clock of a gateway: it says %q", got)
	}
}

func (n *node) line() string {
	n.out.Scan()
	return n.out.Text()
}
