package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Options are what a store needs.
type Options struct {
	URL  secret.Text // sqlite:///absolute/path.db or postgres://user:password@host/database
	Ring *secret.Ring
	Now  func() time.Time
	Log  *slog.Logger

	AuditOptional bool // go on when an event cannot be recorded, and log that
	// Watch, unless nil, is told of each statement and transaction before it begins; what
	// it returns is told how that ended.
	Watch func(ctx context.Context, operation string) (context.Context, func(error))
}

// Store is a database, in use by one process of possibly many.
type Store struct {
	writer *gorm.DB // transactions and all writes
	reader *gorm.DB // reads outside transactions; on PostgreSQL the same as writer
	sqlite string   // path of the SQLite file, empty on PostgreSQL
	ring   *secret.Ring
	now    func() time.Time
	log    *slog.Logger

	optional bool          // an event that cannot be recorded stops nothing
	lost     atomic.Uint64 // how many could not

	watch     watch
	exclusive *sql.Conn // holds the lock of Exclusive

	registry registry
	events   atomic.Uint32 // orders the audit events of one millisecond
}

// Open connects to a database. It changes nothing in it: see [Store.Migrate]. A
// database that cannot be reached is fault.Unavailable. No error names the URL, which
// may hold a password.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Ring == nil || o.Now == nil || o.Log == nil {
		return nil, errors.New("sqlstore: Ring, Now and Log are needed")
	}
	s := &Store{ring: o.Ring, now: o.Now, log: o.Log, optional: o.AuditOptional, watch: o.Watch}
	url := o.URL.Reveal()
	scheme, _, _ := strings.Cut(url, "://")
	var err error
	switch scheme {
	case "sqlite":
		err = s.openSQLite(ctx, o.URL)
	case "postgres", "postgresql":
		err = s.openPostgres(ctx, url)
	default:
		return nil, errors.New("sqlstore: the database URL begins with neither sqlite:// nor postgres://")
	}
	if err == nil {
		err = s.watchStatements()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	for _, db := range s.handles() {
		pool, err := db.DB()
		if err == nil {
			err = pool.PingContext(ctx)
		}
		if err != nil {
			return failed("ping", err)
		}
	}
	return nil
}

// Close ends all connections.
func (s *Store) Close() error {
	var errs []error
	if s.exclusive != nil {
		errs = append(errs, s.exclusive.Close())
	}
	for _, db := range s.handles() {
		pool, err := db.DB()
		if err == nil {
			err = pool.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// handles lists what was opened; a store that failed half-way has fewer.
func (s *Store) handles() []*gorm.DB {
	switch {
	case s.writer == nil:
		return nil
	case s.reader == nil || s.reader == s.writer:
		return []*gorm.DB{s.writer}
	default:
		return []*gorm.DB{s.writer, s.reader}
	}
}

// connect opens a gorm handle that neither logs values nor wraps single statements in
// transactions of their own. It names the columns of every query, because a prepared
// statement that selects all of them would fail after a migration by a newer node.
func connect(d gorm.Dialector) (*gorm.DB, error) {
	return gorm.Open(d, &gorm.Config{
		SkipDefaultTransaction: true,
		PrepareStmt:            true,
		QueryFields:            true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
		Logger:                 logger.Discard,
	})
}

// failed names the operation and makes whatever has no kind yet a failure of the
// database.
func failed(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fault.Because(fault.Unavailable, fmt.Errorf("sqlstore: %s: %w", operation, err))
}

// found is [failed] for a query that wants one row: no row is the given kind.
func found(none fault.Kind, operation string, err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return fmt.Errorf("sqlstore: %s: %w", operation, none)
	}
	return failed(operation, err)
}
