package sqlstore

import (
	"fmt"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

type accessTokenRow struct {
	ID            string
	SessionID     *string
	ClientID      string
	UserID        *string
	Audience      list
	Scopes        list
	Issued        stamp `gorm:"column:issued_at"`
	Expires       stamp `gorm:"column:expires_at"`
	Revoked       stamp `gorm:"column:revoked_at"`
	KeyThumbprint *string
	Parent        *string
}

// TableName implements gorm's schema.Tabler.
func (accessTokenRow) TableName() string { return "access_tokens" }

type refreshTokenRow struct {
	Hash        string
	FamilyID    string
	Audience    list
	Scopes      list
	Issued      stamp `gorm:"column:issued_at"`
	Expires     stamp `gorm:"column:expires_at"`
	Used        stamp `gorm:"column:used_at"`
	FurtherUses int
}

// TableName implements gorm's schema.Tabler.
func (refreshTokenRow) TableName() string { return "refresh_tokens" }

// keepAccess adds the access token, unless the outcome of the login is not a token.
func keepAccess(tx *gorm.DB, i record.Issuance) error {
	if i.Access.ID == "" {
		return nil
	}
	return tx.Create(&accessTokenRow{
		ID: i.Access.ID, SessionID: optional(i.Session.ID), ClientID: i.Session.Client,
		UserID: optional(i.Session.Subject), Audience: i.Access.Audience, Scopes: i.Access.Scopes,
		Issued: at(i.At), Expires: at(i.Access.ExpiresAt), KeyThumbprint: optional(i.Access.KeyThumbprint),
		Parent: optional(i.Access.Parent),
	}).Error
}

// keepRefresh adds a refresh token to its family, which the first token makes. A
// family that was revoked, or is another session's, takes no token: fault.NotFound.
func keepRefresh(tx *gorm.DB, i record.Issuance) error {
	if i.Refresh == nil {
		return nil
	}
	r := *i.Refresh
	err := tx.Exec(`INSERT INTO refresh_families
		(id, session_id, client_id, user_id, created_at, expires_at, revoked_at, key_thumbprint)
		VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING`,
		r.Family, i.Session.ID, i.Session.Client, i.Session.Subject, at(i.At), at(r.ExpiresAt),
		optional(r.KeyThumbprint)).Error
	if err != nil {
		return err
	}
	var live int64
	err = tx.Raw(`SELECT COUNT(*) FROM refresh_families
		WHERE id = ? AND session_id = ? AND client_id = ? AND user_id = ? AND revoked_at = 0`,
		r.Family, i.Session.ID, i.Session.Client, i.Session.Subject).Scan(&live).Error
	if err != nil {
		return err
	}
	if live == 0 {
		return fmt.Errorf("the refresh family is over: %w", fault.NotFound)
	}
	return tx.Create(&refreshTokenRow{
		Hash: r.Hash, FamilyID: r.Family, Audience: r.Audience, Scopes: r.Scopes,
		Issued: at(i.At), Expires: at(r.ExpiresAt),
	}).Error
}
