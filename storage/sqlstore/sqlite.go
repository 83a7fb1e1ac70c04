package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/glebarez/sqlite"

	"github.com/sallyport/sallyport/pkg/secret"
)

// lockRetry is how often a taken lock file is tried again.
const lockRetry = 20 * time.Millisecond

func (s *Store) openSQLite(ctx context.Context, url secret.Text) error {
	path, ok := Config{URL: url}.SQLitePath()
	if !ok {
		return errors.New("sqlstore: a SQLite URL is sqlite:// and an absolute path")
	}
	s.sqlite = path
	// Two processes that turn a new file to WAL at once would fail, hence the lock.
	return s.locked(ctx, func() error { return s.connectSQLite(ctx) })
}

func (s *Store) connectSQLite(ctx context.Context) error {
	f, err := os.OpenFile(s.sqlite, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return failed("open the SQLite file", err)
	}
	if err := f.Close(); err != nil {
		return failed("open the SQLite file", err)
	}
	writer := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	reader := url.Values{"_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	if s.writer, err = connect(sqlite.Open(s.dsn(writer))); err != nil {
		return failed("open the SQLite file", err)
	}
	if s.reader, err = connect(sqlite.Open(s.dsn(reader))); err != nil {
		return failed("open the SQLite file", err)
	}
	return s.sizeSQLite(ctx)
}

func (s *Store) sizeSQLite(ctx context.Context) error {
	for i, size := range []int{1, max(4, runtime.GOMAXPROCS(0))} {
		pool, err := s.handles()[i].DB()
		if err != nil {
			return failed("open the SQLite file", err)
		}
		pool.SetMaxOpenConns(size)
		pool.SetMaxIdleConns(size)
	}
	return s.Ping(ctx)
}

func (s *Store) dsn(parameters url.Values) string {
	return "file:" + (&url.URL{Path: s.sqlite}).EscapedPath() + "?" + parameters.Encode()
}

// locked runs f while no other process does, by a lock on a file beside the database;
// the kernel gives it back even if the process dies.
func (s *Store) locked(ctx context.Context, f func() error) error {
	lock, err := os.OpenFile(s.sqlite+".migrate.lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return failed("open the lock file", err)
	}
	defer func() { _ = lock.Close() }()
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return failed("lock", err)
		}
		select {
		case <-ctx.Done():
			return failed("lock", fmt.Errorf("another process holds it: %w", ctx.Err()))
		case <-time.After(lockRetry):
		}
	}
}
