package gatewaytest

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/storage/storagetest"
)

// Database is the PostgreSQL of a [Breakable] world; nil in others.
func (w *World) Database() *storagetest.PostgresServer { return w.stores.server }

// SQL opens the database beside the gateways.
func (w *World) SQL(t testing.TB) *sql.DB {
	t.Helper()
	driver, url := "pgx", w.stores.database
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, url = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// File is the path of a file beside the configuration: keys.json, tenant.yaml.
func (w *World) File(name string) string { return filepath.Join(filepath.Dir(w.file), name) }

// Processes are the process ids of the gateways.
func (w *World) Processes() []int {
	var out []int
	for _, n := range w.nodes {
		out = append(out, n.cmd.Process.Pid)
	}
	return out
}

// Kill ends a gateway without notice, as a crash does.
func (w *World) Kill(t testing.TB, i int) {
	t.Helper()
	n := w.nodes[i]
	n.killed.Store(true)
	if err := n.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n.stop()
}

// Terminate asks a gateway to stop; its end is waited for by what is returned, which
// fails the test unless it was an orderly one.
func (w *World) Terminate(t testing.TB, i int) (ended func()) {
	t.Helper()
	n := w.nodes[i]
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return n.stop
}

// Revive starts a gateway that has ended, in its old place.
func (w *World) Revive(t testing.TB, i int) {
	t.Helper()
	n := start(t, w.file, w.Clock.Now(), w.Log)
	n.wait(t)
	w.nodes[i] = n
}

// Refuses starts one more gateway and wants it to end by itself, with an error.
func (w *World) Refuses(t testing.TB) {
	t.Helper()
	n := start(t, w.file, w.Clock.Now(), w.Log)
	n.killed.Store(true) // it ends with an error, and that is right
	if said := n.line(); said != "" {
		t.Errorf("a gateway started, and says %q", said)
	}
	n.stop()
	if n.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("a gateway that must not start ended with %v", n.cmd.ProcessState)
	}
}

// Descriptors is how many files and connections each gateway has open, when nobody has
// one open to it that is not in use.
func (w *World) Descriptors(t testing.TB) []int {
	t.Helper()
	w.http.CloseIdleConnections()
	var out []int
	for _, pid := range w.Processes() {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, len(open))
	}
	return out
}

// Probe is the status of a path of each gateway's management listener, 0 for none.
func (w *World) Probe(t testing.TB, path string) []int {
	t.Helper()
	var out []int
	for _, base := range w.Manage() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		status := 0
		if res, err := w.http.Do(req); err == nil {
			status = res.StatusCode
			_ = res.Body.Close()
		}
		out = append(out, status)
	}
	return out
}
