package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/observer"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/memory"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// state is a store of what is short-lived.
type state interface {
	mfa.TransactionStore
	oob.Store
	oob.TicketStore
	Ping(ctx context.Context) error
	Close() error
}

// stores are the backends in use.
type stores struct {
	sql   *sqlstore.Store
	state state
	lock  *os.File // held while a SQLite database is served; nil otherwise
}

// openStores opens what the configuration names, watched. A SQLite database takes one
// gateway.
func openStores(ctx context.Context, o Options, ring *secret.Ring, watched func(part, help string) observer.Watch) (*stores, error) {
	s := &stores{}
	var err error
	if err := o.Config.DatabaseFolder(); err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	if path, ok := o.Config.Database.SQLitePath(); ok {
		if s.lock, err = sqlstore.LockFile(path + ".lock"); err != nil {
			return nil, err
		}
	}
	if s.sql, err = openSQL(ctx, o, ring, watched("sql", "How long statements and whole transactions took.")); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if o.Config.Redis.Embedded() {
		if err := s.sql.Exclusive(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("redis.url is embedded:, which takes one gateway; use Redis for more: %w", err), s.close())
		}
		s.state = memory.New(memory.Options{Now: o.Now})
	} else if s.state, err = openRedis(ctx, o, watched("redis", "How long commands took, and connecting.")); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func openRedis(ctx context.Context, o Options, w observer.Watch) (state, error) {
	r, err := redis.Open(ctx, redis.Options{URL: o.Config.Redis.URL, Now: o.Now, Log: o.Log, Watch: w})
	if err != nil {
		return nil, fmt.Errorf("open redis.url: %w", err)
	}
	return r, nil
}

// OpenSQL opens the database alone, as administration needs it; a gateway may be
// serving it at the same time.
func OpenSQL(ctx context.Context, o Options, ring *secret.Ring) (*sqlstore.Store, error) {
	return openSQL(ctx, o, ring, nil)
}

func openSQL(ctx context.Context, o Options, ring *secret.Ring, w observer.Watch) (*sqlstore.Store, error) {
	s, err := sqlstore.Open(ctx, sqlstore.Options{
		URL: o.Config.Database.URL, Ring: ring, Now: o.Now, Log: o.Log, AuditOptional: !o.Config.Audit.Required, Watch: w,
	})
	if err != nil {
		return nil, fmt.Errorf("open database.url: %w", err)
	}
	return s, nil
}

func (s *stores) close() error {
	var errs []error
	if s.state != nil {
		errs = append(errs, s.state.Close())
	}
	if s.sql != nil {
		errs = append(errs, s.sql.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
