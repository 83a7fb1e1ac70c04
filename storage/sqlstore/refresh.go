package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

var _ record.RefreshTokens = (*Store)(nil)

// A renewalRow is a refresh token with what it rests on.
type renewalRow struct {
	Token     refreshTokenRow `gorm:"embedded"`
	SessionID string
	ClientID  string
	Last      stamp // when the family is over
	Revoked   stamp // when it was revoked
	Blocked   stamp // when its user was
	Deleted   stamp
}

// RefreshToken implements record.RefreshTokens.
func (s *Store) RefreshToken(ctx context.Context, hash, client string, now time.Time) (record.Renewal, error) {
	db := s.reader.WithContext(ctx)
	var row renewalRow
	err := db.Table("refresh_tokens t").Where("t.hash = ?", hash).
		Select(`t.*, f.session_id, f.client_id, f.expires_at AS last, f.revoked_at AS revoked,
			u.blocked_at AS blocked, u.deleted_at AS deleted`).
		Joins("JOIN refresh_families f ON f.id = t.family_id JOIN users u ON u.id = f.user_id").Take(&row).Error
	if err != nil {
		return record.Renewal{}, found(fault.BadRefreshToken, "find the refresh token", err)
	}
	switch {
	case row.ClientID != client:
		return record.Renewal{}, fmt.Errorf("another client's: %w", fault.BadRefreshToken)
	case row.Deleted != 0:
		return record.Renewal{}, fault.SubjectGone
	case row.Blocked != 0:
		return record.Renewal{}, fault.UserBlocked
	case row.Revoked != 0 || row.Token.Expires <= at(now):
		return record.Renewal{}, fmt.Errorf("it is over: %w", fault.BadRefreshToken)
	}
	out := record.Renewal{UsedAt: row.Token.Used.time(), Rotation: record.Rotation{
		Hash: row.Token.Hash, Family: row.Token.FamilyID, Audience: row.Token.Audience, Scopes: row.Token.Scopes, ExpiresAt: row.Last.time(),
	}}
	out.Session, err = session(db, row.SessionID)
	if errors.Is(err, fault.NotFound) {
		return record.Renewal{}, fmt.Errorf("its session is over: %w", fault.BadRefreshToken)
	}
	return out, err
}

// rotate uses up a refresh token of the issuance's session. The user's row is locked, so
// that of many uses each sees those before it.
func rotate(tx *gorm.DB, i record.Issuance, r record.Rotation) (bool, error) {
	var kept refreshTokenRow
	err := tx.Table("refresh_tokens t").Select("t.*").Joins("JOIN refresh_families f ON f.id = t.family_id").
		Where("t.hash = ? AND t.expires_at > ? AND f.id = ? AND f.session_id = ? AND f.revoked_at = 0",
			r.Hash, at(i.At), r.Family, i.Session.ID).Take(&kept).Error
	if err != nil {
		return false, found(fault.BadRefreshToken, "find the refresh token", err)
	}
	if kept.Used == 0 {
		return true, tx.Exec("UPDATE refresh_tokens SET used_at = ? WHERE hash = ?", at(i.At), r.Hash).Error
	}
	// Without a leeway no clock is asked: who waited for the lock, or runs behind, finds a
	// first use that is later than its own time.
	if r.Leeway <= 0 || kept.Used <= at(i.At.Add(-r.Leeway)) {
		return false, nil
	}
	if kept.FurtherUses >= record.FurtherUses {
		return false, fmt.Errorf("used too often within the leeway: %w", fault.BadRefreshToken)
	}
	return true, tx.Exec("UPDATE refresh_tokens SET further_uses = further_uses + 1 WHERE hash = ?", r.Hash).Error
}

// continues reports whether what a login goes on with is good still: its session, and the
// refresh token that it would use up.
func continues(db *gorm.DB, l mfa.Login) (bool, error) {
	if l.Session == "" {
		return true, nil
	}
	find := db.Table("sessions s").Where("s.id = ? AND s.revoked_at = 0", l.Session)
	if l.Rotates != nil {
		find = find.Joins("JOIN refresh_families f ON f.session_id = s.id AND f.revoked_at = 0").
			Joins("JOIN refresh_tokens t ON t.family_id = f.id AND t.used_at = 0 AND t.hash = ?", l.Rotates.Hash)
	}
	var n int64
	err := find.Count(&n).Error
	if err != nil || n != 1 || l.Access == "" {
		return n == 1 && err == nil, failed("look at a session", err)
	}
	good, err := unrevoked(db, l.Access)
	return good, failed("look at an access token", err)
}
