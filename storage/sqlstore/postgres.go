package sqlstore

import (
	"context"
	"errors"
	"net/url"
	"time"

	"gorm.io/driver/postgres"
)

// Limits of the PostgreSQL pool. A server's default of 100 connections then serves
// four nodes; what waits for a connection waits under its own deadline.
const (
	poolSize       = 20
	poolIdle       = 5 * time.Minute
	poolLifetime   = 30 * time.Minute
	connectSeconds = "5"
	// idleTimeout, in milliseconds, is how long a transaction may wait for its gateway. One
	// that was given up has rolled back long before (transactTimeout); a node that stands
	// still in the middle of one must not keep what it locked from the others.
	idleTimeout = "5000"
)

func (s *Store) openPostgres(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("sqlstore: the PostgreSQL URL cannot be parsed")
	}
	q := u.Query()
	for name, value := range map[string]string{
		"connect_timeout": connectSeconds, "idle_in_transaction_session_timeout": idleTimeout,
	} {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	if s.writer, err = connect(postgres.Open(u.String())); err != nil {
		return failed("open PostgreSQL", err)
	}
	s.reader = s.writer
	pool, err := s.writer.DB()
	if err != nil {
		return failed("open PostgreSQL", err)
	}
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	pool.SetConnMaxIdleTime(poolIdle)
	pool.SetConnMaxLifetime(poolLifetime)
	return s.Ping(ctx)
}

// exclusiveLock names the session lock of the one gateway that keeps its state in
// process.
const exclusiveLock = 0x5a11_0001

// Exclusive takes the database for one gateway until the store is closed, or fails at
// once when another one has it. On SQLite it does nothing: there the gateway locks a
// file.
func (s *Store) Exclusive(ctx context.Context) error {
	if s.sqlite != "" {
		return nil
	}
	pool, err := s.writer.DB()
	if err != nil {
		return failed("lock the database", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return failed("lock the database", err)
	}
	var taken bool
	err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", exclusiveLock).Scan(&taken)
	if err == nil && taken {
		s.exclusive = conn
		return nil
	}
	if err == nil {
		err = errors.New("another gateway that keeps its state in process has it")
	}
	return errors.Join(failed("lock the database", err), conn.Close())
}
