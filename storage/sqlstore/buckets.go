package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/throttle"
)

var _ throttle.BucketStore = (*Store)(nil)

// Buckets implements throttle.BucketStore.
func (s *Store) Buckets(ctx context.Context, all []throttle.Bucket) (map[string]time.Time, error) {
	full, err := buckets(s.reader.WithContext(ctx), all)
	return full, failed("read the password attempts", err)
}

func buckets(db *gorm.DB, all []throttle.Bucket) (map[string]time.Time, error) {
	var names []string
	for _, b := range all {
		names = append(names, b.Name)
	}
	var rows []struct {
		Bucket    string
		FullUntil stamp
	}
	err := db.Table("password_attempts").Where("bucket IN ?", names).Find(&rows).Error
	full := map[string]time.Time{}
	for _, r := range rows {
		full[r.Bucket] = r.FullUntil.time()
	}
	return full, err
}

// Fill implements throttle.BucketStore.
func (s *Store) Fill(ctx context.Context, all []throttle.Bucket, now time.Time, e audit.Event) error {
	var refused error
	ctx, cancel := outlasting(ctx)
	defer cancel()
	tooMany := e
	tooMany.Reason = fault.TooManyAttempts.Error()
	err := s.transact(ctx, "count a password attempt", func(tx *gorm.DB) error {
		full, err := fill(tx, all, now)
		if err != nil {
			return err
		}
		if refused = throttle.TooMany(fault.TooManyAttempts, throttle.Wait(all, full, now)); refused != nil {
			return s.record(tx, tooMany)
		}
		err = s.record(tx, e)
		if err == nil && throttle.Wait(all, after(all, full), now) > 0 {
			err = s.record(tx, tooMany) // from now on
		}
		return err
	})
	if err != nil {
		return err
	}
	return refused
}

// fill adds one to each bucket, unless one of them is too full, and returns until when they
// were full before. The rows are written before they are read, in the order of the buckets:
// that locks them.
func fill(tx *gorm.DB, all []throttle.Bucket, now time.Time) (map[string]time.Time, error) {
	for _, b := range all {
		err := tx.Exec(`INSERT INTO password_attempts (bucket, full_until) VALUES (?, ?)
			ON CONFLICT (bucket) DO UPDATE SET full_until =
				CASE WHEN password_attempts.full_until < ? THEN ? ELSE password_attempts.full_until END`,
			b.Name, at(now), at(now), at(now)).Error
		if err != nil {
			return nil, err
		}
	}
	full, err := buckets(tx, all)
	if err != nil || throttle.Wait(all, full, now) > 0 {
		return full, err
	}
	for name, until := range after(all, full) {
		if err := tx.Exec("UPDATE password_attempts SET full_until = ? WHERE bucket = ?", at(until), name).Error; err != nil {
			return nil, err
		}
	}
	return full, nil
}

// after is until when buckets are full once each holds one more.
func after(all []throttle.Bucket, full map[string]time.Time) map[string]time.Time {
	more := map[string]time.Time{}
	for _, b := range all {
		more[b.Name] = full[b.Name].Add(b.Every)
	}
	return more
}

// Drain implements throttle.BucketStore.
func (s *Store) Drain(ctx context.Context, b throttle.Bucket) error {
	return s.transact(ctx, "forget password attempts", func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM password_attempts WHERE bucket = ?", b.Name).Error
	})
}
