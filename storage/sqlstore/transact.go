package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	// transactTimeout bounds a transaction, the wait for its connection included: also one
	// that must outlast its request, whose answer waits for it (I7).
	transactTimeout = 4 * time.Second
	// transactGrace is how long a transaction may go on after the request that wanted it
	// is over: enough to finish, not enough to leave the answer waiting.
	transactGrace = 500 * time.Millisecond
)

// transact runs f in a transaction. Once begun it goes on even if the request that
// wanted it is given up: a client that hangs up must not leave half of anything, nor
// keep the outcome from being recorded. When the commit fails the outcome is unknown,
// and the caller must not act on it (standards 6.2).
func (s *Store) transact(ctx context.Context, operation string, f func(tx *gorm.DB) error) error {
	if err := ctx.Err(); err != nil {
		return failed(operation, err)
	}
	deadline := time.Now().Add(transactTimeout)
	if d, ok := ctx.Deadline(); ok && d.Add(transactGrace).Before(deadline) {
		deadline = d.Add(transactGrace)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	ctx, ended := s.watch.begin(ctx, "transaction")
	err := failed(operation, s.writer.WithContext(ctx).Transaction(f))
	ended(failure(err))
	return err
}

// outlasting is a context for what must be done also for a request that was given up. Its
// time is still the request's: whoever waits for the answer waits for this (I7).
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	d, ok := ctx.Deadline()
	if !ok {
		d = time.Now().Add(transactTimeout)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), d)
}

// administer runs a change of what nodes keep in memory: one after the other, with
// the event, as f leaves it, and a new revision in the same transaction. When f reports that nothing
// changed, nothing is written.
func (s *Store) administer(ctx context.Context, e *audit.Event, f func(tx *gorm.DB) (bool, error)) (bool, error) {
	var changed bool
	err := s.transact(ctx, string(e.Type), func(tx *gorm.DB) (err error) {
		if err = lockRevision(tx); err != nil {
			return err
		}
		if changed, err = f(tx); err != nil || !changed {
			return err
		}
		if err = tx.Exec("UPDATE revision SET value = value + 1 WHERE id = 1").Error; err != nil {
			return err
		}
		return s.record(tx, *e)
	})
	if err != nil {
		return false, err
	}
	if changed {
		s.registry.drop()
	}
	return changed, nil
}

// lockRevision comes first: it makes what nodes agree on follow one order everywhere.
func lockRevision(tx *gorm.DB) error {
	var revision int64
	return tx.Clauses(rowLock()).Table("revision").Select("value").Where("id = 1").Take(&revision).Error
}

// rowLock makes a query lock its row. SQLite has no such thing and needs none: there a
// transaction holds the only write lock from its beginning. NO KEY lets rows that
// refer to the locked one be added meanwhile.
func rowLock() clause.Locking { return clause.Locking{Strength: "NO KEY UPDATE"} }

// lockUser makes transactions about one user follow one another. It returns the row,
// or the given kind if there is no such user.
func lockUser(tx *gorm.DB, id string, none fault.Kind) (userRow, error) {
	var u userRow
	err := tx.Clauses(rowLock()).Where("id = ? AND deleted_at = 0", id).Take(&u).Error
	return u, found(none, "find the user", err)
}
