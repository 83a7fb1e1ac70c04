package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/gorm"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versionTable is where goose notes what it ran.
const versionTable = "goose_db_version"

// Nodes that start together wait for the one that migrates, at most this long.
const migrateTimeout = 5 * time.Minute

// errNewer refuses a database that this version does not know.
var errNewer = errors.New("sqlstore: the database was migrated by a newer version of the gateway")

// Migrate brings the database to the schema of this version. However many nodes call
// it at once, each migration runs once, and all return when it is done. A database of
// a newer version is refused.
func (s *Store) Migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if s.sqlite != "" {
		return s.locked(ctx, func() error { return s.migrate(ctx, goose.DialectSQLite3) })
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrateTimeout/time.Second)))
	if err != nil {
		return failed("migrate", err)
	}
	return s.migrate(ctx, goose.DialectPostgres, goose.WithSessionLocker(locker))
}

func (s *Store) migrate(ctx context.Context, d goose.Dialect, options ...goose.ProviderOption) error {
	pending, err := s.Pending(ctx)
	if err != nil || !pending {
		return err
	}
	pool, err := s.writer.DB()
	if err != nil {
		return failed("migrate", err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return failed("migrate", err)
	}
	p, err := goose.NewProvider(d, pool, files, append(options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return failed("migrate", err)
	}
	_, err = p.Up(ctx)
	return failed("migrate", err)
}

// Pending reports whether the database lacks migrations of this version; serving such
// a database is refused. It is an error when the database is of a newer version.
func (s *Store) Pending(ctx context.Context) (bool, error) {
	have, want, err := s.Version(ctx)
	if err != nil {
		return false, err
	}
	if have > want {
		return false, fmt.Errorf("%w: it is at %d, this one knows %d", errNewer, have, want)
	}
	return have < want, nil
}

// Version returns the schema version of the database, 0 for an empty one, and the one
// that this version of the gateway wants.
func (s *Store) Version(ctx context.Context) (have, want int64, err error) {
	want, err = wanted()
	if err != nil {
		return 0, 0, err
	}
	db := s.reader.WithContext(ctx)
	exists, err := s.hasTable(db, versionTable)
	if err != nil || !exists {
		return 0, want, failed("read the schema version", err)
	}
	var latest sql.NullInt64
	err = db.Raw("SELECT MAX(version_id) FROM " + versionTable).Scan(&latest).Error
	return latest.Int64, want, failed("read the schema version", err)
}

func wanted() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("sqlstore: no migrations are embedded: %w", err)
	}
	version, err := goose.NumericComponent(names[len(names)-1])
	if err != nil {
		return 0, fmt.Errorf("sqlstore: %w", err)
	}
	return version, nil
}

// hasTable is there because gorm's own test hides errors.
func (s *Store) hasTable(db *gorm.DB, name string) (bool, error) {
	query := "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = ?"
	if s.sqlite != "" {
		query = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
	}
	var n int64
	err := db.Raw(query, name).Scan(&n).Error
	return n > 0, err
}
