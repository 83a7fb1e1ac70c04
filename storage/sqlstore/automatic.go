package sqlstore

import (
	"bytes"
	"crypto/sha256"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	// originAutomatic marks the row of an address that nobody enrolled. It counts for no
	// enrollment, and is there for what was tried with it. The address itself is that of the
	// user's row.
	originAutomatic = "automatic"
	// mailChannel is the oob_channel of mailboxes.
	mailChannel = "email"
)

// automaticID is the id of a mailbox that a user has without having enrolled it: always the
// same for the same, however it is spelled. It is empty for what is no address.
func automaticID(userID, address string) string {
	form, ok := identity.Normalize(address)
	if !ok {
		return ""
	}
	sum := sha256.Sum256([]byte(userID + "\x00" + form))
	id, err := handle.NewID(mailChannel, bytes.NewReader(sum[:]))
	if err != nil {
		return "" // the sum is long enough
	}
	return id
}

// automatic is the verified address of a user as an authenticator; it has no id if there is
// none.
func automatic(u ownerRow, userID string) mfa.Authenticator {
	if !u.EmailVerified {
		return mfa.Authenticator{}
	}
	return mfa.Authenticator{
		ID: automaticID(userID, u.Email), Subject: userID, Type: mfa.OOB, Channel: mailChannel, Name: mfa.MaskEmail(u.Email),
		Address: secret.New(u.Email), Automatic: true, Origin: originAutomatic,
		CreatedAt: u.Since.time(), ConfirmedAt: u.Since.time(),
	}
}

// enrolledToo reports whether an authenticator reaches an automatic one's mailbox, and was
// enrolled. One that is disabled did so as well: nobody goes on with the mailbox by another
// name.
func enrolledToo(a, own mfa.Authenticator) bool {
	if a.Channel != mailChannel || !a.Active() {
		return false
	}
	enrolled, ok := identity.Normalize(a.Address.Reveal())
	known, is := identity.Normalize(own.Address.Reveal())
	return ok && is && enrolled == known
}

// keepAutomatic makes the row of an address that nobody enrolled, if it has none. One that
// was taken away with all others begins anew.
func keepAutomatic(tx *gorm.DB, a mfa.Authenticator, userID string, now time.Time) error {
	if !a.Automatic {
		return nil
	}
	row := authenticatorRow{
		ID: a.ID, UserID: userID, Type: string(a.Type), Channel: a.Channel, Name: a.Name, Origin: originAutomatic,
		Created: at(now), Confirmed: at(now),
	}
	return tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}}, UpdateAll: true,
		Where: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "authenticators.deleted_at <> 0"}}},
	}).Create(&row).Error
}

// sameAddress reports whether an authenticator of a user, whose row is locked, was enrolled,
// or is the user's verified address still.
func sameAddress(tx *gorm.DB, userID, id string) (bool, error) {
	var row struct {
		Owner  ownerRow `gorm:"embedded"`
		Origin string
	}
	err := tx.Raw(`SELECT a.origin, u.email, u.email_verified, u.created_at AS since
		FROM authenticators a JOIN users u ON u.id = a.user_id WHERE a.id = ? AND u.id = ?`, id, userID).Take(&row).Error
	if err != nil {
		return false, err
	}
	return row.Origin != originAutomatic || automatic(row.Owner, userID).ID == id, nil
}
