// Package redis keeps what is short-lived in Redis: transactions, challenges of second
// devices, tickets to enroll one. It serves a single server, servers that Sentinels watch,
// and a Cluster; the URL says which.
//
// It may lose everything at any moment and nothing is decided by it alone (the
// placement rule of package storage). Every key carries the hash tag of its one handle,
// as in mfa:{id}, and every transition is one script on that key, so that a cluster can
// hold it. No command is repeated when its answer is lost. A server that does not
// answer, and a master that is gone until another takes over, is fault.Unavailable
// within two seconds, never "nothing found".
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	// patience bounds an operation, however many servers it goes to.
	patience = 2 * time.Second

	// retryAfter is what a client is told when Redis does not answer.
	retryAfter = 2 * time.Second
)

// Options are what a store is made from.
type Options struct {
	URL secret.Text      // as Config.URL has it
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: nowhere
	// Watch, unless nil, is told of each command before it is sent; what it returns is
	// told how that ended.
	Watch func(ctx context.Context, operation string) (context.Context, func(error))
}

// Store keeps what is short-lived in Redis. It is safe for concurrent use.
type Store struct {
	client  goredis.UniversalClient
	place   place
	now     func() time.Time
	log     *slog.Logger
	scripts scripts
}

// Open connects to Redis, asks it to answer, and refuses one that is run in another way
// than the URL says or that evicts keys. No error quotes the URL. The log also takes
// what the client library has to say, which is one for the process: the last one opened.
func Open(ctx context.Context, o Options) (*Store, error) {
	p, err := parsePlace(o.URL.Reveal())
	if err != nil {
		return nil, fmt.Errorf("redis: url: %w", err)
	}
	s := &Store{place: p, now: o.Now, log: o.Log, scripts: newScripts()}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	goredis.SetLogger(clientLog{s.log})
	s.client = p.client()
	if o.Watch != nil {
		s.client.AddHook(watch(o.Watch))
	}
	err = s.Ping(ctx)
	if err == nil {
		err = s.check(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives back the connections.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
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
