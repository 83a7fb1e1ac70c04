package sqlstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
)

// CreateUser adds a user of the default connection with a password hash, or without a
// password when that is empty. An id, user name or e-mail address that is taken is
// fault.BadRequest with the parameter in question; the id of a user who was deleted is
// never given again: fault.SubjectGone.
func (s *Store) CreateUser(
	ctx context.Context, u identity.User, passwordHash string, by record.ManagedBy, e audit.Event,
) error {
	now := at(s.now())
	row := userRow{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified,
		PhoneNumber: u.PhoneNumber, Name: u.Name, ManagedBy: string(by), Created: now, Updated: now,
	}
	if u.Blocked {
		row.BlockedAt = now
	}
	_, err := s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		var same []userRow
		if err := tx.Where("id = ?", u.ID).Find(&same).Error; err != nil {
			return false, err
		}
		switch {
		case len(same) > 0 && same[0].Deleted != 0:
			return false, fault.SubjectGone
		case len(same) > 0:
			return false, fault.Param(fault.BadRequest, "id")
		}
		if err := tx.Create(&row).Error; err != nil {
			return false, err
		}
		if err := identify(tx, u); err != nil || passwordHash == "" {
			return true, err
		}
		return true, s.keepPassword(tx, u.ID, passwordHash)
	})
	return err
}

// UpdateUser changes names and addresses, and reports whether anything did. It leaves
// the password and the blocking alone. It fails with fault.NotFound, or as CreateUser
// when a user name or address is taken.
func (s *Store) UpdateUser(ctx context.Context, u identity.User, e audit.Event) (bool, error) {
	return s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		old, err := lockUser(tx, u.ID, fault.NotFound)
		if err != nil {
			return false, err
		}
		row := old
		row.Username, row.Email, row.EmailVerified = u.Username, u.Email, u.EmailVerified
		row.PhoneNumber, row.Name = u.PhoneNumber, u.Name
		if row == old {
			return false, nil
		}
		row.Updated = at(s.now())
		if err := tx.Save(&row).Error; err != nil {
			return false, err
		}
		return true, identify(tx, u)
	})
}

// SetUserBlocked blocks a user or ends that. It fails with fault.NotFound.
func (s *Store) SetUserBlocked(ctx context.Context, id string, blocked bool, e audit.Event) error {
	_, err := s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		u, err := lockUser(tx, id, fault.NotFound)
		if err != nil || (u.BlockedAt != 0) == blocked {
			return false, err
		}
		since := stamp(0)
		if blocked {
			since = at(s.now())
		}
		return true, tx.Exec("UPDATE users SET blocked_at = ? WHERE id = ?", since, id).Error
	})
	return err
}

// DeleteUser ends everything of a user's and forgets who it was; what is left is the id,
// which no other user may have, and the record. It fails with fault.NotFound.
func (s *Store) DeleteUser(ctx context.Context, id string, e audit.Event) error {
	_, err := s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		if _, err := lockUser(tx, id, fault.NotFound); err != nil {
			return false, err
		}
		if _, err := s.bury(tx, id, e.Grant, nil); err != nil {
			return false, err
		}
		if err := s.endSessions(tx, id); err != nil {
			return false, err
		}
		for _, of := range []string{"identifiers", "passwords", "user_failures", "notices", "pushes"} {
			if err := tx.Exec("DELETE FROM "+of+" WHERE user_id = ?", id).Error; err != nil {
				return false, err
			}
		}
		return true, tx.Exec(`UPDATE users SET deleted_at = ?, username = '', email = '', email_verified = false,
			phone_number = '', name = '' WHERE id = ?`, at(s.now()), id).Error
	})
	return err
}

// SetPassword gives a user another password and ends what the old one began: every
// session and login under way, and the mark of a report. It fails with fault.NotFound.
func (s *Store) SetPassword(ctx context.Context, userID, hash string, e audit.Event) error {
	_, err := s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		if _, err := lockUser(tx, userID, fault.NotFound); err != nil {
			return false, err
		}
		if err := s.endSessions(tx, userID); err != nil {
			return false, err
		}
		if err := forgive(tx, userID); err != nil {
			return false, err
		}
		return true, s.keepPassword(tx, userID, hash)
	})
	return err
}

func (s *Store) keepPassword(tx *gorm.DB, userID, hash string) error {
	return tx.Exec(`INSERT INTO passwords (user_id, hash, cost, changed_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (user_id) DO UPDATE
		SET hash = excluded.hash, cost = excluded.cost, changed_at = excluded.changed_at`,
		userID, hash, identity.Cost(hash), at(s.now())).Error
}

// identify replaces the identifiers of a user.
func identify(tx *gorm.DB, u identity.User) error {
	if err := tx.Exec("DELETE FROM identifiers WHERE user_id = ?", u.ID).Error; err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, i := range []struct{ kind, text string }{{"username", u.Username}, {"email", u.Email}} {
		if i.text == "" {
			continue
		}
		value, ok := identity.Normalize(i.text)
		if !ok {
			return fmt.Errorf("it names nobody: %w", fault.Param(fault.BadRequest, i.kind))
		}
		if seen[value] {
			continue // the address is the user name
		}
		seen[value] = true
		done := tx.Exec(`INSERT INTO identifiers (connection, value, kind, user_id) VALUES (?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, identity.DefaultConnection, value, i.kind, u.ID)
		if done.Error != nil {
			return done.Error
		}
		if done.RowsAffected == 0 {
			return fmt.Errorf("another user has it: %w", fault.Param(fault.BadRequest, i.kind))
		}
	}
	return nil
}
