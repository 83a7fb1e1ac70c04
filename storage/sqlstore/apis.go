package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/record"
)

type apiRow struct {
	Audience   string `gorm:"primaryKey"`
	Definition string
	ManagedBy  string
	Created    stamp `gorm:"column:created_at"`
	Updated    stamp `gorm:"column:updated_at"`
}

// TableName implements gorm's schema.Tabler.
func (apiRow) TableName() string { return "apis" }

// APIs returns every API, in the order of their audiences.
func (s *Store) APIs(ctx context.Context) ([]record.API, error) {
	var rows []apiRow
	if err := s.reader.WithContext(ctx).Order("audience").Find(&rows).Error; err != nil {
		return nil, failed("list APIs", err)
	}
	apis := make([]record.API, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal([]byte(r.Definition), &apis[i]); err != nil {
			return nil, failed("read an API", err)
		}
		apis[i].ManagedBy = record.ManagedBy(r.ManagedBy)
	}
	return apis, nil
}

// SaveAPI adds or changes an API and reports whether anything changed. What was made
// in another way is not changed from a file.
func (s *Store) SaveAPI(ctx context.Context, a record.API, e audit.Event) (bool, error) {
	definition, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("sqlstore: encode an API: %w", err)
	}
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		now := at(s.now())
		row := apiRow{Audience: a.Audience, Created: now}
		err := tx.Where("audience = ?", a.Audience).Take(&row).Error
		if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
			return false, err
		}
		same := row.Definition == string(definition) && row.ManagedBy == string(a.ManagedBy)
		if same || others(row.ManagedBy, a.ManagedBy) {
			return false, nil
		}
		row.Definition, row.ManagedBy, row.Updated = string(definition), string(a.ManagedBy), now
		return true, tx.Save(&row).Error
	})
}
