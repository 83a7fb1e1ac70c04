// Package redis keeps what is short-lived in Redis: transactions now.
//
// It may lose everything at any moment and nothing is decided by it alone (the
// placement rule of package storage). Every key carries the hash tag of its one handle,
// as in mfa:{id}, and every transition is one script on that key, so that a cluster can
// hold it. A server that does not answer is fault.Unavailable within about a second,
// never "nothing found".
package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// How long one step of a request may take, and how many requests at once hold a
// connection. A server that is slower than this is as good as gone.
const (
	dialTimeout     = time.Second
	exchangeTimeout = 500 * time.Millisecond
	poolSize        = 50
)

// retryAfter is what a client is told when Redis does not answer.
const retryAfter = 2 * time.Second

// Options are what a store is made from.
type Options struct {
	URL secret.Text      // redis://user:password@host:6379/0; rediss:// for TLS
	Now func() time.Time // nil: time.Now
}

// Store keeps transactions in Redis. It is safe for concurrent use.
type Store struct {
	client       *goredis.Client
	now          func() time.Time
	transactions transactionScripts
}

// Open connects to Redis and asks it to answer. No error quotes the URL.
func Open(ctx context.Context, o Options) (*Store, error) {
	options, err := clientOptions(o.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{client: goredis.NewClient(options), now: o.Now, transactions: newTransactionScripts()}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Ping reports whether Redis answers: nil or fault.Unavailable.
func (s *Store) Ping(ctx context.Context) error {
	return unavailable("ping", s.client.Ping(ctx).Err())
}

// Close gives back the connections.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}

// clientOptions takes from the URL where the server is and how to log in, and nothing
// else: what else a URL can set (retries, unverified certificates) is decided here. No
// command is ever repeated by the client, because the answer to the first may only
// have been lost.
func clientOptions(from secret.Text) (*goredis.Options, error) {
	u, err := goredis.ParseURL(from.Reveal())
	if err != nil || u.Network != "tcp" {
		return nil, errors.New("redis: cannot read the url: want redis://user:password@host:6379/0 or rediss://")
	}
	if u.TLSConfig != nil {
		u.TLSConfig.InsecureSkipVerify = false
	}
	return &goredis.Options{
		Addr: u.Addr, Username: u.Username, Password: u.Password, DB: u.DB, TLSConfig: u.TLSConfig,
		DialTimeout: dialTimeout, ReadTimeout: exchangeTimeout, WriteTimeout: exchangeTimeout,
		PoolSize: poolSize, PoolTimeout: exchangeTimeout, PipelinePoolSize: -1,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, nil
}

// unavailable gives a failure of Redis its kind; nil stays nil.
func unavailable(operation string, err error) error {
	if err == nil {
		return nil
	}
	return &fault.Details{
		Kind: fault.Unavailable, RetryAfter: retryAfter, Err: fmt.Errorf("redis: %s: %w", operation, err),
	}
}
