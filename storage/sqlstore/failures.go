package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/throttle"
)

var _ throttle.Limiter = (*Store)(nil)

type userFailuresRow struct {
	UserID   string `gorm:"primaryKey"`
	Failures int
	LastAt   stamp
	Recent   stamps
}

// TableName implements gorm's schema.Tabler.
func (userFailuresRow) TableName() string { return "user_failures" }

func (r userFailuresRow) failures() throttle.Failures {
	return throttle.Failures{Count: r.Failures, Last: r.LastAt.time(), Recent: r.Recent.times()}
}

// Attempt implements throttle.Limiter. It counts even for a request that was given up:
// hanging up must not buy free attempts.
func (s *Store) Attempt(ctx context.Context, a throttle.Attempt, l throttle.Limits) error {
	var refused error
	ctx, cancel := outlasting(ctx)
	defer cancel()
	err := s.transact(ctx, "let an attempt through", func(tx *gorm.DB) error {
		failures, err := failuresOf(tx, a.Subject)
		if err != nil {
			return err
		}
		refused = throttle.TooMany(fault.TooManyFailures, l.Wait(failures, a.Event.At))
		if refused == nil {
			if refused, err = guessed(tx, a.Session, l.Free); err != nil {
				return err
			}
		}
		if refused != nil {
			e := a.Event
			e.Reason = fault.Of(refused).Error()
			return s.record(tx, e)
		}
		if refused, err = superseded(tx, &a); err != nil || !a.Wrong {
			return err
		}
		return s.count(tx, a, failures, l.Disable)
	})
	if err != nil {
		return err
	}
	return refused
}

// failuresOf locks the row of a user, if there is one, and reads the failures. The lock
// makes attempts of a user follow one another, and keeps the order in which rows are taken
// that of an issuance.
func failuresOf(tx *gorm.DB, subject string) (throttle.Failures, error) {
	if _, err := lockUser(tx, subject, fault.NotFound); err != nil && !errors.Is(err, fault.NotFound) {
		return throttle.Failures{}, err
	}
	row := userFailuresRow{UserID: subject}
	err := tx.Where("user_id = ?", subject).Limit(1).Find(&row).Error
	return row.failures(), err
}

// count keeps a wrong attempt.
func (s *Store) count(tx *gorm.DB, a throttle.Attempt, failures throttle.Failures, disable int) error {
	now := a.Event.At
	if a.Session == "" {
		failures = failures.Add(now)
	} else {
		failures = failures.AddApart(now)
		if err := tx.Exec("UPDATE sessions SET failures = failures + 1 WHERE id = ?", a.Session).Error; err != nil {
			return err
		}
	}
	row := userFailuresRow{UserID: a.Subject, Failures: failures.Count, LastAt: at(failures.Last), Recent: stampsOf(failures.Recent)}
	if err := tx.Save(&row).Error; err != nil {
		return err
	}
	if err := countCode(tx, a); err != nil {
		return err
	}
	if err := s.blame(tx, a, disable); err != nil {
		return err
	}
	return s.record(tx, a.Event)
}

// guessed refuses an attempt of a session that has none left.
func guessed(tx *gorm.DB, session string, free int) (refused, failed error) {
	if session == "" {
		return nil, nil
	}
	var failures []int
	if err := tx.Raw("SELECT failures FROM sessions WHERE id = ?", session).Scan(&failures).Error; err != nil {
		return nil, err
	}
	if len(failures) == 0 || failures[0] >= free {
		return fmt.Errorf("too many wrong proofs of the session: %w", fault.MalformedMFAToken), nil
	}
	return nil, nil
}

// blame counts a wrong attempt to the authenticators that it was held against, and
// disables those that have had too many. Their rows are those of one user, whose row is
// locked.
func (s *Store) blame(tx *gorm.DB, a throttle.Attempt, limit int) error {
	if len(a.Authenticators) == 0 {
		return nil
	}
	err := tx.Exec("UPDATE authenticators SET failures = failures + 1 WHERE user_id = ? AND id IN ?", a.Subject, a.Authenticators).Error
	if err != nil {
		return err
	}
	const spent = "user_id = ? AND id IN ? AND failures >= ? AND confirmed_at <> 0 AND disabled_at = 0 AND deleted_at = 0"
	var disabled []string
	err = tx.Model(&authenticatorRow{}).Where(spent, a.Subject, a.Authenticators, limit).Order("id").Pluck("id", &disabled).Error
	if err != nil || len(disabled) == 0 {
		return err
	}
	if err := tx.Exec("UPDATE authenticators SET disabled_at = ? WHERE id IN ?", at(a.Event.At), disabled).Error; err != nil {
		return err
	}
	e := a.Event
	e.Type, e.Reason, e.Authenticators = audit.Disabled, fault.TooManyFailures.Error(), slices.Clone(disabled)
	return s.record(tx, e)
}

// UserFailures returns how many second factors of a user were wrong since the last
// success, and when the last one was.
func (s *Store) UserFailures(ctx context.Context, userID string) (int, time.Time, error) {
	var rows []userFailuresRow
	err := s.reader.WithContext(ctx).Where("user_id = ?", userID).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return 0, time.Time{}, failed("read the failures", err)
	}
	return rows[0].Failures, rows[0].LastAt.time(), nil
}
