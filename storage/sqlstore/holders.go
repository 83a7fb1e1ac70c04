package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
)

// HolderLife is how long a node counts as running after it was heard of.
const HolderLife = time.Minute

// A Holder is a node that runs, by its key ring.
type Holder struct {
	Node    string    `json:"node"`
	Keys    []string  `json:"keys"` // that it opens with
	Sealing string    `json:"sealing"`
	SeenAt  time.Time `json:"seen_at"`
}

type holderRow struct {
	Node    string
	Keys    list
	Sealing string
	Seen    stamp `gorm:"column:seen_at"`
}

// TableName implements gorm's schema.Tabler.
func (holderRow) TableName() string { return "ring_holders" }

// HoldRing says which keys this node opens with, and makes its ring seal with the one
// that the database names. The newest key becomes that one as soon as every node that
// runs holds it: so nobody seals what another one cannot open. It fails with
// [secret.ErrSealed] when the ring lacks the key that seals.
//
// All of it happens behind the lock on the revision: a node that begins with an old ring
// is seen by the choice of a new key, or sees it.
func (s *Store) HoldRing(ctx context.Context, node string) error {
	row := holderRow{Node: node, Keys: s.ring.Keys(), Seen: at(s.now())}
	newest := s.ring.Newest()
	err := s.transact(ctx, "hold the key ring", func(tx *gorm.DB) error {
		if err := s.hold(tx, &row); err != nil {
			return err
		}
		ready, err := s.ready(tx, newest)
		if err != nil || !ready {
			return err
		}
		if err := s.choose(tx, newest); err != nil {
			return err
		}
		row.Sealing = newest
		return keepHolder(tx, row)
	})
	if err != nil {
		return err
	}
	return s.ring.SealWith(row.Sealing)
}

// hold notes the row of a node that has the key that seals, and forgets the nodes that
// were not heard of. In a database that names no such key, the one that seals in this
// ring becomes it.
func (s *Store) hold(tx *gorm.DB, row *holderRow) error {
	if err := lockRevision(tx); err != nil {
		return err
	}
	if err := tx.Exec("DELETE FROM ring_holders WHERE seen_at <= ?", row.Seen-stamp(HolderLife.Milliseconds())).Error; err != nil {
		return err
	}
	id, _, err := sealing(tx)
	if err == nil && id == "" {
		id = s.ring.Sealing()
		err = s.choose(tx, id)
	}
	if err != nil {
		return err
	}
	if !slices.Contains(row.Keys, id) {
		return fmt.Errorf("the ring lacks the key %q: %w", id, secret.ErrSealed)
	}
	row.Sealing = id
	return keepHolder(tx, *row)
}

func keepHolder(tx *gorm.DB, row holderRow) error {
	return tx.Exec(`INSERT INTO ring_holders (node, keys, sealing, seen_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (node) DO UPDATE SET keys = excluded.keys, sealing = excluded.sealing, seen_at = excluded.seen_at`,
		row.Node, row.Keys, row.Sealing, row.Seen).Error
}

// sealing returns the key that seals, empty when none was chosen, and since when.
func sealing(tx *gorm.DB) (string, stamp, error) {
	var rows []struct {
		ID    string
		Since stamp
	}
	err := tx.Raw("SELECT id, since FROM sealing_keys ORDER BY since DESC LIMIT 1").Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return "", 0, err
	}
	return rows[0].ID, rows[0].Since, nil
}

// ready reports whether a key that never sealed is held by every node that runs. One
// that sealed before is not chosen again: a node with an older ring calls it the newest.
func (s *Store) ready(tx *gorm.DB, id string) (bool, error) {
	var before int64
	if err := tx.Raw("SELECT COUNT(*) FROM sealing_keys WHERE id = ?", id).Scan(&before).Error; err != nil || before > 0 {
		return false, err
	}
	var all []holderRow
	if err := tx.Find(&all).Error; err != nil {
		return false, err
	}
	return !slices.ContainsFunc(all, func(h holderRow) bool { return !slices.Contains(h.Keys, id) }), nil
}

// choose makes a key the one that seals.
func (s *Store) choose(tx *gorm.DB, id string) error {
	_, last, err := sealing(tx)
	if err != nil {
		return err
	}
	since := max(at(s.now()), last+1) // it is the latest, whatever the clock says
	if err := tx.Exec("INSERT INTO sealing_keys (id, since) VALUES (?, ?)", id, since).Error; err != nil {
		return err
	}
	return s.record(tx, audit.Event{At: s.now(), Type: audit.KeyChosen, Success: true, Reason: "sealing " + id})
}

// LeaveRing says that a node stops.
func (s *Store) LeaveRing(ctx context.Context, node string) error {
	return s.transact(ctx, "leave the key ring", func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM ring_holders WHERE node = ?", node).Error
	})
}

// SealingKey returns the key that seals and since when; an empty one in a database that
// was never served.
func (s *Store) SealingKey(ctx context.Context) (string, time.Time, error) {
	id, since, err := sealing(s.reader.WithContext(ctx))
	return id, since.time(), failed("read the sealing key", err)
}

// FollowRing makes the ring of this process seal with the key that the database names.
func (s *Store) FollowRing(ctx context.Context) error {
	id, _, err := s.SealingKey(ctx)
	if err != nil || id == "" {
		return err
	}
	return failed("follow the key ring", s.ring.SealWith(id))
}

// Holders lists the nodes that run.
func (s *Store) Holders(ctx context.Context) ([]Holder, error) {
	var rows []holderRow
	err := s.reader.WithContext(ctx).Where("seen_at > ?", at(s.now().Add(-HolderLife))).Order("node").Find(&rows).Error
	all := make([]Holder, len(rows))
	for i, r := range rows {
		all[i] = Holder{Node: r.Node, Keys: r.Keys, Sealing: r.Sealing, SeenAt: r.Seen.time()}
	}
	return all, failed("list the holders of the key ring", err)
}
