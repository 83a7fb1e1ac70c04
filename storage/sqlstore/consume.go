package sqlstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

// A consumer applies one consumption by a conditional statement and reports whether
// it was there to be consumed.
type consumer func(tx *gorm.DB, i record.Issuance) (bool, error)

var _ record.Receiver = (*Store)(nil)

// usable is the condition that an authenticator can finish a login of a user.
const usable = "user_id = ? AND confirmed_at <> 0 AND disabled_at = 0 AND deleted_at = 0"

// consume applies what the issuance uses up, in its order: a confirmation makes the
// authenticator usable for the step that follows it.
func consume(tx *gorm.DB, i record.Issuance) error {
	for _, c := range i.Consumes {
		first, err := consuming(c)(tx, i)
		if err != nil {
			return err
		}
		if !first {
			return fmt.Errorf("%T: %w", c, c.Spent())
		}
	}
	return nil
}

// consuming returns what consumes c, or nil when that is unknown here.
func consuming(c record.Consumption) consumer {
	switch c := c.(type) {
	case record.Redemption:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return finish(tx, i, c) }
	case record.Rotation:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return rotate(tx, i, c) }
	case record.StepUse:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return useStep(tx, i, c) }
	case record.CodeUse:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return useCode(tx, i, c) }
	case record.Approval:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return useApproval(tx, i, c) }
	case record.BindingCode:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return useBindingCode(tx, i, c) }
	case record.InHand:
		return func(tx *gorm.DB, _ record.Issuance) (bool, error) { return unrevoked(tx, c.Access) }
	case record.NoFactor:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) {
			factors, err := active(tx, i.Session.Subject)
			return factors == 0, err
		}
	case record.Confirmation:
		return func(tx *gorm.DB, i record.Issuance) (bool, error) { return confirm(tx, i, c) }
	default:
		return nil
	}
}

// unrevoked reports whether an access token was issued and not revoked. One that was swept
// is longer over than anything that could rest on it.
func unrevoked(db *gorm.DB, id string) (bool, error) {
	var n int64
	err := db.Model(&accessTokenRow{}).Where("id = ? AND revoked_at = 0", id).Count(&n).Error
	return n == 1, err
}

func redeem(tx *gorm.DB, r record.Redemption) (bool, error) {
	done := tx.Exec("INSERT INTO redemptions (kind, hash, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		r.Kind, r.Hash, at(r.ExpiresAt))
	return done.RowsAffected == 1, done.Error
}

// Redeem implements record.Redeemer.
func (s *Store) Redeem(ctx context.Context, r record.Redemption) (bool, error) {
	first := false
	err := s.transact(ctx, "redeem", func(tx *gorm.DB) (err error) {
		first, err = redeem(tx, r)
		return err
	})
	return first && err == nil, err
}

// Receive implements record.Receiver.
func (s *Store) Receive(ctx context.Context, r record.Redemption, e audit.Event) (bool, error) {
	first := false
	err := s.transact(ctx, "receive", func(tx *gorm.DB) (err error) {
		if first, err = redeem(tx, r); err != nil || !first {
			return err
		}
		return s.record(tx, e)
	})
	return first && err == nil, err
}

func useStep(tx *gorm.DB, i record.Issuance, u record.StepUse) (bool, error) {
	done := tx.Exec(`UPDATE authenticators SET last_step = ?, failures = 0, last_auth_at = ?
		WHERE id = ? AND last_step < ? AND `+usable, u.Step, at(i.At), u.Authenticator, u.Step, i.Session.Subject)
	return done.RowsAffected == 1, done.Error
}

// The kinds of redemptions of transactions and of out-of-band challenges.
const (
	transactionKind = "mfa_token"
	challengeKind   = "oob_code"
)

// finish redeems a handle, unless it is that of a login that its subject has reported.
func finish(tx *gorm.DB, i record.Issuance, r record.Redemption) (bool, error) {
	if r.Kind == transactionKind {
		var voided int64
		err := tx.Raw("SELECT COUNT(*) FROM pushes WHERE user_id = ? AND voided_at <> 0 AND voided_at >= ?",
			i.Session.Subject, at(r.Began)).Scan(&voided).Error
		if err != nil || voided > 0 {
			return false, err
		}
	}
	return redeem(tx, r)
}

// useApproval redeems an approved challenge, unless somebody did before, or said no. It is
// not live after that, even if it was never answered here.
func useApproval(tx *gorm.DB, i record.Issuance, a record.Approval) (bool, error) {
	first, err := redeem(tx, record.Redemption{Kind: challengeKind, Hash: a.Challenge, ExpiresAt: a.ExpiresAt})
	if err != nil || !first {
		return false, err
	}
	if err := endRefusals(tx, i.Session.Subject, a.Challenge, pushApproved); err != nil {
		return false, err
	}
	return succeed(tx, i, a.Authenticator)
}

// succeed ends the failures of an authenticator, if it can finish a login.
func succeed(tx *gorm.DB, i record.Issuance, id string) (bool, error) {
	done := tx.Exec("UPDATE authenticators SET failures = 0, last_auth_at = ? WHERE id = ? AND "+usable,
		at(i.At), id, i.Session.Subject)
	return done.RowsAffected == 1, done.Error
}

func useCode(tx *gorm.DB, i record.Issuance, u record.CodeUse) (bool, error) {
	if ok, err := succeed(tx, i, u.Authenticator); err != nil || !ok {
		return false, err
	}
	done := tx.Exec("UPDATE recovery_codes SET used_at = ? WHERE authenticator_id = ? AND hash = ? AND used_at = 0",
		at(i.At), u.Authenticator, u.Hash)
	if done.Error != nil || done.RowsAffected != 1 || u.Replacement == "" {
		return done.RowsAffected == 1, done.Error
	}
	return true, tx.Exec(`INSERT INTO recovery_codes (authenticator_id, hash, generation, created_at, used_at)
		SELECT authenticator_id, ?, generation, used_at, 0 FROM recovery_codes
		WHERE authenticator_id = ? AND hash = ?`, u.Replacement, u.Authenticator, u.Hash).Error
}

// active counts the factors that a user has, as mfa.Enrolled does.
func active(tx *gorm.DB, userID string) (int64, error) {
	var n int64
	err := tx.Model(&authenticatorRow{}).Where("user_id = ? AND confirmed_at <> 0 AND deleted_at = 0 AND type <> ? AND origin <> ?",
		userID, mfa.RecoveryCode, originAutomatic).Count(&n).Error
	return n, err
}

// confirm activates a pending authenticator and its twins. The user's row is locked,
// so that of two enrollments that want to be the first the later one sees the other. What
// an access token associated ends with its revocation. A device that has not enrolled is
// none yet: its authenticator waits on when its twin is confirmed.
func confirm(tx *gorm.DB, i record.Issuance, c record.Confirmation) (bool, error) {
	const pending = `user_id = ? AND handle = ? AND confirmed_at = 0 AND deleted_at = 0 AND expires_at > ?
		AND NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.id = handle AND t.revoked_at <> 0)
		AND (channel <> '` + pushChannel + `' OR EXISTS (SELECT 1 FROM devices d WHERE d.authenticator_id = authenticators.id))`
	if c.First {
		if factors, err := active(tx, i.Session.Subject); err != nil || factors > 0 {
			return false, err
		}
	}
	var rows []authenticatorRow
	err := tx.Where(pending, i.Session.Subject, c.Handle, at(i.At)).Order("created_at DESC, id DESC").Find(&rows).Error
	if err != nil {
		return false, err
	}
	ids := confirmed(rows, c.Authenticator)
	if len(ids) == 0 {
		return false, nil
	}
	codes, err := confirmedCodes(tx, rows, ids, i.Session.Subject)
	if err != nil {
		return false, err
	}
	ids = append(ids, codes...)
	done := tx.Exec("UPDATE authenticators SET confirmed_at = ? WHERE id IN ? AND "+pending,
		at(i.At), ids, i.Session.Subject, c.Handle, at(i.At))
	return done.RowsAffected == int64(len(ids)), done.Error
}

// confirmed names the authenticator to confirm and its twins among the pending ones.
func confirmed(pending []authenticatorRow, id string) []string {
	var self *authenticatorRow
	for k := range pending {
		if pending[k].ID == id && pending[k].Type != string(mfa.RecoveryCode) {
			self = &pending[k]
		}
	}
	if self == nil {
		return nil
	}
	ids := []string{id}
	for _, r := range pending {
		if r.ID != id && r.Type != string(mfa.RecoveryCode) && r.GroupID != "" && r.GroupID == self.GroupID {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// confirmedCodes names the recovery codes that become active with the authenticator,
// if the user has none yet: those that were associated together with it, else the
// latest.
func confirmedCodes(tx *gorm.DB, pending []authenticatorRow, with []string, userID string) ([]string, error) {
	var active int64
	err := tx.Model(&authenticatorRow{}).Where("user_id = ? AND confirmed_at <> 0 AND deleted_at = 0 AND type = ?",
		userID, mfa.RecoveryCode).Count(&active).Error
	if err != nil || active > 0 {
		return nil, err
	}
	var associated stamp
	for _, r := range pending {
		if r.ID == with[0] {
			associated = r.Created
		}
	}
	var chosen []string
	for _, r := range pending {
		together := r.Created == associated
		if r.Type == string(mfa.RecoveryCode) && (together || chosen == nil) {
			chosen = []string{r.ID}
			if together {
				break
			}
		}
	}
	return chosen, nil
}
