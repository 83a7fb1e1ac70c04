package sqlstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/throttle"
)

var _ throttle.Counter = (*Store)(nil)

// CountFailure implements throttle.Counter. It counts even for a request that was
// given up: hanging up must not buy free attempts.
func (s *Store) CountFailure(ctx context.Context, f throttle.Failure) error {
	return s.transact(context.WithoutCancel(ctx), "count a failure", func(tx *gorm.DB) error {
		// The lock keeps the order in which rows are taken that of an issuance.
		if _, err := lockUser(tx, f.Subject, fault.NotFound); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		when := f.Event.At
		if when.IsZero() {
			when = s.now()
		}
		err := tx.Exec(`INSERT INTO user_failures (user_id, failures, last_at) VALUES (?, 1, ?)
			ON CONFLICT (user_id) DO UPDATE SET failures = user_failures.failures + 1, last_at = excluded.last_at`,
			f.Subject, at(when)).Error
		if err != nil {
			return err
		}
		if len(f.Authenticators) > 0 {
			err = tx.Exec("UPDATE authenticators SET failures = failures + 1 WHERE user_id = ? AND id IN ?",
				f.Subject, f.Authenticators).Error
		}
		if err != nil {
			return err
		}
		return s.record(tx, f.Event)
	})
}

// UserFailures returns how many second factors of a user were wrong since the last
// success, and when the last one was.
func (s *Store) UserFailures(ctx context.Context, userID string) (int, time.Time, error) {
	var rows []struct {
		Failures int
		LastAt   stamp
	}
	err := s.reader.WithContext(ctx).Raw("SELECT failures, last_at FROM user_failures WHERE user_id = ?", userID).
		Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return 0, time.Time{}, failed("read the failures", err)
	}
	return rows[0].Failures, rows[0].LastAt.time(), nil
}
