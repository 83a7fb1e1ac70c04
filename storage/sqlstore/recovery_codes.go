package sqlstore

import (
	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/mfa"
)

// usedCodes is how many used codes are remembered for the answer "used" instead of
// "wrong".
const usedCodes = 20

type recoveryCodeRow struct {
	AuthenticatorID string
	Hash            string
	Generation      int64
	Created         stamp `gorm:"column:created_at"`
	Used            stamp `gorm:"column:used_at"`
}

// TableName implements gorm's schema.Tabler.
func (recoveryCodeRow) TableName() string { return "recovery_codes" }

// recoveryCodes reads all live codes of the authenticators and the latest used ones.
func recoveryCodes(db *gorm.DB, of []authenticatorRow) (map[string][]mfa.LookupSecret, error) {
	var ids []string
	for _, r := range of {
		if r.Type == string(mfa.RecoveryCode) {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []recoveryCodeRow
	err := db.Raw(`SELECT authenticator_id, hash, used_at FROM recovery_codes WHERE authenticator_id IN ? AND used_at = 0
		UNION ALL SELECT authenticator_id, hash, used_at FROM (SELECT * FROM recovery_codes WHERE authenticator_id IN ? AND used_at <> 0
			ORDER BY used_at DESC, hash LIMIT ?) AS used`, ids, ids, usedCodes).Scan(&rows).Error
	codes := map[string][]mfa.LookupSecret{}
	for _, r := range rows {
		codes[r.AuthenticatorID] = append(codes[r.AuthenticatorID], mfa.LookupSecret{Hash: r.Hash, Used: r.Used != 0})
	}
	return codes, err
}

// addCodes stores the codes of a new authenticator, the first generation of its set.
func addCodes(tx *gorm.DB, a mfa.Authenticator) error {
	if len(a.Codes) == 0 {
		return nil
	}
	rows := make([]recoveryCodeRow, len(a.Codes))
	for i, c := range a.Codes {
		rows[i] = recoveryCodeRow{AuthenticatorID: a.ID, Hash: c.Hash, Generation: 1, Created: at(a.CreatedAt)}
		if c.Used {
			rows[i].Used = at(a.CreatedAt)
		}
	}
	return tx.Create(&rows).Error
}
