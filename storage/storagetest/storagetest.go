// Package storagetest starts the real servers that the tests of stores need: a
// redis-server of one's own, or a Cluster, or Sentinels; a database of one's own in a
// PostgreSQL cluster; a SQLite file of one's own.
//
// Where a server is not installed the test is skipped, and says so; with
// SALLYPORT_REQUIRE=all in the environment it fails instead. No server outlives the
// test binary, however that ends.
package storagetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// SQLite returns the URL of a SQLite file that does not exist yet, in a folder that
// goes with the test: sqlite:///folder/x.db.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "x.db"))
}

// Missing ends a test that needs a program nobody installed.
func Missing(t testing.TB, program string) {
	t.Helper()
	if os.Getenv("SALLYPORT_REQUIRE") == "all" {
		t.Fatalf("%s not found, run make deps", program)
	}
	t.Skipf("skipped: %s not found, run make deps", program)
}

// freePort finds a loopback port that nobody listens on. It keeps below the ports
// that the usual kernels give to outgoing connections, so that none of those takes it
// before the server does, or while the server is stopped.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 15000 + rand.IntN(17000)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("storagetest: no free port: %w", err)
}
