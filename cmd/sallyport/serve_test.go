package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// freePort finds a loopback port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().(*net.TCPAddr).Port
}

// begin runs a command that goes on until stop, and returns when one of its streams has
// a line with the text; stop returns the exit code, and lines all of that stream.
func (k *desk) begin(text string, stream func(*deps, io.Writer), args ...string) (lines []string, stop func() int) {
	k.t.Helper()
	r, w := io.Pipe()
	d := k.deps
	d.stdin, d.stdout, d.stderr = strings.NewReader(""), io.Discard, io.Discard
	stream(&d, w)
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, d, args)
		_ = w.Close()
	}()
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	found := false
	for !found && in.Scan() {
		lines = append(lines, in.Text())
		found = strings.Contains(in.Text(), text)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	stop = func() int {
		cancel()
		return <-code
	}
	k.t.Cleanup(cancel)
	if !found {
		k.t.Fatalf("sallyport %s ended with code %d before it said %q:\n%s", strings.Join(args, " "), <-code, text, strings.Join(lines, "\n"))
	}
	return lines, stop
}

func toStderr(d *deps, w io.Writer) { d.stderr = w }
func toStdout(d *deps, w io.Writer) { d.stdout = w }

func TestServeAndHealthcheck(t *testing.T) {
	k := newDesk(t)
	k.want(exitOK, "", "keys", "init")
	management := freePort(t)
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, 0, management, k.folder)+"tenant_files: [tenant.yaml]\ndialects: [axonize]\n")

	k.says("does not answer", exitFailed, "", "healthcheck")
	lines, stop := k.begin(`"msg":"serving"`, toStderr, "serve")
	if log := strings.Join(lines, "\n"); !strings.Contains(log, "dialects") || !strings.Contains(log, `"change":"client spa"`) {
		t.Errorf("neither the warning nor what was applied is in the log:\n%s", log)
	}
	if log := lines[len(lines)-1]; !strings.Contains(log, `"tls":false`) {
		t.Errorf("the log does not say that it serves without TLS: %s", log)
	}
	k.says("ready", exitOK, "", "healthcheck")
	k.says("nothing to do", exitOK, "", "apply", "-f", k.folder+"/tenant.yaml") // beside it
	second := k.write("second.yaml", fmt.Sprintf(deskConfig, 0, 0, k.folder))
	k.says("held by another gateway", exitFailed, "", "serve", "--config", second)
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d after a signal", code)
	}
	k.says("does not answer", exitFailed, "", "healthcheck")
	// Containers know 0 and 1 only.
	k.says("there is no such file", exitFailed, "", "healthcheck", "--config", "/none.yaml")
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		":9090": "127.0.0.1:9090", "0.0.0.0:9090": "127.0.0.1:9090", "[::]:9090": "[::1]:9090",
		"10.0.0.1:9090": "10.0.0.1:9090", "localhost:9090": "localhost:9090", "[fd00::1]:1": "[fd00::1]:1",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
}
