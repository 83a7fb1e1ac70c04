package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

// What the seeds of one-time passwords are sealed for, and where codes go.
const (
	seedPurpose    = "authenticator-seed"
	addressPurpose = "authenticator-address"
)

type authenticatorRow struct {
	ID            string
	UserID        string
	Type          string
	Channel       string
	Handle        string
	GroupID       string
	Name          string
	Label         string
	Origin        string
	SealedSecret  string
	SealedAddress string
	Algorithm     string
	Digits        int
	PeriodSeconds int64
	LastStep      int64
	Failures      int
	Created       stamp `gorm:"column:created_at"`
	Confirmed     stamp `gorm:"column:confirmed_at"`
	Expires       stamp `gorm:"column:expires_at"`
	LastAuth      stamp `gorm:"column:last_auth_at"`
	Disabled      stamp `gorm:"column:disabled_at"`
	Deleted       stamp `gorm:"column:deleted_at"`
	DeletedBy     string
}

// TableName implements gorm's schema.Tabler.
func (authenticatorRow) TableName() string { return "authenticators" }

var _ mfa.AuthenticatorStore = (*Store)(nil)

// An ownerRow is what is known of where a user has mail.
type ownerRow struct {
	Email         string
	EmailVerified bool
	Since         stamp
}

// Authenticators implements mfa.AuthenticatorStore with at most two queries.
func (s *Store) Authenticators(ctx context.Context, subject string, now time.Time) ([]mfa.Authenticator, error) {
	db := s.reader.WithContext(ctx)
	rows, owner, err := listed(db, subject, now)
	if err != nil {
		return nil, failed("list authenticators", err)
	}
	codes, err := recoveryCodes(db, rows)
	if err != nil {
		return nil, failed("list recovery codes", err)
	}
	var all []mfa.Authenticator
	own := automatic(owner, subject)
	for _, r := range rows {
		a, err := s.authenticator(r)
		switch {
		case err != nil:
			return nil, failed("read an authenticator", err)
		case r.Origin == originAutomatic && a.ID == own.ID:
			own.Failures, own.LastAuth, own.DisabledAt = a.Failures, a.LastAuth, a.DisabledAt
		case r.Origin == originAutomatic: // it was the user's address once
		default:
			a.Codes = codes[a.ID]
			all = append(all, a)
		}
	}
	if own.ID == "" || slices.ContainsFunc(all, func(a mfa.Authenticator) bool { return enrolledToo(a, own) }) {
		return all, nil
	}
	if n := len(all); n > 0 && all[n-1].CreatedAt.After(own.CreatedAt) {
		own.CreatedAt = all[n-1].CreatedAt // it is the last one, in whatever order of time
	}
	return append(all, own), nil
}

// listed are the authenticators of a user, and what there is of one that was never enrolled.
func listed(db *gorm.DB, subject string, now time.Time) ([]authenticatorRow, ownerRow, error) {
	var found []struct {
		Row   authenticatorRow `gorm:"embedded"`
		Owner ownerRow         `gorm:"embedded"`
	}
	err := db.Raw(`SELECT a.id, a.user_id, a.type, a.channel, a.handle, a.group_id, a.name, a.label, a.origin, a.sealed_secret,
			a.sealed_address, a.algorithm, a.digits, a.period_seconds, a.last_step, a.failures, a.created_at, a.confirmed_at,
			a.expires_at, a.last_auth_at, a.disabled_at, u.email, u.email_verified, u.created_at AS since
		FROM users u LEFT JOIN authenticators a ON a.user_id = u.id AND a.deleted_at = 0 AND (a.confirmed_at <> 0 OR a.expires_at > ?)
		WHERE u.id = ? ORDER BY a.created_at, a.id`, at(now), subject).Scan(&found).Error
	if err != nil || len(found) == 0 {
		return nil, ownerRow{}, err
	}
	var rows []authenticatorRow
	for _, f := range found {
		if f.Row.ID != "" { // who has none has one row without
			rows = append(rows, f.Row)
		}
	}
	return rows, found[0].Owner, nil
}

// Associate implements mfa.AuthenticatorStore.
func (s *Store) Associate(ctx context.Context, c mfa.Credential, seen, pending []mfa.Authenticator, e audit.Event) error {
	return s.transact(ctx, "associate", func(tx *gorm.DB) error {
		if err := s.same(tx, c, seen); err != nil {
			return err
		}
		return s.add(tx, pending, e)
	})
}

// same wants a credential to be good still, and its subject to have what was seen. The
// lock on the user's row makes those who look and then change follow one another, and
// whoever ends a credential takes it as well.
func (s *Store) same(tx *gorm.DB, c mfa.Credential, seen []mfa.Authenticator) error {
	if _, err := lockUser(tx, c.Subject, fault.BadBearer); err != nil {
		return err
	}
	var good bool
	var err error
	if c.Transaction != nil {
		good, err = alive(tx, *c.Transaction)
	} else {
		good, err = accessTokenActive(tx, c.Handle, s.now())
	}
	switch {
	case err != nil:
		return err
	case !good:
		return fmt.Errorf("the credential has ended: %w", fault.BadBearer)
	}
	return s.unchanged(tx, c.Subject, seen)
}

// unchanged compares a user's authenticators with those that were seen. An address that
// nobody enrolled is no change.
func (s *Store) unchanged(tx *gorm.DB, userID string, seen []mfa.Authenticator) error {
	var there []authenticatorRow
	err := tx.Select("id", "confirmed_at").
		Where("user_id = ? AND deleted_at = 0 AND origin <> ? AND (confirmed_at <> 0 OR expires_at > ?)",
			userID, originAutomatic, at(s.now())).Find(&there).Error
	if err != nil {
		return err
	}
	active := map[string]bool{}
	for _, a := range seen {
		if !a.Automatic {
			active[a.ID] = a.Active()
		}
	}
	for _, r := range there {
		if was, ok := active[r.ID]; !ok || was != (r.Confirmed != 0) {
			return mfa.ErrChanged
		}
	}
	if len(there) != len(active) {
		return mfa.ErrChanged
	}
	return nil
}

func (s *Store) add(tx *gorm.DB, pending []mfa.Authenticator, e audit.Event) error {
	for _, a := range pending {
		row, err := s.authenticatorRow(a)
		if err != nil {
			return err
		}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		if err := addCodes(tx, a); err != nil {
			return err
		}
	}
	return s.record(tx, e)
}

// Remove implements mfa.AuthenticatorStore. The rows stay as tombstones.
func (s *Store) Remove(ctx context.Context, c mfa.Credential, seen []mfa.Authenticator, ids []string, e audit.Event) error {
	return s.transact(ctx, "remove an authenticator", func(tx *gorm.DB) error {
		if err := s.same(tx, c, seen); err != nil {
			return err
		}
		if _, err := s.bury(tx, c.Subject, e.Grant, ids); err != nil {
			return err
		}
		return s.record(tx, e)
	})
}

// bury makes tombstones without secrets, addresses, codes and devices of a user's
// authenticators, all of them when ids is nil, and returns their ids. An address that nobody
// enrolled goes only with all others: what was tried with it must not be forgotten sooner.
func (s *Store) bury(tx *gorm.DB, userID, by string, ids []string) (live []string, err error) {
	find := tx.Model(&authenticatorRow{}).Where("user_id = ? AND deleted_at = 0", userID)
	if ids != nil {
		find = find.Where("id IN ? AND origin <> ?", ids, originAutomatic)
	}
	if err := find.Order("created_at, id").Pluck("id", &live).Error; err != nil || len(live) == 0 {
		return nil, err
	}
	for _, of := range []string{"recovery_codes", "devices", "codes"} {
		if err := tx.Exec("DELETE FROM "+of+" WHERE authenticator_id IN ?", live).Error; err != nil {
			return nil, err
		}
	}
	if err := tx.Exec("UPDATE pushes SET answer = ? WHERE user_id = ? AND authenticator_id IN ? AND answer = ''",
		pushClosed, userID, live).Error; err != nil {
		return nil, err
	}
	return live, tx.Exec("UPDATE authenticators SET deleted_at = ?, deleted_by = ?, sealed_secret = '', sealed_address = '' WHERE id IN ?",
		at(s.now()), by, live).Error
}

// Alive implements mfa.AuthenticatorStore.
func (s *Store) Alive(ctx context.Context, t mfa.Transaction) (bool, error) {
	return alive(s.reader.WithContext(ctx), t)
}

func alive(db *gorm.DB, t mfa.Transaction) (bool, error) {
	var found []struct {
		Redeemed int64
		Changed  stamp
		Voided   stamp
	}
	err := db.Raw(`SELECT COALESCE(p.changed_at, 0) AS changed, COALESCE(l.voided_at, 0) AS voided,
			(SELECT COUNT(*) FROM redemptions WHERE kind = 'mfa_token' AND hash = ?) AS redeemed
		FROM users u JOIN clients c ON c.id = ?
			LEFT JOIN passwords p ON p.user_id = u.id LEFT JOIN pushes l ON l.user_id = u.id
		WHERE u.id = ? AND u.deleted_at = 0 AND u.blocked_at = 0 AND c.disabled_at = 0`,
		t.ID, t.Login.Client, t.Login.Subject).Scan(&found).Error
	if err != nil || len(found) == 0 || found[0].Redeemed > 0 {
		return false, failed("look at a transaction", err)
	}
	if v := found[0].Voided; v != 0 && at(t.CreatedAt) <= v {
		return false, nil
	}
	for _, p := range t.Login.Proofs {
		if !p.PasswordAt.IsZero() && at(p.PasswordAt) != found[0].Changed {
			return false, nil
		}
	}
	return continues(db, t.Login)
}

// Account implements mfa.AuthenticatorStore. Its name is the e-mail address, else the
// user name, else the id.
func (s *Store) Account(ctx context.Context, subject string) (mfa.Account, error) {
	u, err := s.user(ctx, subject)
	if err != nil {
		return mfa.Account{}, err
	}
	if u.BlockedAt != 0 {
		return mfa.Account{}, fmt.Errorf("sqlstore: read the account: %w", fault.UserBlocked)
	}
	return mfa.Account{Name: cmp.Or(u.Email, u.Username, u.ID), Verified: u.Email != "" && u.EmailVerified, Email: u.Email}, nil
}

// ResetFactors deletes every authenticator of a user and reports how many there were.
// They stay as tombstones without secrets and codes, and every session of the user
// ends: whoever holds one may be the reason. It fails with fault.NotFound.
func (s *Store) ResetFactors(ctx context.Context, userID string, e audit.Event) (int, error) {
	_, err := s.administer(ctx, &e, func(tx *gorm.DB) (bool, error) {
		if _, err := lockUser(tx, userID, fault.NotFound); err != nil {
			return false, err
		}
		var err error
		if e.Authenticators, err = s.bury(tx, userID, e.Grant, nil); err != nil || len(e.Authenticators) == 0 {
			return false, err
		}
		return true, s.endSessions(tx, userID)
	})
	return len(e.Authenticators), err
}

// sealedRow names the place of a seed or an address: one that is moved to another authenticator or
// another user does not open (N-OT-3).
func sealedRow(id, userID string) string { return id + "|" + userID }

func (s *Store) authenticatorRow(a mfa.Authenticator) (authenticatorRow, error) {
	row := authenticatorRow{
		ID: a.ID, UserID: a.Subject, Type: string(a.Type), Channel: a.Channel, Handle: a.Handle,
		GroupID: a.Group, Name: a.Name, Origin: a.Origin, Algorithm: a.Algorithm, Digits: a.Digits,
		PeriodSeconds: int64(a.Period / time.Second), LastStep: a.LastStep, Failures: a.Failures,
		Created: at(a.CreatedAt), Confirmed: at(a.ConfirmedAt), Expires: at(a.ExpiresAt),
		LastAuth: at(a.LastAuth), Disabled: at(a.DisabledAt),
	}
	var err error
	if row.SealedSecret, err = s.sealed(seedPurpose, a, a.Secret); err != nil {
		return row, err
	}
	row.SealedAddress, err = s.sealed(addressPurpose, a, a.Address)
	return row, err
}

// sealed is empty for what there is nothing of, and unsealed its reverse.
func (s *Store) sealed(purpose string, a mfa.Authenticator, t secret.Text) (string, error) {
	if t.Empty() {
		return "", nil
	}
	return s.ring.Seal(purpose, sealedRow(a.ID, a.Subject), t)
}

func (s *Store) unsealed(purpose string, r authenticatorRow, sealed string) (secret.Text, error) {
	if sealed == "" {
		return secret.Text{}, nil
	}
	return s.ring.Open(purpose, sealedRow(r.ID, r.UserID), sealed)
}

func (s *Store) authenticator(r authenticatorRow) (mfa.Authenticator, error) {
	seed, err := s.unsealed(seedPurpose, r, r.SealedSecret)
	if err != nil {
		return mfa.Authenticator{}, err
	}
	address, err := s.unsealed(addressPurpose, r, r.SealedAddress)
	if err != nil {
		return mfa.Authenticator{}, err
	}
	return mfa.Authenticator{
		ID: r.ID, Subject: r.UserID, Type: mfa.AuthenticatorType(r.Type), Channel: r.Channel,
		Name: r.Name, Group: r.GroupID, Address: address, Secret: seed, Algorithm: r.Algorithm, Digits: r.Digits,
		Period: time.Duration(r.PeriodSeconds) * time.Second, LastStep: r.LastStep,
		Origin: r.Origin, Handle: r.Handle, CreatedAt: r.Created.time(), ConfirmedAt: r.Confirmed.time(),
		ExpiresAt: r.Expires.time(), LastAuth: r.LastAuth.time(), DisabledAt: r.Disabled.time(),
		Failures: r.Failures,
	}, nil
}
