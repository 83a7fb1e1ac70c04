package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/notice"
)

type eventRow struct {
	ID             string
	At             stamp
	Type           string
	Success        bool
	Reason         string
	Subject        string
	Client         string
	Session        string
	Authenticators tried
	GrantType      string
	Address        string
	Transaction    string `gorm:"column:transaction_id"`
	SealSeq        *int64
	SealHash       *string
	SealMAC        *string
}

// tried is a list that can be read whatever stands there: what was changed in the
// database must not keep the record from being verified.
type tried list

// Value implements driver.Valuer.
func (t tried) Value() (driver.Value, error) { return list(t).Value() }

// Scan implements sql.Scanner.
func (t *tried) Scan(v any) error {
	if err := (*list)(t).Scan(v); err != nil {
		*t = tried{fmt.Sprint(v)}
	}
	return nil
}

// TableName implements gorm's schema.Tabler.
func (eventRow) TableName() string { return "audit_events" }

var _ audit.Log = (*Store)(nil)

// Append implements audit.Log.
func (s *Store) Append(ctx context.Context, e audit.Event) error {
	err := s.transact(ctx, "append an audit event", func(tx *gorm.DB) error { return s.record(tx, e) })
	if err != nil && s.optional {
		s.lose(ctx, e, err)
		return nil
	}
	return err
}

// AuditEvents returns the latest events, the newest first.
func (s *Store) AuditEvents(ctx context.Context, limit int) ([]audit.Event, error) {
	var rows []eventRow
	err := s.reader.WithContext(ctx).Order("id DESC").Limit(limit).Find(&rows).Error
	events := make([]audit.Event, len(rows))
	for i, r := range rows {
		events[i] = r.event()
	}
	return events, failed("read the audit", err)
}

// Records returns a page of the record, in the order of time.
func (s *Store) Records(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	db := s.reader.WithContext(ctx).Where("id > ?", q.After)
	if !q.Since.IsZero() {
		db = db.Where("id >= ?", eventTime(q.Since))
	}
	if !q.Until.IsZero() {
		db = db.Where("id < ?", eventTime(q.Until))
	}
	if !q.Abandoned.IsZero() {
		db = db.Where(`type = ? AND transaction_id <> '' AND at < ? AND NOT EXISTS (SELECT 1 FROM audit_events f
			WHERE f.transaction_id = audit_events.transaction_id AND f.transaction_id <> '' AND f.type = ?)`,
			audit.FactorDemanded, at(q.Abandoned), audit.TokensIssued)
	}
	var rows []eventRow
	err := db.Order("id").Limit(q.Limit).Find(&rows).Error
	return records(rows), failed("read the audit", err)
}

// record adds an event within the transaction of what it tells about: without it that
// does not happen either, unless the record is optional. With it goes what the user is to
// be told.
func (s *Store) record(tx *gorm.DB, e audit.Event) error {
	if e.At.IsZero() {
		e.At = s.now()
	}
	id, err := s.eventID(e.At)
	if err != nil {
		return err
	}
	if notice.Concerns(e) {
		if err := s.notify(tx, id, e); err != nil {
			return err
		}
	}
	row := &eventRow{
		ID: id, At: at(e.At), Type: string(e.Type), Success: e.Success, Reason: storable(e.Reason),
		Subject: storable(e.Subject), Client: storable(e.Client), Session: storable(e.Session),
		Authenticators: e.Authenticators, GrantType: storable(e.Grant), Address: storable(e.Address),
		Transaction: storable(e.Transaction),
	}
	if !s.optional {
		return tx.Create(row).Error
	}
	// A transaction within one is a savepoint: what fails there does not end the outer one.
	err = tx.Transaction(func(tx *gorm.DB) error { return tx.Create(row).Error })
	if err != nil {
		s.lose(tx.Statement.Context, e, err)
	}
	return nil
}

// lose tells of an event that is not recorded, and how many there were.
func (s *Store) lose(ctx context.Context, e audit.Event, cause error) {
	s.log.LogAttrs(ctx, slog.LevelError, "an audit record is lost, and audit.required is off", slog.String("type", string(e.Type)),
		slog.Uint64("lost", s.lost.Add(1)), slog.Any("cause", cause))
}

// Lost is how many events happened since the start that are not recorded.
func (s *Store) Lost() uint64 { return s.lost.Load() }

// storable replaces what PostgreSQL takes for no text. An event may quote a request,
// and nobody must be able to write one that cannot be recorded.
func storable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// eventID makes an id that sorts by time, then by the order within this process:
// milliseconds and a count in hexadecimal, and chance so that nodes never collide.
func (s *Store) eventID(t time.Time) (string, error) {
	var chance [8]byte
	if _, err := rand.Read(chance[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return fmt.Sprintf("%s%08x%s", eventTime(t), s.events.Add(1), hex.EncodeToString(chance[:])), nil
}

// eventTime is how the ids of events begin that happened then.
func eventTime(t time.Time) string { return fmt.Sprintf("%012x", t.UnixMilli()) }

func (r eventRow) event() audit.Event {
	return audit.Event{
		At: r.At.time(), Type: audit.Type(r.Type), Success: r.Success, Reason: r.Reason,
		Subject: r.Subject, Client: r.Client, Session: r.Session, Authenticators: r.Authenticators,
		Grant: r.GrantType, Address: r.Address, Transaction: r.Transaction,
	}
}

// records are rows with their seals.
func records(rows []eventRow) []audit.Record {
	all := make([]audit.Record, len(rows))
	for i, r := range rows {
		all[i] = audit.Record{ID: r.ID, Event: r.event()}
		if r.SealSeq != nil {
			// Who took a part of the seal away shall be found, not looked away from.
			all[i].Seal = audit.Seal{Seq: *r.SealSeq, Hash: text(r.SealHash), MAC: text(r.SealMAC)}
		}
	}
	return all
}
