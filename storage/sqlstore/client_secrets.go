package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
)

// liveSecrets is how many secrets of a client are good at a time, at most.
const liveSecrets = 2

// AddClientSecret makes one more secret of a client good, by its hash. It reports false,
// and does nothing, when two are good already. It fails with fault.NotFound.
func (s *Store) AddClientSecret(ctx context.Context, id, hash string, e audit.Event) (bool, error) {
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		kept, err := secretsOf(tx, id)
		if err != nil || len(kept) >= liveSecrets {
			return false, err
		}
		created := at(s.now())
		for _, k := range kept {
			created = max(created, k.Created+1) // it is the newest, whatever the clock says
		}
		return true, tx.Create(&clientSecretRow{ClientID: id, Hash: hash, Created: created}).Error
	})
}

// DropOldSecrets ends all secrets of a client but the newest. It reports false when there
// are no others. It fails with fault.NotFound.
func (s *Store) DropOldSecrets(ctx context.Context, id string, e audit.Event) (bool, error) {
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		kept, err := secretsOf(tx, id)
		if err != nil || len(kept) < liveSecrets {
			return false, err
		}
		return true, tx.Exec("DELETE FROM client_secrets WHERE client_id = ? AND hash <> ?", id, kept[0].Hash).Error
	})
}

// secretsOf lists the secrets of a client, the newest first.
func secretsOf(tx *gorm.DB, id string) ([]clientSecretRow, error) {
	var c clientRow
	if err := tx.Where("id = ?", id).Take(&c).Error; err != nil {
		return nil, found(fault.NotFound, "find the client", err)
	}
	var kept []clientSecretRow
	return kept, tx.Where("client_id = ?", id).Order("created_at DESC, hash").Find(&kept).Error
}
