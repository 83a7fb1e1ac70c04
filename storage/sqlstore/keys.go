package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/signer"
)

// keyPurpose is what private keys are sealed for.
const keyPurpose = "signing-key"

type signingKeyRow struct {
	ID            string
	Algorithm     string
	Serial        int64
	SealedPrivate string
	Created       stamp `gorm:"column:created_at"`
	Retired       stamp `gorm:"column:retired_at"`
}

// TableName implements gorm's schema.Tabler.
func (signingKeyRow) TableName() string { return "signing_keys" }

var _ signer.KeyStore = (*Store)(nil)

// SigningKeys implements signer.KeyStore.
func (s *Store) SigningKeys(ctx context.Context) ([]signer.Key, error) {
	var rows []signingKeyRow
	err := s.reader.WithContext(ctx).Where("retired_at = 0").Order("created_at, id").Find(&rows).Error
	if err != nil {
		return nil, failed("list signing keys", err)
	}
	keys := make([]signer.Key, len(rows))
	for i, r := range rows {
		private, err := s.ring.Open(keyPurpose, r.ID, r.SealedPrivate)
		if err != nil {
			return nil, failed("read a signing key", err)
		}
		keys[i] = signer.Key{ID: r.ID, Algorithm: r.Algorithm, Private: private, CreatedAt: r.Created.time()}
	}
	return keys, nil
}

// AddFirstSigningKey implements signer.KeyStore.
func (s *Store) AddFirstSigningKey(ctx context.Context, k signer.Key) (bool, error) {
	sealed, err := s.ring.Seal(keyPurpose, k.ID, k.Private)
	if err != nil {
		return false, failed("seal a signing key", err)
	}
	e := audit.Event{At: k.CreatedAt, Type: audit.KeyCreated, Success: true, Reason: k.Algorithm + " " + k.ID}
	return s.administer(ctx, e, func(tx *gorm.DB) (bool, error) {
		var n int64
		err := tx.Model(&signingKeyRow{}).Where("algorithm = ?", k.Algorithm).Count(&n).Error
		if err != nil || n > 0 {
			return false, err
		}
		return true, tx.Create(&signingKeyRow{
			ID: k.ID, Algorithm: k.Algorithm, Serial: 1, SealedPrivate: sealed, Created: at(k.CreatedAt),
		}).Error
	})
}
