package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/sqlstore"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// execute runs a statement past the store, as an operator or an attacker could.
func execute(t testing.TB, url, statement string, args ...any) {
	t.Helper()
	driver, source := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// However many nodes start together, the migrations run once and all of them serve.
func TestMigrateTogether(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			var nodes sync.WaitGroup
			barrier := make(chan struct{})
			for range 8 {
				s := connect(t, url, ring, time.Now)
				nodes.Go(func() {
					<-barrier
					if err := s.Migrate(t.Context()); err != nil {
						t.Errorf("migrate: %v", err)
					}
					if pending, err := s.Pending(t.Context()); err != nil || pending {
						t.Errorf("pending %v, %v", pending, err)
					}
				})
			}
			close(barrier)
			nodes.Wait()
			s := connect(t, url, ring, time.Now)
			if err := s.Migrate(t.Context()); err != nil {
				t.Errorf("migrate again: %v", err)
			}
			if have, want, err := s.Version(t.Context()); err != nil || have != want || have == 0 {
				t.Errorf("version %d of %d, %v", have, want, err)
			}
		})
	}
}

func TestUnmigratedAndNewer(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url := fresh(t)
			s := connect(t, url, newRing(t), time.Now)
			if pending, err := s.Pending(t.Context()); err != nil || !pending {
				t.Errorf("an empty database: pending %v, %v", pending, err)
			}
			if have, _, err := s.Version(t.Context()); err != nil || have != 0 {
				t.Errorf("an empty database: version %d, %v", have, err)
			}
			if _, err := s.Client(t.Context(), "spa"); fault.Of(err) != fault.Unavailable {
				t.Errorf("a client of an empty database: %v, want Unavailable", err)
			}
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			flag := map[string]string{"SQLite": "1", "PostgreSQL": "true"}[name]
			execute(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, "+flag+")")
			if _, err := s.Pending(t.Context()); err == nil || !strings.Contains(err.Error(), "newer") {
				t.Errorf("a newer database: %v", err)
			}
			if err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "newer") {
				t.Errorf("migrate a newer database: %v", err)
			}
		})
	}
}

// Nodes that open a new database together do not meet in its first setting-up.
func TestOpenTogether(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			var nodes sync.WaitGroup
			barrier := make(chan struct{})
			for range 8 {
				nodes.Go(func() {
					<-barrier
					s, err := sqlstore.Open(t.Context(), sqlstore.Options{
						URL: secret.New(url), Ring: ring, Now: time.Now, Log: slog.New(slog.DiscardHandler),
					})
					if err != nil {
						t.Errorf("open: %v", err)
						return
					}
					if err := errors.Join(s.Migrate(t.Context()), s.Close()); err != nil {
						t.Errorf("migrate and close: %v", err)
					}
				})
			}
			close(barrier)
			nodes.Wait()
		})
	}
}

// A node that waits for another's migration gives up with its context.
func TestMigrateGivesUp(t *testing.T) {
	url := storagetest.Postgres(t)
	s := connect(t, url, newRing(t), time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Migrate(ctx); fault.Of(err) != fault.Unavailable {
		t.Errorf("migrate: %v, want Unavailable", err)
	}
}
