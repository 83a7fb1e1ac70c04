package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

var _ record.Store = (*Store)(nil)

// Issue implements record.Store.
func (s *Store) Issue(ctx context.Context, i record.Issuance) error {
	if err := consumable(i); err != nil {
		return fmt.Errorf("sqlstore: issue: %w", err)
	}
	steps := []func(*gorm.DB, record.Issuance) error{admit, consume, keepSession, keepAccess, keepRefresh, endFailures}
	if i.Own() {
		if i.Refresh != nil || len(i.Session.Proofs) > 0 {
			return fmt.Errorf("sqlstore: issue: only a user has a refresh token and proofs: %w", fault.Internal)
		}
		steps = []func(*gorm.DB, record.Issuance) error{admitClient, consume, keepAccess}
	}
	return s.transact(ctx, "issue", func(tx *gorm.DB) error {
		for _, step := range steps {
			if err := step(tx, i); err != nil {
				return err
			}
		}
		if err := s.recordUses(tx, i); err != nil {
			return err
		}
		return s.record(tx, i.Event)
	})
}

// recordUses records what a user is to be told of (R32): a new authenticator, and a
// recovery code that is used up.
func (s *Store) recordUses(tx *gorm.DB, i record.Issuance) error {
	for _, c := range i.Consumes {
		e := i.Event
		switch c := c.(type) {
		case record.Confirmation:
			e.Type, e.Authenticators = audit.Confirmed, []string{c.Authenticator}
		case record.CodeUse:
			e.Type, e.Authenticators = audit.CodeUsed, []string{c.Authenticator}
		default:
			continue
		}
		if err := s.record(tx, e); err != nil {
			return err
		}
	}
	return nil
}

// consumable fails for what cannot be consumed at all.
func consumable(i record.Issuance) error {
	for _, c := range i.Consumes {
		if consuming(c) == nil {
			return fmt.Errorf("a %T cannot be consumed: %w", c, fault.Internal)
		}
		if r, ok := c.(record.Rotation); ok && (i.Refresh == nil || i.Refresh.Family != r.Family) {
			return fmt.Errorf("a refresh token is replaced by one of its family: %w", fault.Internal)
		}
	}
	return nil
}

// admit checks the subject, whose row it locks, and the client.
func admit(tx *gorm.DB, i record.Issuance) error {
	u, err := lockUser(tx, i.Session.Subject, fault.UserBlocked)
	if err != nil {
		return err
	}
	if u.BlockedAt != 0 {
		return fault.UserBlocked
	}
	if err := admitClient(tx, i); err != nil {
		return err
	}
	return sameSecret(tx, i)
}

// admitClient checks the client.
func admitClient(tx *gorm.DB, i record.Issuance) error {
	var c clientRow
	if err := tx.Where("id = ?", i.Session.Client).Take(&c).Error; err != nil {
		return found(fault.BadClient, "find the client", err)
	}
	if c.Disabled != 0 {
		return fault.BadClient
	}
	return nil
}

// sameSecret refuses a login whose password was changed after it was proved: what
// somebody with the old one began must not be finished. It compares the very
// change that was seen, so no clock is asked.
func sameSecret(tx *gorm.DB, i record.Issuance) error {
	var changed []stamp
	if err := tx.Raw("SELECT changed_at FROM passwords WHERE user_id = ?", i.Session.Subject).Scan(&changed).Error; err != nil {
		return err
	}
	for _, p := range i.Session.Proofs {
		if !p.PasswordAt.IsZero() && !slices.Contains(changed, at(p.PasswordAt)) {
			return fmt.Errorf("the password was changed: %w", fault.MalformedMFAToken)
		}
	}
	return nil
}

// endFailures ends the user's counts of wrong and of refused second factors, and so the
// waits, with a login that a second factor completed; the authenticator's own ended with
// what it consumed. Those of the last day, or hour, stay: no login resets them.
func endFailures(tx *gorm.DB, i record.Issuance) error {
	for _, c := range i.Consumes {
		if r, ok := c.(record.Redemption); ok && r.Kind == transactionKind {
			if err := tx.Exec("UPDATE sessions SET failures = 0 WHERE id = ?", i.Session.ID).Error; err != nil {
				return err
			}
			if err := endRefusals(tx, i.Session.Subject, r.Hash, pushClosed); err != nil {
				return err
			}
			return tx.Exec("UPDATE user_failures SET failures = 0 WHERE user_id = ?", i.Session.Subject).Error
		}
	}
	return nil
}

// AccessTokenActive implements record.Store.
func (s *Store) AccessTokenActive(ctx context.Context, id string, now time.Time) (bool, error) {
	return accessTokenActive(s.reader.WithContext(ctx), id, now)
}

func accessTokenActive(db *gorm.DB, id string, now time.Time) (bool, error) {
	var n int64
	err := db.Raw(`SELECT COUNT(*) FROM access_tokens t
		JOIN clients c ON c.id = t.client_id
		LEFT JOIN sessions s ON s.id = t.session_id
		LEFT JOIN users u ON u.id = t.user_id
		WHERE t.id = ? AND t.expires_at > ? AND t.revoked_at = 0 AND c.disabled_at = 0
			AND COALESCE(s.revoked_at, 0) = 0
			AND COALESCE(u.blocked_at, 0) = 0 AND COALESCE(u.deleted_at, 0) = 0`, id, at(now)).Scan(&n).Error
	return n == 1, failed("check an access token", err)
}
