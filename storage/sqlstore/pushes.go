package sqlstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// How a push was answered; empty: it was not.
const (
	pushApproved = "approved"
	pushDenied   = "denied"
	pushReported = "reported" // denied, and it was somebody else
	pushClosed   = "closed"   // nobody waits for an answer any more
	pushExpired  = "expired"
)

type pushesRow struct {
	UserID          string `gorm:"primaryKey"`
	Challenge       string
	Handle          string
	AuthenticatorID string
	ClientID        string
	Address         string
	Expires         stamp `gorm:"column:expires_at"`
	Answer          string
	Recent          stamps
	Refusals        int
	Refused         stamp `gorm:"column:refused_at"`
	Denied          bool
	Reported        stamp `gorm:"column:reported_at"`
	Voided          stamp `gorm:"column:voided_at"`
}

// TableName implements gorm's schema.Tabler.
func (pushesRow) TableName() string { return "pushes" }

var _ oob.Asks = (*Store)(nil)

// pushesOf reads what is known of a user, whose row is locked.
func pushesOf(tx *gorm.DB, userID string) (pushesRow, error) {
	row := pushesRow{UserID: userID, Answer: pushClosed}
	err := tx.Where("user_id = ?", userID).Limit(1).Find(&row).Error
	return row, err
}

func (r pushesRow) keep(tx *gorm.DB) error {
	return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "user_id"}}, UpdateAll: true}).Create(&r).Error
}

func (r pushesRow) history() oob.History {
	return oob.History{Recent: r.Recent.times(), Refusals: r.Refusals, RefusedAt: r.Refused.time()}
}

func (r *pushesRow) remember(h oob.History) {
	r.Recent, r.Refusals, r.Refused = stampsOf(h.Recent), h.Refusals, at(h.RefusedAt)
}

// live reports whether a device may answer still.
func (r pushesRow) live(now stamp) bool { return r.Answer == "" && r.Expires > now }

// Admit implements oob.Asks. The row of the gateway's limit, which all wait for, is taken
// behind that of the user, and only for what nothing else refuses.
func (s *Store) Admit(ctx context.Context, a oob.Ask, l oob.Limits) (oob.Admitted, error) {
	var admitted oob.Admitted
	var refused error
	err := s.transact(ctx, "admit a push", func(tx *gorm.DB) error {
		row, err := asked(tx, a)
		if err != nil {
			return err
		}
		if admitted, refused, err = row.admit(tx, a, l); err != nil {
			return err
		}
		if err := row.keep(tx); err != nil {
			return err
		}
		e := a.Event
		if e.Success = refused == nil; refused != nil {
			e.Reason = fault.Of(refused).Error()
		}
		return s.record(tx, e)
	})
	if err != nil {
		return oob.Admitted{}, err
	}
	return admitted, refused
}

// askable locks the row of a user who may be asked about a challenge, and reads the pushes.
func askable(tx *gorm.DB, c oob.Challenge) (pushesRow, error) {
	u, err := lockUser(tx, c.Subject, fault.UserBlocked)
	if err != nil {
		return pushesRow{}, err
	}
	if u.BlockedAt != 0 {
		return pushesRow{}, fault.UserBlocked
	}
	row, err := pushesOf(tx, u.ID)
	if err != nil {
		return pushesRow{}, err
	}
	if row.Voided != 0 && at(c.CreatedAt) <= row.Voided {
		return pushesRow{}, fmt.Errorf("the login was reported: %w", fault.MalformedMFAToken)
	}
	return row, nil
}

// asked reads the pushes of a user who may be asked. A live one that was not answered in its
// time is refused by that.
func asked(tx *gorm.DB, a oob.Ask) (pushesRow, error) {
	row, err := askable(tx, a.Challenge)
	if err != nil {
		return pushesRow{}, err
	}
	if row.Answer == "" && row.Expires <= at(a.Event.At) {
		row.Answer = pushExpired
		row.remember(row.history().Refused(row.Expires.time()))
	}
	return row, nil
}

// admit makes a challenge the live one, or says why not.
func (r *pushesRow) admit(tx *gorm.DB, a oob.Ask, l oob.Limits) (admitted oob.Admitted, refused, failed error) {
	c, now := a.Challenge, a.Event.At
	history := r.history()
	if r.live(at(now)) {
		if r.ClientID != c.Client || r.Address != c.Address {
			return oob.Admitted{}, throttle.TooMany(fault.TooManyMessages, r.Expires.time().Sub(now)), nil
		}
		admitted.Replaced = r.Challenge
		history = history.Refused(now)
	}
	if refused = throttle.TooMany(fault.TooManyMessages, l.Wait(history, now)); refused != nil {
		return oob.Admitted{}, refused, nil
	}
	gateway := []throttle.Bucket{l.Bucket()}
	full, failed := fill(tx, gateway, now)
	if failed != nil {
		return oob.Admitted{}, nil, failed
	}
	if refused = throttle.TooMany(fault.TooManyMessages, throttle.Wait(gateway, full, now)); refused != nil {
		return oob.Admitted{}, refused, nil
	}
	admitted.Refusals, admitted.Denied = history.Refusals, r.Denied || r.Reported != 0
	r.Challenge, r.Handle, r.AuthenticatorID, r.ClientID, r.Address = c.ID, c.Handle, c.Authenticator, c.Client, c.Address
	r.Expires, r.Answer = at(c.ExpiresAt), ""
	r.remember(history.Sent(now))
	return admitted, nil, nil
}

// Withdraw implements oob.Asks.
func (s *Store) Withdraw(ctx context.Context, c oob.Challenge) error {
	return s.transact(ctx, "withdraw a push", func(tx *gorm.DB) error {
		return tx.Exec("UPDATE pushes SET answer = ? WHERE user_id = ? AND challenge = ? AND answer = ''",
			pushClosed, c.Subject, c.ID).Error
	})
}

// Answer implements oob.Asks. What a person said counts also when the device does not wait
// to hear that.
func (s *Store) Answer(ctx context.Context, a oob.Answer) error {
	ctx, cancel := outlasting(ctx)
	defer cancel()
	c, now := a.Challenge, at(a.Event.At)
	word := pushDenied
	switch {
	case a.Approved:
		word = pushApproved
	case a.Reported:
		word = pushReported
	}
	return s.transact(ctx, "answer a push", func(tx *gorm.DB) error {
		if _, err := lockUser(tx, c.Subject, fault.NotFound); err != nil {
			return err
		}
		row, err := pushesOf(tx, c.Subject)
		switch {
		case err != nil:
			return err
		case row.Challenge == c.ID && row.Answer == word:
			return nil
		case row.Challenge != c.ID || !row.live(now):
			return fmt.Errorf("the push is not live: %w", fault.NotFound)
		}
		row.Answer = word
		if !a.Approved {
			if err := row.deny(tx, a); err != nil {
				return err
			}
		}
		if err := row.keep(tx); err != nil {
			return err
		}
		return s.record(tx, a.Event)
	})
}

// deny uses the challenge up, so that an approval of it, which a state store may bring
// back, is worth nothing. A report ends all that had begun by then.
func (r *pushesRow) deny(tx *gorm.DB, a oob.Answer) error {
	first, err := redeem(tx, record.Redemption{Kind: challengeKind, Hash: a.Challenge.ID, ExpiresAt: a.Challenge.ExpiresAt})
	if err != nil {
		return err
	}
	if !first {
		return fmt.Errorf("the push was redeemed: %w", fault.NotFound)
	}
	r.Denied = true
	r.remember(r.history().Refused(a.Event.At))
	if a.Reported {
		r.Reported, r.Voided = at(a.Event.At), at(a.Event.At)
	}
	return nil
}

// endRefusals ends the refusals in a row of a user who completed a login, and what is live
// of it: the challenge, or that of the transaction, with this id.
func endRefusals(tx *gorm.DB, userID, id, answer string) error {
	return tx.Exec(`UPDATE pushes SET refusals = 0, denied = false,
			answer = CASE WHEN answer = '' AND (challenge = ? OR handle = ?) THEN ? ELSE answer END
		WHERE user_id = ?`, id, id, answer, userID).Error
}

// forgive ends the mark of a user whose password is another now: whoever was reported does
// not know it.
func forgive(tx *gorm.DB, userID string) error {
	return tx.Exec("UPDATE pushes SET reported_at = 0 WHERE user_id = ?", userID).Error
}

// reported names those of some users who said that somebody else logs in with their name.
func reported(db *gorm.DB, of []userRow) (map[string]bool, error) {
	ids := make([]string, len(of))
	for i, u := range of {
		ids[i] = u.ID
	}
	var marked []string
	err := db.Model(&pushesRow{}).Where("user_id IN ? AND reported_at <> 0", ids).Pluck("user_id", &marked).Error
	all := map[string]bool{}
	for _, id := range marked {
		all[id] = true
	}
	return all, err
}
