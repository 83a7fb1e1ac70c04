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
)

func (s *Store) openPostgres(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("sqlstore: the PostgreSQL URL cannot be parsed")
	}
	q := u.Query()
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", connectSeconds)
		u.RawQuery = q.Encode()
	}
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
