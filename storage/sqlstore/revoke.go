package sqlstore

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

var _ record.Revoker = (*Store)(nil)

// A holder says whose a token is. A client's own has neither user nor session.
type holder struct {
	ClientID  string
	UserID    *string
	SessionID *string
	FamilyID  string // of a refresh token
}

// Revoke implements record.Revoker.
func (s *Store) Revoke(ctx context.Context, r record.Revocation) error {
	return s.transact(ctx, "revoke", func(tx *gorm.DB) error {
		h, err := holderOf(tx, r)
		switch {
		case errors.Is(err, gorm.ErrRecordNotFound):
			return nil
		case err != nil:
			return err
		case h.ClientID != r.Client:
			return fault.ForeignToken
		}
		// What issues locks the user as well: no token comes out of a family behind its end.
		if h.UserID != nil {
			if _, err := lockUser(tx, *h.UserID, fault.NotFound); err != nil && !errors.Is(err, fault.NotFound) {
				return err
			}
			r.Event.Subject = *h.UserID
		}
		if h.SessionID != nil {
			r.Event.Session = *h.SessionID
		}
		ended, err := end(tx, h, r)
		if err != nil || ended == 0 {
			return err
		}
		return s.record(tx, r.Event)
	})
}

// holderOf finds the token that is to end.
func holderOf(tx *gorm.DB, r record.Revocation) (holder, error) {
	find := tx.Table("refresh_tokens t").Select("f.client_id, f.user_id, f.session_id, t.family_id").
		Joins("JOIN refresh_families f ON f.id = t.family_id").Where("t.hash = ?", r.Refresh)
	if r.Access != "" {
		find = tx.Table("access_tokens").Select("client_id, user_id, session_id").Where("id = ?", r.Access)
	}
	var h holder
	err := find.Take(&h).Error
	return h, err
}

// end revokes what the holder has, and counts it.
func end(tx *gorm.DB, h holder, r record.Revocation) (int64, error) {
	now := at(r.Event.At)
	if r.Access != "" {
		// With it goes what was had for it, and for that.
		done := tx.Exec(`WITH RECURSIVE family(id) AS (
				SELECT CAST(? AS TEXT) UNION SELECT t.id FROM access_tokens t JOIN family f ON t.parent = f.id)
			UPDATE access_tokens SET revoked_at = ? WHERE id IN (SELECT id FROM family) AND revoked_at = 0`, r.Access, now)
		return done.RowsAffected, done.Error
	}
	family := tx.Exec("UPDATE refresh_families SET revoked_at = ? WHERE id = ? AND revoked_at = 0", now, h.FamilyID)
	if family.Error != nil {
		return 0, family.Error
	}
	session := tx.Exec("UPDATE sessions SET revoked_at = ? WHERE id = ? AND revoked_at = 0", now, h.SessionID)
	return family.RowsAffected + session.RowsAffected, session.Error
}
