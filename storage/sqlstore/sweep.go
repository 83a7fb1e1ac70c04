package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

const (
	// sweepLeeway is how much longer things are kept than they are good, so that no clock
	// that runs late, and no transaction that waits for a lock, finds them gone.
	sweepLeeway = time.Hour
	// sweepBatch is how many rows one transaction deletes: a large backlog must neither
	// hold the database for long nor be given up as a whole.
	sweepBatch = 500
)

// What is over, each a query for sweepBatch rows that were over at one moment.
const (
	overRedemptions = "SELECT kind, hash FROM redemptions WHERE expires_at <= ? LIMIT 500"
	overBuckets     = "SELECT bucket FROM password_attempts WHERE full_until <= ? LIMIT 500"
	overNotices     = "SELECT id FROM notices WHERE expires_at <= ? LIMIT 500"
	overPushes      = "SELECT user_id FROM pushes WHERE expires_at <= ? AND " + saysNothing + " LIMIT 500"
	overCodes       = "SELECT authenticator_id, challenge FROM codes WHERE expires_at <= ? LIMIT 500"
	overAccess      = "SELECT id FROM access_tokens WHERE expires_at <= ? LIMIT 500"
	overRefresh     = "SELECT hash FROM refresh_tokens WHERE expires_at <= ? LIMIT 500"
	overSessions    = "SELECT id FROM sessions WHERE expires_at <= ? ORDER BY expires_at, id LIMIT 500"
	overPending     = `SELECT id FROM authenticators
		WHERE confirmed_at = 0 AND deleted_at = 0 AND expires_at <= ? ORDER BY expires_at, id LIMIT 500`
	overFamilies = "SELECT id FROM refresh_families WHERE session_id IN (" + overSessions + ")"
)

// saysNothing is true of pushes that no limit is about any more. The statement that deletes
// asks again: there may be a live one since.
const saysNothing = "answer <> '' AND refusals = 0 AND NOT denied AND reported_at = 0 AND voided_at = 0"

// sweeps are the statements that run together, those that others refer to last.
var sweeps = [][]string{
	{"DELETE FROM redemptions WHERE (kind, hash) IN (" + overRedemptions + ")"},
	{"DELETE FROM password_attempts WHERE bucket IN (" + overBuckets + ")"},
	{"DELETE FROM notices WHERE id IN (" + overNotices + ")"},
	{"DELETE FROM pushes WHERE user_id IN (" + overPushes + ") AND " + saysNothing},
	{"DELETE FROM codes WHERE (authenticator_id, challenge) IN (" + overCodes + ")"},
	{"DELETE FROM access_tokens WHERE id IN (" + overAccess + ")"},
	{"DELETE FROM refresh_tokens WHERE hash IN (" + overRefresh + ")"},
	{"DELETE FROM signing_keys WHERE retired_at <> 0 AND retired_at <= ?"},
	{
		"DELETE FROM recovery_codes WHERE authenticator_id IN (" + overPending + ")",
		"DELETE FROM authenticators WHERE id IN (" + overPending + ")",
	},
	{
		"DELETE FROM refresh_tokens WHERE family_id IN (" + overFamilies + ")",
		"DELETE FROM refresh_families WHERE session_id IN (" + overSessions + ")",
		"DELETE FROM access_tokens WHERE session_id IN (" + overSessions + ")",
		"DELETE FROM session_proofs WHERE session_id IN (" + overSessions + ")",
		"DELETE FROM sessions WHERE id IN (" + overSessions + ")",
	},
}

// Sweep deletes what is over: redemptions, notices, pushes, codes, tokens, retired signing keys,
// sessions none of whose tokens is good, and authenticators that nobody confirmed in time. Those
// were never bound to anybody, so they leave no tombstone.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	before := at(now.Add(-sweepLeeway))
	for _, statements := range sweeps {
		for deleted := int64(sweepBatch); deleted == sweepBatch; {
			err := s.transact(ctx, "sweep", func(tx *gorm.DB) error {
				for _, sql := range statements {
					done := tx.Exec(sql, before)
					if done.Error != nil {
						return fmt.Errorf("%s: %w", sql, done.Error)
					}
					deleted = done.RowsAffected
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
