package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/sqlstore"
	"github.com/sallyport/sallyport/storage/storagetest"
)

func holds(t *testing.T, s *sqlstore.Store, ring *secret.Ring, records int64) {
	t.Helper()
	report, err := audit.Verify(t.Context(), s, ring, audit.Seal{})
	if err != nil || report.Damages != nil || report.Head.Seq != records || report.Unsealed != 0 {
		t.Errorf("verified %+v, %v, want %d records", report, err, records)
	}
}

// A transaction that commits after others that began later has an id of before. It is
// sealed behind them, not passed by.
func TestLateCommitIsSealed(t *testing.T) {
	url, ring := storagetest.Postgres(t), newRing(t)
	s := open(t, url, ring, atNoon)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	late, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = late.ExecContext(t.Context(), `INSERT INTO audit_events
		(id, at, type, success, reason, subject, client, session, authenticators, grant_type, address)
		VALUES ($1, $2, 'tokens.issued', true, '', 'late', '', '', '[]', '', '')`,
		fmt.Sprintf("%012x%024x", noon.Add(-time.Second).UnixMilli(), 0), noon.Add(-time.Second).UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Append(t.Context(), audit.Event{Type: audit.Removed, Subject: "early"}); err != nil {
			t.Fatal(err)
		}
	}
	seal(t, s)
	holds(t, s, ring, 3)
	if err := late.Commit(); err != nil {
		t.Fatal(err)
	}
	seal(t, s)
	holds(t, s, ring, 4)
	last, err := s.Sealed(t.Context(), 3, 1)
	if err != nil || len(last) != 1 || last[0].Event.Subject != "late" {
		t.Errorf("sealed last %+v, %v", last, err)
	}
}

// A node that stands still in the middle of anything keeps what it locked from the others
// for seconds, and not until somebody ends it.
func TestLocksOfANodeThatStandsStill(t *testing.T) {
	url, ring := storagetest.Postgres(t), newRing(t)
	s := open(t, url, ring, atNoon)
	var set string
	if err := s.Pools()["writer"].QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&set); err != nil || set != "5s" {
		t.Errorf("transactions may stand still for %q, %v", set, err)
	}
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	still := open(t, url+separator+"idle_in_transaction_session_timeout=100", ring, atNoon)
	tx, err := still.Pools()["writer"].BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SELECT seq FROM audit_head WHERE id = 1 FOR NO KEY UPDATE"); err != nil {
		t.Fatal(err)
	}
	execute(t, url, "UPDATE audit_head SET seq = seq WHERE id = 1") // waits for the lock
	if err := tx.Commit(); err == nil {
		t.Error("the transaction that stood still went on")
	}
}

// A key of the ring goes while nothing is recorded for long: what it sealed last is sealed
// anew before, so that the chain goes on behind it, and is proved by the keys that there are.
func TestChainOutlivesItsKey(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			n, r := &nodes{t: t, url: fresh(t)}, newRings(t)
			before := n.open(r.old)
			n.hold(before, "a", r.old, r.old.Sealing())
			if err := before.Append(t.Context(), audit.Event{Type: audit.Removed}); err != nil {
				t.Fatal(err)
			}
			seal(t, before)
			both := again(t, r.both)
			if err := both.SealWith(r.old.Sealing()); err != nil {
				t.Fatal(err)
			}
			s := n.open(both)
			n.hold(s, "a", both, r.fresh.Sealing())
			seal(t, before) // one that was not told yet that another key seals
			needs := func(want int) {
				t.Helper()
				if left, err := s.SealedWith(t.Context(), r.old.Sealing()); err != nil || len(left) != want {
					t.Errorf("the old key is needed for %+v, %v, want %d", left, err, want)
				}
			}
			needs(1)
			for want := 1; want >= 0; want-- { // and then there is nothing to do
				if rows, err := s.Reseal(t.Context()); err != nil || rows != want {
					t.Errorf("%d rows were sealed anew, %v, want %d", rows, err, want)
				}
			}
			needs(0)
			after := n.open(r.fresh)
			holds(t, after, r.fresh, 3)
			if err := after.Append(t.Context(), audit.Event{Type: audit.KeyRemoved}); err != nil {
				t.Fatal(err)
			}
			seal(t, after)
			holds(t, after, r.fresh, 4)
		})
	}
}

func seal(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A node that is stopped in the middle of sealing keeps the others from sealing, but from
// nothing else: they neither wait nor fail.
func TestSealerThatStandsStill(t *testing.T) {
	url, ring := storagetest.Postgres(t), newRing(t)
	s := open(t, url, ring, atNoon)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	frozen, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := frozen.ExecContext(t.Context(), "SELECT seq FROM audit_head WHERE id = 1 FOR NO KEY UPDATE"); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), audit.Event{Type: audit.Removed}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Seal(ctx); err != nil {
		t.Errorf("seal: %v", err)
	}
	if n, err := s.Unsealed(t.Context()); err != nil || n != 1 {
		t.Errorf("%d wait, %v, want 1", n, err)
	}
	if err := frozen.Rollback(); err != nil {
		t.Fatal(err)
	}
	seal(t, s)
	holds(t, s, ring, 1)
}

// With audit.required off, a record that cannot be written stops nothing; the log tells
// of it, without what it would have said.
func TestAuditOptional(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			open(t, url, ring, atNoon)
			var log bytes.Buffer
			s, err := sqlstore.Open(t.Context(), sqlstore.Options{
				URL: secret.New(url), Ring: ring, Now: atNoon, Log: slog.New(slog.NewTextHandler(&log, nil)), AuditOptional: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			create(t, s, identity.User{ID: "before", Username: "before"})
			seal(t, s)
			holds(t, s, ring, 1)

			execute(t, url, "ALTER TABLE audit_events RENAME TO lost")
			create(t, s, identity.User{ID: "alice", Username: "alice"})
			if _, err := s.User(t.Context(), "alice"); err != nil {
				t.Errorf("what could not be recorded did not happen: %v", err)
			}
			if err := s.Append(t.Context(), audit.Event{Type: audit.FactorDemanded, Subject: "alice"}); err != nil {
				t.Errorf("append: %v", err)
			}
			execute(t, url, "ALTER TABLE lost RENAME TO audit_events")
			for _, want := range []string{"type=user.changed lost=1 ", "type=factor.demanded lost=2 "} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("%q is not in the log:\n%s", want, &log)
				}
			}
			if strings.Contains(log.String(), "alice") {
				t.Errorf("the log tells what the record would have:\n%s", &log)
			}
			create(t, s, identity.User{ID: "after", Username: "after"})
			seal(t, s)
			holds(t, s, ring, 2)
		})
	}
}
