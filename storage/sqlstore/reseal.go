package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/secret"
)

// resealBatch is how many rows are read at a time to be sealed anew.
const resealBatch = 50

// A sealedColumn is a column of secrets that are read again.
type sealedColumn struct {
	what          string // for people
	table, column string
	owner         string // a column that names the place of the secret together with the id, or ''
	purpose       string
	place         func(id, owner string) string
}

// sealedColumns are all of them.
func sealedColumns() []sealedColumn {
	return []sealedColumn{
		{"authenticators", "authenticators", "sealed_secret", "user_id", seedPurpose, sealedRow},
		{"addresses", "authenticators", "sealed_address", "user_id", addressPurpose, sealedRow},
		{"push tokens", "devices", "sealed_token", "authenticator_id", endpointPurpose, sealedRow},
		{"signing keys", "signing_keys", "sealed_private", "''", keyPurpose, func(id, _ string) string { return id }},
	}
}

// Sealed is how much a key sealed.
type Sealed struct {
	What string `json:"what"`
	Rows int64  `json:"rows"`
}

// SealedWith counts what a key sealed, and what no key of a list did.
func (s *Store) SealedWith(ctx context.Context, key string) ([]Sealed, error) {
	all, err := s.countSealed(ctx, "substr(%[1]s, 1, ?) = ?", key)
	if err != nil {
		return nil, err
	}
	last, err := s.sealedLast(ctx, key)
	if last {
		all = append(all, Sealed{What: "ends of the audit", Rows: 1})
	}
	return all, err
}

// SealedElsewhere counts what none of the keys sealed. There must not be any.
func (s *Store) SealedElsewhere(ctx context.Context, keys []string) ([]Sealed, error) {
	return s.countSealed(ctx, "%[1]s <> ''"+strings.Repeat(" AND substr(%[1]s, 1, ?) <> ?", len(keys)), keys...)
}

// countSealed counts the rows of each column that a condition on the beginnings of what
// keys sealed holds for; columns without such rows are left out.
func (s *Store) countSealed(ctx context.Context, condition string, keys ...string) ([]Sealed, error) {
	var beginnings []any
	for _, id := range keys {
		beginnings = append(beginnings, len(secret.SealedBy(id)), secret.SealedBy(id))
	}
	var all []Sealed
	for _, c := range sealedColumns() {
		var n int64
		query := "SELECT COUNT(*) FROM " + c.table + " WHERE " + fmt.Sprintf(condition, c.column)
		if err := s.reader.WithContext(ctx).Raw(query, beginnings...).Scan(&n).Error; err != nil {
			return nil, failed("count sealed secrets", err)
		}
		if n > 0 {
			all = append(all, Sealed{What: c.what, Rows: n})
		}
	}
	return all, nil
}

// Reseal seals with the key that seals now whatever another key sealed, and returns how
// many rows that were. Each row is changed by itself, and only if it is as it was read:
// nobody waits for it, and no change is lost to it, nor to another node that does the
// same.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	done := 0
	// A node that was not told yet that another key seals would undo the work of others.
	if id, _, err := s.SealingKey(ctx); err != nil || id != s.ring.Sealing() {
		return 0, err
	}
	for _, c := range sealedColumns() {
		for after, more := "", true; more; {
			var rows []sealedText
			begins := secret.SealedBy(s.ring.Sealing())
			err := s.reader.WithContext(ctx).Raw("SELECT id, "+c.owner+" AS owner, "+c.column+" AS sealed FROM "+c.table+
				" WHERE id > ? AND "+c.column+" <> '' AND substr("+c.column+", 1, ?) <> ? ORDER BY id LIMIT ?",
				after, len(begins), begins, resealBatch).Scan(&rows).Error
			if err != nil {
				return done, failed("list what to seal anew", err)
			}
			for _, r := range rows {
				changed, err := s.resealRow(ctx, c, r)
				if err != nil {
					return done, err
				}
				done += changed
				after = r.ID
			}
			more = len(rows) == resealBatch
		}
	}
	last, err := s.resealLast(ctx)
	return done + last, err
}

type sealedText struct{ ID, Owner, Sealed string }

func (s *Store) resealRow(ctx context.Context, c sealedColumn, r sealedText) (int, error) {
	place := c.place(r.ID, r.Owner)
	open, err := s.ring.Open(c.purpose, place, r.Sealed)
	if err != nil {
		return 0, failed(fmt.Sprintf("seal %s %s anew", c.what, r.ID), err)
	}
	fresh, err := s.ring.Seal(c.purpose, place, open)
	if err != nil {
		return 0, failed("seal anew", err)
	}
	var changed int64
	err = s.transact(ctx, "seal anew", func(tx *gorm.DB) error {
		set := tx.Exec("UPDATE "+c.table+" SET "+c.column+" = ? WHERE id = ? AND "+c.column+" = ?", fresh, r.ID, r.Sealed)
		changed = set.RowsAffected
		return set.Error
	})
	return int(changed), err
}
