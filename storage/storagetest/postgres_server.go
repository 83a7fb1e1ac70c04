package storagetest

import (
	"os"
	"syscall"
	"testing"
)

// PostgresServer is a PostgreSQL of one's own, for a test that stops or freezes it. What
// was committed is there again after Stop and Start.
type PostgresServer struct {
	URL string // the same after Stop and Start

	cluster  *cluster
	settings []string
	running  *process
}

// NewPostgres makes a PostgreSQL for one test and starts it, with settings beside the
// usual ones: max_connections=30.
func NewPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	if postgresPrograms() == "" {
		Missing(t, "initdb (PostgreSQL)")
	}
	c, err := newCluster()
	if err != nil {
		t.Fatal(err)
	}
	s := &PostgresServer{URL: c.url("postgres"), cluster: c, settings: settings}
	t.Cleanup(func() {
		s.end()
		if err := os.RemoveAll(c.folder); err != nil {
			t.Error(err)
		}
	})
	s.Start(t)
	return s
}

// Start starts a server that was stopped.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	working, err := s.cluster.newFolder()
	if err != nil {
		t.Fatal(err)
	}
	if s.running, err = s.cluster.start(working, s.settings...); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server and its connections at once, as its immediate shutdown does.
func (s *PostgresServer) Stop(t testing.TB) {
	t.Helper()
	s.end()
}

// Freeze stops the server and the processes of its connections where they are.
func (s *PostgresServer) Freeze(t testing.TB) {
	t.Helper()
	if err := s.running.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// Thaw lets a frozen server go on.
func (s *PostgresServer) Thaw(t testing.TB) {
	t.Helper()
	if err := s.running.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

func (s *PostgresServer) end() {
	if s.running != nil {
		s.running.stop()
		s.running = nil
	}
}
