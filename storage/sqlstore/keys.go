package sqlstore

import (
	"context"
	"strings"
	"time"

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
	Signs         stamp `gorm:"column:signs_at"`
	Retired       stamp `gorm:"column:retired_at"`
}

// TableName implements gorm's schema.Tabler.
func (signingKeyRow) TableName() string { return "signing_keys" }

var (
	_ signer.KeyStore = (*Store)(nil)
	_ signer.Rotator  = (*Store)(nil)
)

// SigningKeys implements signer.KeyStore.
func (s *Store) SigningKeys(ctx context.Context) ([]signer.Key, error) {
	var rows []signingKeyRow
	err := s.reader.WithContext(ctx).Order("signs_at, created_at, id").Find(&rows).Error
	if err != nil {
		return nil, failed("list signing keys", err)
	}
	keys := make([]signer.Key, len(rows))
	for i, r := range rows {
		private, err := s.ring.Open(keyPurpose, r.ID, r.SealedPrivate)
		if err != nil {
			return nil, failed("read a signing key", err)
		}
		keys[i] = signer.Key{
			ID: r.ID, Algorithm: r.Algorithm, Private: private,
			CreatedAt: r.Created.time(), SignsAt: r.Signs.time(), RetiresAt: r.Retired.time(),
		}
	}
	return keys, nil
}

// AddFirstSigningKey implements signer.KeyStore.
func (s *Store) AddFirstSigningKey(ctx context.Context, k signer.Key) (bool, error) {
	e := audit.Event{At: k.CreatedAt, Type: audit.KeyCreated, Success: true, Reason: k.Algorithm + " " + k.ID}
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		var n int64
		err := tx.Model(&signingKeyRow{}).Where("algorithm = ?", k.Algorithm).Count(&n).Error
		if err != nil || n > 0 {
			return false, err
		}
		return true, s.addSigningKey(tx, k)
	})
}

// RotateSigningKeys implements signer.Rotator.
func (s *Store) RotateSigningKeys(ctx context.Context, fresh []signer.Key, retire time.Time) (bool, error) {
	e := audit.Event{At: fresh[0].CreatedAt, Type: audit.KeyCreated, Success: true, Grant: "keys rotate"}
	for _, k := range fresh {
		e.Reason = strings.TrimSpace(e.Reason + " " + k.Algorithm + " " + k.ID)
	}
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		var waiting int64
		err := tx.Model(&signingKeyRow{}).Where("signs_at > ?", at(fresh[0].CreatedAt)).Count(&waiting).Error
		if err != nil || waiting > 0 {
			return false, err
		}
		for _, k := range fresh {
			err := tx.Exec("UPDATE signing_keys SET retired_at = ? WHERE algorithm = ? AND retired_at = 0", at(retire), k.Algorithm).Error
			if err != nil {
				return false, err
			}
			if err := s.addSigningKey(tx, k); err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

func (s *Store) addSigningKey(tx *gorm.DB, k signer.Key) error {
	sealed, err := s.ring.Seal(keyPurpose, k.ID, k.Private)
	if err != nil {
		return err
	}
	var last int64
	err = tx.Raw("SELECT COALESCE(MAX(serial), 0) FROM signing_keys WHERE algorithm = ?", k.Algorithm).Scan(&last).Error
	if err != nil {
		return err
	}
	return tx.Create(&signingKeyRow{
		ID: k.ID, Algorithm: k.Algorithm, Serial: last + 1, SealedPrivate: sealed,
		Created: at(k.CreatedAt), Signs: at(k.SignsAt),
	}).Error
}
