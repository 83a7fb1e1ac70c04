package sqlstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
)

type userRow struct {
	ID            string
	Username      string
	Email         string
	EmailVerified bool
	PhoneNumber   string
	Name          string
	BlockedAt     stamp
	ManagedBy     string
	Created       stamp `gorm:"column:created_at"`
	Updated       stamp `gorm:"column:updated_at"`
	Deleted       stamp `gorm:"column:deleted_at"`
}

// TableName implements gorm's schema.Tabler.
func (userRow) TableName() string { return "users" }

func (r userRow) user() identity.User {
	return identity.User{
		ID: r.ID, Username: r.Username, Email: r.Email, EmailVerified: r.EmailVerified,
		PhoneNumber: r.PhoneNumber, Name: r.Name, Blocked: r.BlockedAt != 0, UpdatedAt: r.Updated.time(),
	}
}

var _ identity.UserStore = (*Store)(nil)

// UserByIdentifier implements identity.UserStore.
func (s *Store) UserByIdentifier(ctx context.Context, connection, normalized string) (identity.User, string, error) {
	var row struct {
		User    userRow `gorm:"embedded"`
		Hash    string
		Changed stamp
	}
	err := s.reader.WithContext(ctx).Raw(`SELECT u.id, u.username, u.email, u.email_verified, u.phone_number,
			u.name, u.blocked_at, u.updated_at, COALESCE(p.hash, '') AS hash, COALESCE(p.changed_at, 0) AS changed
		FROM identifiers i JOIN users u ON u.id = i.user_id LEFT JOIN passwords p ON p.user_id = u.id
		WHERE i.connection = ? AND i.value = ? AND u.deleted_at = 0`, connection, normalized).Take(&row).Error
	if err != nil {
		return identity.User{}, "", found(fault.NotFound, "find the user", err)
	}
	u := row.User.user()
	u.PasswordAt = row.Changed.time()
	return u, row.Hash, nil
}

// ReplacePasswordHash implements identity.UserStore. The password itself does not
// change, so changed_at stays.
func (s *Store) ReplacePasswordHash(ctx context.Context, userID, from, to string) error {
	return s.transact(ctx, "replace the password hash", func(tx *gorm.DB) error {
		return tx.Exec("UPDATE passwords SET hash = ?, cost = ? WHERE user_id = ? AND hash = ?",
			to, identity.Cost(to), userID, from).Error
	})
}

// HashOfEachCost implements identity.UserStore. It goes from one cost to the next by the
// index, so that a million users cost no more than a few.
func (s *Store) HashOfEachCost(ctx context.Context, limit int) ([]string, error) {
	var hashes []string
	last := ""
	for range limit {
		var next []struct{ Cost, Hash string }
		err := s.reader.WithContext(ctx).Raw("SELECT cost, hash FROM passwords WHERE cost > ? ORDER BY cost LIMIT 1", last).
			Scan(&next).Error
		if err != nil || len(next) == 0 {
			return hashes, failed("read the costs of hashes", err)
		}
		last = next[0].Cost
		hashes = append(hashes, next[0].Hash)
	}
	return hashes, nil
}

// User returns a user, blocked or not, or fault.NotFound.
func (s *Store) User(ctx context.Context, id string) (identity.User, error) {
	row, err := s.user(ctx, id)
	return row.user(), err
}

// UserManagedBy says who may change the user; it fails with fault.NotFound.
func (s *Store) UserManagedBy(ctx context.Context, id string) (record.ManagedBy, error) {
	row, err := s.user(ctx, id)
	return record.ManagedBy(row.ManagedBy), err
}

// Users returns up to limit users in the order of their ids, those behind the id after.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]identity.User, error) {
	var rows []userRow
	err := s.reader.WithContext(ctx).Where("id > ? AND deleted_at = 0", after).
		Order("id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, failed("list users", err)
	}
	marked, err := reported(s.reader.WithContext(ctx), rows)
	users := make([]identity.User, len(rows))
	for i, r := range rows {
		users[i] = r.user()
		users[i].Reported = marked[r.ID]
	}
	return users, failed("list users", err)
}

func (s *Store) user(ctx context.Context, id string) (userRow, error) {
	var row userRow
	err := s.reader.WithContext(ctx).Where("id = ? AND deleted_at = 0", id).Take(&row).Error
	return row, found(fault.NotFound, "find the user", err)
}
