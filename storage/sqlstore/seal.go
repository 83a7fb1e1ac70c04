package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
)

// sealBatch is how many records one transaction seals; on SQLite others wait to write
// meanwhile.
const sealBatch = 200

// errHead stops the sealer: to go on behind a head that somebody else wrote would vouch
// for what is before it.
var errHead = errors.New("the head of the audit was changed in the database, so nothing is sealed; `sallyport audit verify` says more")

var _ audit.Trail = (*Store)(nil)

// Seal seals what is committed and not sealed, in the order of ids as far as it is
// visible: a transaction that commits late is sealed late, whatever its id. When another
// node seals at this moment there is nothing to do. Nodes whose key rings are in the
// middle of a rotation share one chain.
func (s *Store) Seal(ctx context.Context) error {
	// Looking takes no lock, and mostly there is nothing.
	waiting, err := s.Unsealed(ctx)
	for n := sealBatch; err == nil && waiting > 0 && n == sealBatch; {
		n, err = s.sealSome(ctx)
	}
	return err
}

func (s *Store) sealSome(ctx context.Context) (n int, err error) {
	err = s.transact(ctx, "seal the audit", func(tx *gorm.DB) error {
		head, err := lockHead(tx)
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil // another node has the lock
		}
		if err != nil {
			return err
		}
		if !head.Authentic(s.ring) {
			return errHead
		}
		var rows []eventRow
		if err := tx.Where("seal_seq IS NULL").Order("id").Limit(sealBatch).Find(&rows).Error; err != nil || len(rows) == 0 {
			return err
		}
		n = len(rows)
		return s.sealBehind(tx, head, records(rows))
	})
	return n, err
}

// sealBehind seals records one behind the other, and notes the new head.
func (s *Store) sealBehind(tx *gorm.DB, head audit.Seal, records []audit.Record) (err error) {
	for _, r := range records {
		if head, err = head.Next(s.ring, r); err != nil {
			return err
		}
		if err = setSeal(tx, r.ID, head); err != nil {
			return err
		}
	}
	return tx.Exec("UPDATE audit_head SET seq = ?, hash = ?, mac = ? WHERE id = 1", head.Seq, head.Hash, head.MAC).Error
}

// sealedLast reports whether a key sealed the last record. Nothing is sealed behind that
// once the key is gone; all before it the seals of other keys prove.
func (s *Store) sealedLast(ctx context.Context, key string) (bool, error) {
	head, err := s.Head(ctx)
	return strings.HasPrefix(head.MAC, secret.MACBy(key)), err
}

// resealLast seals the last record anew if another key sealed it, and returns how many
// that were. One that does not hold is left alone.
func (s *Store) resealLast(ctx context.Context) (n int, err error) {
	if own, err := s.sealedLast(ctx, s.ring.Sealing()); err != nil || own {
		return 0, err
	}
	err = s.transact(ctx, "seal the last record anew", func(tx *gorm.DB) error {
		head, err := lockHead(tx)
		if errors.Is(err, gorm.ErrRecordNotFound) || err == nil && (head.Seq == 0 || !head.Authentic(s.ring)) {
			return nil
		}
		if err != nil {
			return err
		}
		n = 1
		return s.setMAC(tx, head)
	})
	return n, err
}

// setMAC makes the MAC of the last seal anew, beside the record and where it is noted.
func (s *Store) setMAC(tx *gorm.DB, last audit.Seal) error {
	fresh, err := last.Anew(s.ring)
	if err != nil {
		return err
	}
	for _, set := range []string{
		"UPDATE audit_events SET seal_mac = ? WHERE seal_seq = ? AND seal_mac = ?",
		"UPDATE audit_head SET mac = ? WHERE id = 1 AND seq = ? AND mac = ?",
	} {
		if err := tx.Exec(set, fresh.MAC, last.Seq, last.MAC).Error; err != nil {
			return err
		}
	}
	return nil
}

func setSeal(tx *gorm.DB, id string, seal audit.Seal) error {
	done := tx.Exec("UPDATE audit_events SET seal_seq = ?, seal_hash = ?, seal_mac = ? WHERE id = ? AND seal_seq IS NULL",
		seal.Seq, seal.Hash, seal.MAC, id)
	if done.Error == nil && done.RowsAffected != 1 {
		return fmt.Errorf("the event %s is gone", id)
	}
	return done.Error
}

// lockHead reads the last seal and keeps other nodes from sealing; no row means that
// another one does.
func lockHead(tx *gorm.DB) (audit.Seal, error) {
	lock := rowLock()
	lock.Options = clause.LockingOptionsSkipLocked
	return takeHead(tx.Clauses(lock))
}

func takeHead(db *gorm.DB) (audit.Seal, error) {
	var head audit.Seal
	err := db.Table("audit_head").Select("seq, hash, mac").Where("id = 1").Take(&head).Error
	return head, err
}

// Head implements audit.Trail.
func (s *Store) Head(ctx context.Context) (audit.Seal, error) {
	head, err := takeHead(s.reader.WithContext(ctx))
	return head, failed("read the head of the audit", err)
}

// Sealed implements audit.Trail.
func (s *Store) Sealed(ctx context.Context, after int64, limit int) ([]audit.Record, error) {
	var rows []eventRow
	err := s.reader.WithContext(ctx).Where("seal_seq > ?", after).Order("seal_seq").Limit(limit).Find(&rows).Error
	return records(rows), failed("read the audit", err)
}

// Unsealed implements audit.Trail.
func (s *Store) Unsealed(ctx context.Context) (int64, error) {
	var n int64
	err := s.reader.WithContext(ctx).Raw("SELECT COUNT(*) FROM audit_events WHERE seal_seq IS NULL").Scan(&n).Error
	return n, failed("count what is not sealed", err)
}
