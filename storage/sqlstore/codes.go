package sqlstore

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// A codeRow says which challenge of an authenticator is the live one. It stays when the code
// came back, so that the same code once more is used up, and no guess.
type codeRow struct {
	AuthenticatorID string `gorm:"primaryKey"`
	UserID          string
	Challenge       string
	Wrong           int
	Expires         stamp `gorm:"column:expires_at"`
	Unanswered      drops
}

// TableName implements gorm's schema.Tabler.
func (codeRow) TableName() string { return "codes" }

// A drop is what a message put into a bucket.
type drop struct {
	Bucket string `json:"bucket"`
	Every  int64  `json:"every"` // milliseconds
}

// drops are a list of them as a column holds it: a JSON array.
type drops []drop

// Value implements driver.Valuer.
func (d drops) Value() (driver.Value, error) {
	if d == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]drop(d))
	return string(text), err
}

// Scan implements sql.Scanner.
func (d *drops) Scan(v any) error { return scanJSON(v, (*[]drop)(d)) }

var _ oob.CodeStore = (*Store)(nil)

// AdmitCode implements oob.CodeStore. What it took stays taken when the client hangs up, or
// the message does not go out: nobody sends for nothing so.
func (s *Store) AdmitCode(ctx context.Context, a oob.CodeAsk) error {
	var refused error
	err := s.transact(ctx, "admit a message", func(tx *gorm.DB) error {
		_, err := askable(tx, a.Challenge)
		if err != nil {
			return err
		}
		if refused, err = admitCode(tx, a); err != nil {
			return err
		}
		e := a.Event
		if e.Success = refused == nil; refused != nil {
			e.Reason = fault.Of(refused).Error()
		}
		return s.record(tx, e)
	})
	if err != nil {
		return err
	}
	return refused
}

// admitCode fills the budgets, which all users share, behind the lock of the user's row and
// in one order: so nobody waits for somebody who waits in turn.
func admitCode(tx *gorm.DB, a oob.CodeAsk) (refused, failed error) {
	budgets := slices.SortedFunc(slices.Values(a.Budgets), func(x, y oob.Budget) int { return cmp.Compare(x.Name, y.Name) })
	c, now := a.Challenge, a.Event.At
	row := codeRow{AuthenticatorID: a.Authenticator.ID, UserID: c.Subject, Challenge: c.ID, Expires: at(c.ExpiresAt)}
	answers, err := answers(tx, a)
	if err != nil {
		return nil, err
	}
	var all []throttle.Bucket
	for _, b := range budgets {
		if b.Unanswered && answers {
			continue // a pump must not stop those who log in
		}
		all = append(all, b.Bucket)
		if b.Unanswered {
			row.Unanswered = append(row.Unanswered, drop{b.Name, b.Every.Milliseconds()})
		}
	}
	full, err := fill(tx, all, now)
	if err != nil {
		return nil, err
	}
	if refused := throttle.TooMany(fault.TooManyMessages, throttle.Wait(all, full, now)); refused != nil {
		return refused, nil
	}
	if err := keepAutomatic(tx, a.Authenticator, c.Subject, now); err != nil {
		return nil, err
	}
	return nil, tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "authenticator_id"}}, UpdateAll: true}).Create(&row).Error
}

// answers reports whether the last code of a confirmed authenticator came back: it was used
// since that was sent.
func answers(tx *gorm.DB, a oob.CodeAsk) (bool, error) {
	if !a.Authenticator.Active() {
		return false, nil
	}
	var rows []codeRow
	err := tx.Where("authenticator_id = ?", a.Authenticator.ID).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return err == nil, err
	}
	sent := rows[0].Expires.time().Add(-a.Challenge.ExpiresAt.Sub(a.Challenge.CreatedAt))
	return !a.Authenticator.LastAuth.Before(sent), nil
}

// liveCode is true of the one challenge whose code is worth something.
const liveCode = "authenticator_id IN ? AND user_id = ? AND challenge = ? AND wrong < ?"

// superseded refuses an attempt with a code that is not about the live challenge of its
// authenticator, and makes it a wrong one, whatever it was.
func superseded(tx *gorm.DB, a *throttle.Attempt) (refused, failed error) {
	if a.Challenge == "" {
		return nil, nil
	}
	var live int64
	err := tx.Model(&codeRow{}).Where(liveCode, a.Authenticators, a.Subject, a.Challenge, oob.MaxWrong).Count(&live).Error
	if err != nil || live > 0 {
		return nil, err
	}
	a.Wrong, a.Event.Reason = true, fault.WrongBindingCode.Error()
	return fmt.Errorf("the challenge is not live: %w", fault.WrongBindingCode), nil
}

// countCode counts a wrong code to its challenge.
func countCode(tx *gorm.DB, a throttle.Attempt) error {
	if a.Challenge == "" {
		return nil
	}
	return tx.Exec("UPDATE codes SET wrong = wrong + 1 WHERE authenticator_id IN ? AND user_id = ? AND challenge = ?",
		a.Authenticators, a.Subject, a.Challenge).Error
}

// useBindingCode redeems the live challenge of an authenticator, and gives back what its
// message took from budgets of unanswered ones.
func useBindingCode(tx *gorm.DB, i record.Issuance, b record.BindingCode) (bool, error) {
	subject := i.Session.Subject
	var rows []codeRow
	err := tx.Where(liveCode, []string{b.Authenticator}, subject, b.Challenge, oob.MaxWrong).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return false, err
	}
	first, err := redeem(tx, record.Redemption{Kind: challengeKind, Hash: b.Challenge, ExpiresAt: b.ExpiresAt})
	if err != nil || !first {
		return false, err
	}
	if same, err := sameAddress(tx, subject, b.Authenticator); err != nil || !same {
		return false, err
	}
	if err := giveBack(tx, rows[0].Unanswered); err != nil {
		return false, err
	}
	return succeed(tx, i, b.Authenticator)
}

// giveBack takes drops out of their buckets, in the order in which they were put in. What
// has leaked out by now is no less empty for it.
func giveBack(tx *gorm.DB, all drops) error {
	for _, d := range all {
		if err := tx.Exec("UPDATE password_attempts SET full_until = full_until - ? WHERE bucket = ?", d.Every, d.Bucket).Error; err != nil {
			return fmt.Errorf("give back to %s: %w", d.Bucket, err)
		}
	}
	return nil
}
