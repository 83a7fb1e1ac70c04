package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

type clientRow struct {
	ID         string
	Definition string
	ManagedBy  string
	Disabled   stamp `gorm:"column:disabled_at"`
	Created    stamp `gorm:"column:created_at"`
	Updated    stamp `gorm:"column:updated_at"`
}

// TableName implements gorm's schema.Tabler.
func (clientRow) TableName() string { return "clients" }

type clientSecretRow struct {
	ClientID string
	Hash     string
	Sealed   *string
	Created  stamp `gorm:"column:created_at"`
	Expires  stamp `gorm:"column:expires_at"`
}

// TableName implements gorm's schema.Tabler.
func (clientSecretRow) TableName() string { return "client_secrets" }

// Clients returns every client, in the order of their ids.
func (s *Store) Clients(ctx context.Context) ([]record.Client, error) {
	db := s.reader.WithContext(ctx)
	var rows []clientRow
	if err := db.Order("id").Find(&rows).Error; err != nil {
		return nil, failed("list clients", err)
	}
	var secrets []clientSecretRow
	if err := db.Where("expires_at = 0 OR expires_at > ?", at(s.now())).
		Order("created_at DESC, hash").Find(&secrets).Error; err != nil {
		return nil, failed("list clients", err)
	}
	hashes := map[string][]string{}
	for _, r := range secrets {
		hashes[r.ClientID] = append(hashes[r.ClientID], r.Hash)
	}
	clients := make([]record.Client, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal([]byte(r.Definition), &clients[i]); err != nil {
			return nil, failed("read a client", err)
		}
		clients[i].ManagedBy, clients[i].Disabled = record.ManagedBy(r.ManagedBy), r.Disabled != 0
		clients[i].SecretHashes = hashes[r.ID]
	}
	return clients, nil
}

// SaveClient adds or changes a client and its secrets, and reports whether anything
// changed. Disabled is left alone. What was made in another way is not changed from a
// file.
func (s *Store) SaveClient(ctx context.Context, c record.Client, e audit.Event) (bool, error) {
	definition, err := json.Marshal(c)
	if err != nil {
		return false, fmt.Errorf("sqlstore: encode a client: %w", err)
	}
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		now := at(s.now())
		row := clientRow{ID: c.ID, Created: now}
		err := tx.Where("id = ?", c.ID).Take(&row).Error
		if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
			return false, err
		}
		if others(row.ManagedBy, c.ManagedBy) {
			return false, nil
		}
		changed := row.Definition != string(definition) || row.ManagedBy != string(c.ManagedBy)
		if changed {
			row.Definition, row.ManagedBy, row.Updated = string(definition), string(c.ManagedBy), now
			if err := tx.Save(&row).Error; err != nil {
				return false, err
			}
		}
		replaced, err := keepSecrets(tx, c, now)
		return changed || replaced, err
	})
}

// SetClientDisabled disables a client or ends that. It fails with fault.NotFound.
func (s *Store) SetClientDisabled(ctx context.Context, id string, disabled bool, e audit.Event) error {
	_, err := s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		var row clientRow
		if err := tx.Where("id = ?", id).Take(&row).Error; err != nil {
			return false, found(fault.NotFound, "find the client", err)
		}
		if (row.Disabled != 0) == disabled {
			return false, nil
		}
		since := stamp(0)
		if disabled {
			since = at(s.now())
		}
		return true, tx.Exec("UPDATE clients SET disabled_at = ? WHERE id = ?", since, id).Error
	})
	return err
}

// keepSecrets makes the secrets of a client those that it names, and reports whether
// they were others.
func keepSecrets(tx *gorm.DB, c record.Client, now stamp) (bool, error) {
	var old []string
	if err := tx.Model(&clientSecretRow{}).Where("client_id = ?", c.ID).Pluck("hash", &old).Error; err != nil {
		return false, err
	}
	gone, fresh := without(old, c.SecretHashes), without(c.SecretHashes, old)
	for _, hash := range gone {
		if err := tx.Exec("DELETE FROM client_secrets WHERE client_id = ? AND hash = ?", c.ID, hash).Error; err != nil {
			return false, err
		}
	}
	for _, hash := range fresh {
		if err := tx.Create(&clientSecretRow{ClientID: c.ID, Hash: hash, Created: now}).Error; err != nil {
			return false, err
		}
	}
	return len(gone)+len(fresh) > 0, nil
}

// without lists the words of all that are not in some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(w string) bool { return slices.Contains(some, w) })
}

// others reports whether a file would undo what came in another way.
func others(stored string, by record.ManagedBy) bool {
	return by == record.ManagedByFile && stored == string(record.ManagedByAPI)
}
