package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
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
	Authenticators list
	GrantType      string
	Address        string
}

// TableName implements gorm's schema.Tabler.
func (eventRow) TableName() string { return "audit_events" }

var _ audit.Log = (*Store)(nil)

// Append implements audit.Log.
func (s *Store) Append(ctx context.Context, e audit.Event) error {
	return s.transact(ctx, "append an audit event", func(tx *gorm.DB) error { return s.record(tx, e) })
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

// record adds an event within the transaction of what it tells about.
func (s *Store) record(tx *gorm.DB, e audit.Event) error {
	if e.At.IsZero() {
		e.At = s.now()
	}
	id, err := s.eventID(e.At)
	if err != nil {
		return err
	}
	return tx.Create(&eventRow{
		ID: id, At: at(e.At), Type: string(e.Type), Success: e.Success, Reason: storable(e.Reason),
		Subject: storable(e.Subject), Client: storable(e.Client), Session: storable(e.Session),
		Authenticators: e.Authenticators, GrantType: storable(e.Grant), Address: storable(e.Address),
	}).Error
}

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
	return fmt.Sprintf("%012x%08x%s", t.UnixMilli(), s.events.Add(1), hex.EncodeToString(chance[:])), nil
}

func (r eventRow) event() audit.Event {
	return audit.Event{
		At: r.At.time(), Type: audit.Type(r.Type), Success: r.Success, Reason: r.Reason,
		Subject: r.Subject, Client: r.Client, Session: r.Session, Authenticators: r.Authenticators,
		Grant: r.GrantType, Address: r.Address,
	}
}
