package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
)

// A watch reports statements by their kind alone, never by their text or values.
type watch func(ctx context.Context, operation string) (context.Context, func(error))

func (w watch) begin(ctx context.Context, operation string) (context.Context, func(error)) {
	if w == nil {
		return ctx, func(error) {}
	}
	return w(ctx, operation)
}

// watchKey is where a statement keeps what is told how it ended.
const watchKey = "sallyport:watch"

// watchStatements reports every statement of every connection.
func (s *Store) watchStatements() error {
	if s.watch == nil {
		return nil
	}
	before := func(operation string) func(*gorm.DB) {
		return func(db *gorm.DB) {
			_, ended := s.watch(db.Statement.Context, operation)
			db.InstanceSet(watchKey, ended)
		}
	}
	after := func(db *gorm.DB) {
		if v, ok := db.InstanceGet(watchKey); ok {
			if ended, ok := v.(func(error)); ok {
				ended(failure(db.Error))
			}
		}
	}
	var errs []error
	for _, db := range s.handles() {
		c := db.Callback()
		errs = append(errs,
			c.Create().Before("*").Register(watchKey+":insert", before("insert")), c.Create().After("*").Register(watchKey, after),
			c.Query().Before("*").Register(watchKey+":select", before("select")), c.Query().After("*").Register(watchKey, after),
			c.Row().Before("*").Register(watchKey+":select", before("select")), c.Row().After("*").Register(watchKey, after),
			c.Update().Before("*").Register(watchKey+":update", before("update")), c.Update().After("*").Register(watchKey, after),
			c.Delete().Before("*").Register(watchKey+":delete", before("delete")), c.Delete().After("*").Register(watchKey, after),
			c.Raw().Before("*").Register(watchKey+":exec", before("exec")), c.Raw().After("*").Register(watchKey, after))
	}
	return failed("watch statements", errors.Join(errs...))
}

// failure leaves out what is an answer of the database: there is no such row, there is
// one already, or who ran the transaction wants none of it.
func failure(err error) error {
	kind := fault.Of(err)
	if errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, gorm.ErrDuplicatedKey) || kind != fault.Internal && kind != fault.Unavailable {
		return nil
	}
	return err
}

// Pools are the pools of connections by their use, for their statistics.
func (s *Store) Pools() map[string]*sql.DB {
	pools := map[string]*sql.DB{}
	names := []string{"writer", "reader"}
	for i, db := range s.handles() {
		if pool, err := db.DB(); err == nil {
			pools[names[i]] = pool
		}
	}
	return pools
}
