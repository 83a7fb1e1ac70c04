package audit

import (
	"context"
	"fmt"
	"math"
)

const (
	verifyPage = 1000 // records that are held in memory at a time
	maxDamages = 50   // more are only counted
)

// A Trail is the record as it is read to be verified.
type Trail interface {
	// Head returns the last seal as the sealer noted it, the zero seal before the first.
	Head(ctx context.Context) (Seal, error)
	// Sealed returns records behind a place, in the order of their seals.
	Sealed(ctx context.Context, after int64, limit int) ([]Record, error)
	// Unsealed counts the records that wait for their seal.
	Unsealed(ctx context.Context) (int64, error)
}

// A Report is what came of verifying a record.
type Report struct {
	Head     Seal     // the end of what was verified
	Unsealed int64    // recorded, but not sealed yet
	Damages  []string // a sentence each; the first of them when there are many
	More     int      // how many damages are not listed
}

// Verify walks the whole record, from its first seal to its head. It finds what was
// changed, removed or put elsewhere since it was sealed; with the known head of another
// day (zero: none) also what was cut off at the end, or sealed anew. Records that are
// added meanwhile do not disturb it. An error means that the record could not be read.
func Verify(ctx context.Context, t Trail, keys Keys, known Seal) (Report, error) {
	head, err := t.Head(ctx)
	if err != nil {
		return Report{}, err
	}
	w := walk{keys: keys, known: known, believed: true}
	after := int64(math.MinInt64) // nobody shall put a record before the first one
	for more := true; more && after < head.Seq; {
		page, err := t.Sealed(ctx, after, verifyPage)
		if err != nil {
			return Report{}, err
		}
		for _, r := range page {
			if after = r.Seal.Seq; after <= head.Seq {
				w.step(r)
			}
		}
		more = len(page) == verifyPage
	}
	w.end(head)
	if err := w.beyond(ctx, t, head); err != nil {
		return Report{}, err
	}
	w.report.Head = head
	w.report.Unsealed, err = t.Unsealed(ctx)
	return w.report, err
}

// walk is the state of [Verify] between two records.
type walk struct {
	keys     Keys
	known    Seal
	last     Seal
	believed bool  // last.Hash is what was sealed, as far as is known
	unproved int64 // records up to last whose key the ring lacks, and that no later seal proved
	report   Report
}

func (w *walk) found(format string, args ...any) {
	if len(w.report.Damages) == maxDamages {
		w.report.More++
		return
	}
	w.report.Damages = append(w.report.Damages, fmt.Sprintf(format, args...))
}

// step checks the next record. A hash that does not follow from the one before is the
// record's own fault only if the one before can be believed.
func (w *walk) step(r Record) {
	s := r.Seal
	if s.Seq < 1 {
		w.found("record %d (id %s) was never sealed, and does not say so", s.Seq, r.ID)
		return
	}
	if s.Seq != w.last.Seq+1 {
		w.found("%s missing", span(w.last.Seq+1, s.Seq-1))
		w.believed, w.unproved = false, 0
	}
	follows := !w.believed || r.hash(w.last.Hash, s.Seq) == s.Hash
	held, authentic := w.keys.Holds(s.MAC), s.Authentic(w.keys)
	switch {
	case !follows && w.unproved > 0:
		w.found("of the records %d to %d at least one was changed", s.Seq-w.unproved, s.Seq)
		w.unproved = 0
	case !follows:
		w.found("record %d (id %s) was changed, or stands in another's place", s.Seq, r.ID)
	case held && !authentic:
		w.found("record %d (id %s) has a seal that no key of the ring made for it", s.Seq, r.ID)
	}
	if w.known.Seq == s.Seq && w.known.Hash != s.Hash {
		w.found("record %d is not the one of the head that was given: the records up to it were sealed anew", s.Seq)
	}
	switch {
	case authentic:
		w.believed, w.unproved = true, 0
	case held || !follows:
		w.believed = false
	default:
		w.unproved++
	}
	w.last = s
}

// end checks that the chain goes as far as is known.
func (w *walk) end(head Seal) {
	if w.unproved > 0 {
		w.found("%s sealed with a key that the key ring lacks: verify with the ring that had it", span(w.last.Seq-w.unproved+1, w.last.Seq))
	}
	switch {
	case w.last.Seq < head.Seq:
		w.found("%s missing at the end", span(w.last.Seq+1, head.Seq))
	case w.last.Hash != head.Hash || w.keys.Holds(head.MAC) && !head.Authentic(w.keys):
		w.found("the head that the sealer noted was changed")
	}
	if w.known.Seq > head.Seq {
		w.found("%s cut off: the record ends at %d, and the head that was given is at %d",
			span(head.Seq+1, w.known.Seq), head.Seq, w.known.Seq)
	}
}

// beyond looks for sealed records behind the head, which is always noted with them.
func (w *walk) beyond(ctx context.Context, t Trail, head Seal) error {
	next, err := t.Sealed(ctx, head.Seq, 1)
	if err != nil || len(next) == 0 {
		return err
	}
	now, err := t.Head(ctx)
	if err == nil && now.Seq < next[0].Seal.Seq {
		w.found("there are records behind %d, where the sealer noted the end: the head was changed", now.Seq)
	}
	return err
}

// span names records with their verb.
func span(first, last int64) string {
	if first == last {
		return fmt.Sprintf("record %d is", first)
	}
	return fmt.Sprintf("records %d to %d are", first, last)
}
