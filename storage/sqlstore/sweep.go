package sqlstore

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// fenceLeeway is how much longer a redemption is kept than what it redeems, so that
// no clock that runs late finds the fence gone.
const fenceLeeway = time.Hour

// Sweep deletes what is over: redemptions, tokens, and authenticators that nobody
// confirmed in time. Those were never bound to anybody, so they leave no tombstone.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	const unconfirmed = "confirmed_at = 0 AND deleted_at = 0 AND expires_at <= ?"
	for _, sweep := range []struct {
		sql    string
		before time.Time
	}{
		{"DELETE FROM redemptions WHERE expires_at <= ?", now.Add(-fenceLeeway)},
		{"DELETE FROM access_tokens WHERE expires_at <= ?", now},
		{"DELETE FROM refresh_tokens WHERE expires_at <= ?", now},
		{"DELETE FROM recovery_codes WHERE authenticator_id IN (SELECT id FROM authenticators WHERE " + unconfirmed + ")", now},
		{"DELETE FROM authenticators WHERE " + unconfirmed, now},
	} {
		err := s.transact(ctx, "sweep", func(tx *gorm.DB) error { return tx.Exec(sweep.sql, at(sweep.before)).Error })
		if err != nil {
			return err
		}
	}
	return nil
}
