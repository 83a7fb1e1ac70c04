package sqlstore

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/notice"
)

type noticeRow struct {
	ID             string
	UserID         string
	Type           string
	At             stamp
	Client         string
	Address        string
	GrantType      string
	Authenticators described
	Attempts       int
	Due            stamp `gorm:"column:due_at"`
	Told           stamp `gorm:"column:told_at"`
	Expires        stamp `gorm:"column:expires_at"`
}

// TableName implements gorm's schema.Tabler.
func (noticeRow) TableName() string { return "notices" }

// described are authenticators as they were called when it happened: a JSON array.
type described []notice.Authenticator

// Value implements driver.Valuer.
func (d described) Value() (driver.Value, error) {
	if d == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]notice.Authenticator(d))
	return string(text), err
}

// Scan implements sql.Scanner.
func (d *described) Scan(v any) error { return scanJSON(v, (*[]notice.Authenticator)(d)) }

var _ notice.Store = (*Store)(nil)

// notify stores what the user is to be told of an event, in the transaction of what
// happened. What is not always told is rated under a lock of the caller's.
func (s *Store) notify(tx *gorm.DB, id string, e audit.Event) error {
	if quiet := notice.Silence(e.Type); quiet > 0 {
		var told int64
		err := tx.Raw("SELECT COUNT(*) FROM notices WHERE user_id = ? AND type = ? AND at > ?",
			storable(e.Subject), string(e.Type), at(e.At.Add(-quiet))).Scan(&told).Error
		if err != nil || told > 0 {
			return err
		}
	}
	row := noticeRow{ID: id, UserID: storable(e.Subject), Type: string(e.Type), At: at(e.At), Client: storable(e.Client),
		Address: storable(e.Address), GrantType: storable(e.Grant), Due: at(s.now()), Expires: at(e.At.Add(notice.Life))}
	if len(e.Authenticators) > 0 {
		var all []notice.Authenticator
		theirs := "confirmed_at <> 0"
		if e.Type == audit.Removed {
			theirs += " AND origin <> '" + originAutomatic + "'" // which is there again at once
		}
		err := tx.Raw(`SELECT type, channel, name FROM authenticators WHERE user_id = ? AND id IN ? AND `+theirs+`
			ORDER BY created_at, id`, row.UserID, e.Authenticators).Scan(&all).Error
		if err != nil {
			return err
		}
		row.Authenticators = all
		if e.Type == audit.Removed && len(row.Authenticators) == 0 {
			return nil // what nobody had confirmed was never theirs
		}
	}
	return tx.Create(&row).Error
}

// ClaimNotice implements notice.Store.
func (s *Store) ClaimNotice(ctx context.Context) (notice.Notice, error) {
	for {
		var rows []noticeRow
		now := s.now()
		err := s.reader.WithContext(ctx).Where("told_at = 0 AND due_at <= ?", at(now)).Order("due_at, id").Limit(1).Find(&rows).Error
		if err != nil {
			return notice.Notice{}, failed("look for a notice", err)
		}
		if len(rows) == 0 {
			return notice.Notice{}, fmt.Errorf("sqlstore: claim a notice: %w", fault.NotFound)
		}
		r := rows[0]
		mine := false
		err = s.transact(ctx, "claim a notice", func(tx *gorm.DB) error {
			done := tx.Exec("UPDATE notices SET due_at = ?, attempts = attempts + 1 WHERE id = ? AND due_at = ? AND told_at = 0",
				at(now.Add(notice.Wait(r.Attempts+1))), r.ID, r.Due)
			mine = done.RowsAffected == 1
			return done.Error
		})
		if err != nil {
			return notice.Notice{}, err
		}
		if mine {
			return notice.Notice{
				ID: r.ID, Type: audit.Type(r.Type), At: r.At.time(), Subject: r.UserID, Client: r.Client, Address: r.Address,
				Grant: r.GrantType, Authenticators: r.Authenticators, Attempt: r.Attempts + 1,
			}, nil
		}
	}
}

// EndNotice implements notice.Store.
func (s *Store) EndNotice(ctx context.Context, id string) error {
	return s.transact(ctx, "end a notice", func(tx *gorm.DB) error {
		return tx.Exec("UPDATE notices SET told_at = ? WHERE id = ?", at(s.now()), id).Error
	})
}

const (
	// lookedAt is the setting that says up to which event unfinished logins were looked for.
	lookedAt = "unfinished_logins"
	// unfinishedBatch is how many one transaction makes notices of.
	unfinishedBatch = 100
)

// unfinished are demands for a second factor after a password that nobody answered. Who
// begins again from the same place, and finishes that, has lost nothing but a page, unless
// a wrong factor was tried. What goes on with a session began with no password.
const unfinished = `type = ? AND session = '' AND transaction_id <> '' AND id > ? AND id < ?
	AND NOT EXISTS (SELECT 1 FROM audit_events f
		WHERE f.transaction_id = audit_events.transaction_id AND f.transaction_id <> '' AND f.type = ?)
	AND (EXISTS (SELECT 1 FROM audit_events f
			WHERE f.transaction_id = audit_events.transaction_id AND f.transaction_id <> '' AND f.type = ?)
		OR NOT EXISTS (SELECT 1 FROM audit_events f
			WHERE f.subject = audit_events.subject AND f.id > audit_events.id AND f.type = ? AND f.transaction_id <> ''
			AND f.client = audit_events.client AND f.address = audit_events.address))`

// NoticeUnfinished makes notices of logins that began before a time, with the right
// password, and were not finished (ASVS 6.3.5). Each is looked at once, by one node; the
// first call says where to begin.
func (s *Store) NoticeUnfinished(ctx context.Context, before time.Time) error {
	until := eventTime(before)
	after, err := s.Setting(ctx, lookedAt)
	if err != nil {
		return err
	}
	if after == "" {
		return s.SetSetting(ctx, lookedAt, until)
	}
	for after < until {
		var rows []eventRow
		err := s.reader.WithContext(ctx).Where(unfinished, audit.FactorDemanded, after, until,
			audit.TokensIssued, audit.FactorRefused, audit.TokensIssued).Order("id").Limit(unfinishedBatch).Find(&rows).Error
		if err != nil {
			return failed("look for unfinished logins", err)
		}
		next := until
		if len(rows) == unfinishedBatch {
			next = rows[len(rows)-1].ID
		}
		mine, err := s.noticeAll(ctx, rows, after, next)
		if err != nil || !mine {
			return err
		}
		after = next
	}
	return nil
}

// noticeAll makes notices, unless another node has looked further than after.
func (s *Store) noticeAll(ctx context.Context, rows []eventRow, after, next string) (mine bool, err error) {
	err = s.transact(ctx, "notice unfinished logins", func(tx *gorm.DB) error {
		done := tx.Exec("UPDATE settings SET value = ? WHERE name = ? AND value = ?", next, lookedAt, after)
		if mine = done.RowsAffected == 1; done.Error != nil || !mine {
			return done.Error
		}
		for _, r := range rows {
			if err := s.notify(tx, r.ID, r.event()); err != nil {
				return err
			}
		}
		return nil
	})
	return mine, err
}
