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
