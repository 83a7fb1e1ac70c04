package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

type sessionRow struct {
	ID       string
	UserID   string
	ClientID string
	Created  stamp `gorm:"column:created_at"`
	AuthTime stamp
	Expires  stamp `gorm:"column:expires_at"`
	Revoked  stamp `gorm:"column:revoked_at"`
}

// TableName implements gorm's schema.Tabler.
func (sessionRow) TableName() string { return "sessions" }

type proofRow struct {
	SessionID       string
	N               int
	Methods         list
	AuthenticatorID string
	At              stamp
}

// TableName implements gorm's schema.Tabler.
func (proofRow) TableName() string { return "session_proofs" }

func (p proofRow) equal(o proofRow) bool {
	return slices.Equal(p.Methods, o.Methods) && p.AuthenticatorID == o.AuthenticatorID && p.At == o.At
}

// keepSession makes the session, or adds the proofs that it does not have yet. A
// session that was revoked or swept, or is another subject's, takes no proof:
// fault.NotFound.
func keepSession(tx *gorm.DB, i record.Issuance) error {
	row := sessionRow{
		ID: i.Session.ID, UserID: i.Session.Subject, ClientID: i.Session.Client,
		Created: at(i.Session.CreatedAt), AuthTime: at(record.AuthTime(i.Session.Proofs)), Expires: at(expiry(i)),
	}
	done := tx
	if !i.Session.CreatedAt.IsZero() {
		done = tx.Exec(`INSERT INTO sessions (id, user_id, client_id, created_at, auth_time, expires_at, revoked_at)
			VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING`,
			row.ID, row.UserID, row.ClientID, row.Created, row.AuthTime, row.Expires)
		if done.Error != nil {
			return done.Error
		}
	}
	if i.Session.CreatedAt.IsZero() || done.RowsAffected == 0 {
		done = tx.Exec(`UPDATE sessions SET auth_time = CASE WHEN auth_time < ? THEN ? ELSE auth_time END,
				expires_at = CASE WHEN expires_at < ? THEN ? ELSE expires_at END
			WHERE id = ? AND user_id = ? AND client_id = ? AND revoked_at = 0`,
			row.AuthTime, row.AuthTime, row.Expires, row.Expires, row.ID, row.UserID, row.ClientID)
	}
	if done.Error != nil {
		return done.Error
	}
	if done.RowsAffected == 0 {
		return fmt.Errorf("the session is over: %w", fault.NotFound)
	}
	return keepProofs(tx, i.Session)
}

// expiry is when the last token of an issuance is over.
func expiry(i record.Issuance) time.Time {
	last := i.At
	if i.Access.ExpiresAt.After(last) {
		last = i.Access.ExpiresAt
	}
	if i.Refresh != nil && i.Refresh.ExpiresAt.After(last) {
		last = i.Refresh.ExpiresAt
	}
	return last
}

// endSessions revokes every session of a user and with them their tokens.
func (s *Store) endSessions(tx *gorm.DB, userID string) error {
	return tx.Exec("UPDATE sessions SET revoked_at = ? WHERE user_id = ? AND revoked_at = 0", at(s.now()), userID).Error
}

func keepProofs(tx *gorm.DB, s record.Session) error {
	var kept []proofRow
	if err := tx.Where("session_id = ?", s.ID).Order("n").Find(&kept).Error; err != nil {
		return err
	}
	n := len(kept)
	for _, p := range s.Proofs {
		row := proofRow{SessionID: s.ID, N: n, Methods: p.Methods, AuthenticatorID: p.Authenticator, At: at(p.At)}
		if slices.ContainsFunc(kept, row.equal) {
			continue
		}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		n++
	}
	return nil
}

var _ record.Sessions = (*Store)(nil)

// Session implements record.Sessions.
func (s *Store) Session(ctx context.Context, id string) (record.Session, error) {
	return session(s.reader.WithContext(ctx), id)
}

func session(db *gorm.DB, id string) (record.Session, error) {
	var row sessionRow
	if err := db.Where("id = ? AND revoked_at = 0", id).Take(&row).Error; err != nil {
		return record.Session{}, found(fault.NotFound, "find the session", err)
	}
	var proofs []proofRow
	if err := db.Where("session_id = ?", id).Order("n").Find(&proofs).Error; err != nil {
		return record.Session{}, failed("read the proofs", err)
	}
	out := record.Session{ID: row.ID, Subject: row.UserID, Client: row.ClientID, CreatedAt: row.Created.time()}
	for _, p := range proofs {
		out.Proofs = append(out.Proofs, record.Proof{Methods: p.Methods, Authenticator: p.AuthenticatorID, At: p.At.time()})
	}
	return out, nil
}
