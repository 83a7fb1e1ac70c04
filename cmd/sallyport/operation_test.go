package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// probe asks the management listener; 0 when nobody answers.
func probe(port int, path string) (int, string) {
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, strings.TrimSpace(string(text))
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.After(10 * time.Second)
	for !so() {
		select {
		case <-end:
			t.Fatalf("after ten seconds it is not so: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// launch starts "serve" as a process of its own and returns its ports.
func launch(t *testing.T, k *desk, settings string) (cmd *exec.Cmd, public, management int) {
	t.Helper()
	public, management = freePort(t), freePort(t)
	k.want(exitOK, "", "keys", "init")
	k.write("sallyport.yaml", fmt.Sprintf(deskConfig, public, management, k.folder)+"tenant_files: [tenant.yaml]\n"+settings)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), self, "serve", "--config", filepath.Join(k.folder, "sallyport.yaml"))
	cmd.Env = append(os.Environ(), clockVariable+"="+filepath.Join(k.folder, "clock"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, public, management
}

// While the database is migrated, here by another process, the gateway is alive and has
// not started.
func TestProbesOfAStart(t *testing.T) {
	k := newDesk(t)
	lock, err := os.OpenFile(filepath.Join(k.folder, "sallyport.db.migrate.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	cmd, public, management := launch(t, k, "")
	eventually(t, "it is alive", func() bool { status, _ := probe(management, "/livez"); return status == http.StatusOK })
	for _, path := range []string{"/startupz", "/readyz"} {
		if status, body := probe(management, path); status != http.StatusServiceUnavailable || body != `{"status":"starting"}` {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", public)); err == nil {
		t.Errorf("the public listener is open: %v", c.Close())
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has started", func() bool { status, _ := probe(management, "/startupz"); return status == http.StatusOK })
	if status, body := probe(management, "/readyz"); status != http.StatusOK || body != `{"status":"ready","checks":{"keys":"ok","sql":"ok"}}` {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// SIGTERM: first /readyz says so, while requests are taken still; then none is, and the
// one under way is answered; then the process ends with 0.
func TestStopWithARequestUnderWay(t *testing.T) {
	k := newDesk(t)
	cmd, public, management := launch(t, k, "drain: 1s\n")
	eventually(t, "it is ready", func() bool { status, _ := probe(management, "/readyz"); return status == http.StatusOK })

	address := fmt.Sprintf("127.0.0.1:%d", public)
	slow, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	body := "grant_type=password&client_id=spa&username=alice&password=wrong"
	fmt.Fprintf(slow, "POST /oauth/token HTTP/1.1\r\nHost: login.localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(body), body[:10])
	eventually(t, "the request is under way", func() bool {
		_, metrics := probe(management, "/metrics")
		return strings.Contains(metrics, "\nsallyport_http_requests_in_flight 1\n")
	})

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	stopping := func() bool {
		status, body := probe(management, "/readyz")
		return status == http.StatusServiceUnavailable && body == `{"status":"stopping"}`
	}
	eventually(t, "it says that it stops", stopping)
	res, err := http.Get("http://" + address + "/.well-known/jwks.json")
	if err != nil {
		t.Fatalf("while it drains: %v", err)
	}
	_ = res.Body.Close()
	eventually(t, "nothing more is taken", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if !stopping() {
		t.Error("the probes went before the last request")
	}
	fmt.Fprint(slow, body[10:])
	answer, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatalf("the request under way: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("the request under way: %d", answer.StatusCode)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
