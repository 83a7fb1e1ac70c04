package sqlstore

import (
	"context"

	"gorm.io/gorm"
)

// Setting returns a setting, empty when it was never set.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	var values []string
	err := s.reader.WithContext(ctx).Raw("SELECT value FROM settings WHERE name = ?", name).Scan(&values).Error
	if err != nil || len(values) == 0 {
		return "", failed("read a setting", err)
	}
	return values[0], nil
}

// SetSetting keeps a setting.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	return s.transact(ctx, "keep a setting", func(tx *gorm.DB) error {
		return tx.Exec(`INSERT INTO settings (name, value) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value).Error
	})
}

// Applied reports whether the file of that name and digest is the one that was applied
// last. The digest is kept under a MAC: it covers passwords that could be guessed.
func (s *Store) Applied(ctx context.Context, name, digest string) (bool, error) {
	mac, err := s.Setting(ctx, appliedPrefix+name)
	return err == nil && s.ring.CheckMAC(mac, appliedPurpose, name, digest), err
}

// SetApplied notes that the file was applied.
func (s *Store) SetApplied(ctx context.Context, name, digest string) error {
	mac, err := s.ring.MAC(appliedPurpose, name, digest)
	if err != nil {
		return failed("note an applied file", err)
	}
	return s.SetSetting(ctx, appliedPrefix+name, mac)
}

const (
	appliedPrefix  = "applied:" // and the name of the tenant
	appliedPurpose = "applied-file"
)
