package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A trail is a record in memory, which a test changes as who can write to the database
// could.
type trail struct {
	head     audit.Seal
	records  []audit.Record
	unsealed int64
	err      error
}

func (t *trail) Head(context.Context) (audit.Seal, error) { return t.head, t.err }
func (t *trail) Unsealed(context.Context) (int64, error)  { return t.unsealed, nil }
func (t *trail) place(seq int64) int                      { return slices.IndexFunc(t.records, at(seq)) }
func (t *trail) remove(first, last int64) {
	t.records = slices.DeleteFunc(t.records, within(first, last))
}
func (t *trail) change(seq int64, change func(r *audit.Record)) { change(&t.records[t.place(seq)]) }

func at(seq int64) func(audit.Record) bool { return within(seq, seq) }

func within(first, last int64) func(audit.Record) bool {
	return func(r audit.Record) bool { return r.Seal.Seq >= first && r.Seal.Seq <= last }
}

func (t *trail) Sealed(_ context.Context, after int64, limit int) ([]audit.Record, error) {
	all := slices.Clone(t.records)
	slices.SortStableFunc(all, func(a, b audit.Record) int { return int(a.Seal.Seq - b.Seal.Seq) })
	all = slices.DeleteFunc(all, func(r audit.Record) bool { return r.Seal.Seq <= after })
	return all[:min(limit, len(all))], nil
}

// grow seals n more records.
func (t *trail) grow(tb testing.TB, ring *secret.Ring, n int) {
	tb.Helper()
	for range n {
		r := audit.Record{ID: fmt.Sprintf("id-%d", t.head.Seq+1), Event: audit.Event{
			At: noon.Add(time.Duration(t.head.Seq) * time.Second), Type: audit.FactorRefused, Subject: "alice", Client: "spa",
			Session: "s", Reason: "wrong_otp", Grant: "mfa-otp", Address: "192.0.2.1", Transaction: "t", Authenticators: []string{"a", "b"},
		}}
		var err error
		if r.Seal, err = t.head.Next(ring, r); err != nil {
			tb.Fatal(err)
		}
		t.records, t.head = append(t.records, r), r.Seal
	}
}

func newRing(tb testing.TB) *secret.Ring {
	tb.Helper()
	r, err := secret.NewRing(noon)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// sealed is a trail of ten records.
func sealed(tb testing.TB) (*trail, *secret.Ring) {
	tb.Helper()
	ring := newRing(tb)
	t := &trail{}
	t.grow(tb, ring, 10)
	return t, ring
}

func verify(tb testing.TB, t *trail, ring *secret.Ring, known audit.Seal) []string {
	tb.Helper()
	report, err := audit.Verify(tb.Context(), t, ring, known)
	if err != nil {
		tb.Fatal(err)
	}
	return report.Damages
}

// Every kind of tampering is found, and what is said names the records that were touched
// and no others.
func TestVerifyFinds(t *testing.T) {
	const id = " (id id-"
	forged := "zzzzzzzz.AAAA" // of a key that no ring has
	for name, tt := range map[string]struct {
		tamper func(*trail)
		want   []string
	}{
		"nothing":           {func(*trail) {}, nil},
		"a changed subject": {func(r *trail) { r.change(4, func(r *audit.Record) { r.Event.Subject = "bob" }) }, []string{"record 4" + id}},
		"a changed first":   {func(r *trail) { r.change(1, func(r *audit.Record) { r.Event.Reason = "" }) }, []string{"record 1" + id}},
		"a changed last":    {func(r *trail) { r.change(10, func(r *audit.Record) { r.Event.Success = true }) }, []string{"record 10" + id}},
		"a changed hash": {func(r *trail) {
			r.change(4, func(r *audit.Record) { r.Seal.Hash = strings.Repeat("0", 64) })
		}, []string{"record 4" + id}},
		"a changed MAC": {func(r *trail) { r.change(4, func(r *audit.Record) { r.Seal.MAC += "A" }) }, []string{"record 4" + id}},
		"a removed one": {func(r *trail) { r.remove(4, 4) }, []string{"record 4 is missing"}},
		"removed ones":  {func(r *trail) { r.remove(1, 3); r.remove(7, 8) }, []string{"records 1 to 3 are missing", "records 7 to 8 are missing"}},
		"a cut tail":    {func(r *trail) { r.remove(9, 10) }, []string{"records 9 to 10 are missing at the end"}},
		"everything":    {func(r *trail) { r.records = nil }, []string{"records 1 to 10 are missing at the end"}},
		"swapped places": {func(r *trail) { swapped(r, func(a, b *audit.Record) { a.Seal, b.Seal = b.Seal, a.Seal }) },
			[]string{"record 4" + id, "record 5" + id}},
		"swapped numbers": {func(r *trail) {
			swapped(r, func(a, b *audit.Record) { a.Seal.Seq, b.Seal.Seq = b.Seal.Seq, a.Seal.Seq })
		},
			[]string{"record 4" + id, "record 5" + id}},
		"a record that was sealed once more": {func(r *trail) {
			again := r.records[3]
			r.remove(4, 4)
			again.Seal.Seq = 4
			again.Seal.Hash, again.Seal.MAC = r.records[8].Seal.Hash, r.records[8].Seal.MAC
			r.records = append(r.records, again)
		}, []string{"record 4" + id}},
		"a change under an unknown key": {func(r *trail) {
			r.change(4, func(r *audit.Record) { r.Event.Subject, r.Seal.MAC = "bob", forged })
		}, []string{"record 4" + id}},
		"a seal of an unknown key at the end": {func(r *trail) {
			r.change(10, func(r *audit.Record) { r.Seal.MAC = forged })
			r.head.MAC = forged
		}, []string{"record 10 is sealed with a key that the key ring lacks"}},
		"a record before the first": {func(r *trail) {
			forged := r.records[3]
			forged.ID, forged.Seal.Seq = "id-forged", -4
			r.records = append(r.records, forged)
		}, []string{"record -4 (id id-forged) was never sealed"}},
		"a head that is set back": {func(r *trail) { r.head = r.records[5].Seal }, []string{"records behind 6"}},
		"a head that was made up": {func(r *trail) { r.head.Hash = strings.Repeat("0", 64) }, []string{"the head that the sealer noted was changed"}},
		"a head without a MAC":    {func(r *trail) { r.head.MAC = r.records[2].Seal.MAC }, []string{"the head that the sealer noted was changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, ring := sealed(t)
			tt.tamper(r)
			expect(t, verify(t, r, ring, audit.Seal{}), tt.want)
		})
	}
}

// swapped does something to records 4 and 5.
func swapped(r *trail, do func(a, b *audit.Record)) { do(&r.records[3], &r.records[4]) }

func expect(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("found %q, want %q", got, want)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}

// No field of a record can be changed, nor text be moved from one to the next.
func TestEveryFieldIsSealed(t *testing.T) {
	for name, change := range map[string]func(r *audit.Record){
		"id":                 func(r *audit.Record) { r.ID += "x" },
		"time":               func(r *audit.Record) { r.Event.At = r.Event.At.Add(time.Millisecond) },
		"type":               func(r *audit.Record) { r.Event.Type = audit.FactorDemanded },
		"success":            func(r *audit.Record) { r.Event.Success = true },
		"reason":             func(r *audit.Record) { r.Event.Reason = "used_otp" },
		"subject":            func(r *audit.Record) { r.Event.Subject = "bob" },
		"client":             func(r *audit.Record) { r.Event.Client = "" },
		"session":            func(r *audit.Record) { r.Event.Session = "S" },
		"transaction":        func(r *audit.Record) { r.Event.Transaction = "" },
		"authenticators":     func(r *audit.Record) { r.Event.Authenticators = []string{"ab"} },
		"their order":        func(r *audit.Record) { r.Event.Authenticators = []string{"b", "a"} },
		"one less":           func(r *audit.Record) { r.Event.Authenticators = []string{"a"} },
		"grant":              func(r *audit.Record) { r.Event.Grant = "" },
		"address":            func(r *audit.Record) { r.Event.Address = "" },
		"subject and client": func(r *audit.Record) { r.Event.Subject, r.Event.Client = "alices", "pa" },
	} {
		t.Run(name, func(t *testing.T) {
			r, ring := sealed(t)
			r.change(4, change)
			if got := verify(t, r, ring, audit.Seal{}); len(got) != 1 {
				t.Errorf("found %q", got)
			}
		})
	}
}

// What the record itself no longer shows, because all of it was sealed anew or cut with
// its head, shows against a head of before.
func TestVerifyAgainstAHead(t *testing.T) {
	r, ring := sealed(t)
	known, err := audit.ParseHead(r.head.Head() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	early, err := audit.ParseHead(r.records[2].Seal.Head())
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []audit.Seal{known, early} {
		expect(t, verify(t, r, ring, head), nil)
	}
	r.grow(t, ring, 5)
	expect(t, verify(t, r, ring, known), nil)

	r.remove(9, 15)
	r.head = r.records[7].Seal
	expect(t, verify(t, r, ring, audit.Seal{}), nil) // this is what the head is for
	expect(t, verify(t, r, ring, early), nil)
	expect(t, verify(t, r, ring, known), []string{"records 9 to 10 are cut off: the record ends at 8"})

	anew := &trail{}
	anew.grow(t, ring, 2)
	anew.grow(t, ring, 10)
	anew.records[1].Event.Subject = "bob"
	again := &trail{}
	for _, old := range anew.records {
		if old.Seal, err = again.head.Next(ring, old); err != nil {
			t.Fatal(err)
		}
		again.records, again.head = append(again.records, old), old.Seal
	}
	expect(t, verify(t, again, ring, audit.Seal{}), nil)
	expect(t, verify(t, again, ring, known), []string{"record 10 is not the one of the head"})
}

// A key that left the ring sealed what its successor proves; a change among those records
// is found by the first seal that can be checked.
func TestKeysOfBefore(t *testing.T) {
	r, _ := sealed(t)
	younger := newRing(t)
	expect(t, verify(t, r, younger, audit.Seal{}), []string{"records 1 to 10 are sealed with a key that the key ring lacks"})
	r.grow(t, younger, 1)
	expect(t, verify(t, r, younger, audit.Seal{}), nil)

	change := func(seq int64) {
		r.change(seq, func(r *audit.Record) {
			r.Event.Subject = "bob"
		})
	}
	change(4)
	expect(t, verify(t, r, younger, audit.Seal{}), []string{"of the records 1 to 4 at least one was changed"})

	// Who knows how hashes are made, and no key, cannot get past that seal.
	keyless := newRing(t)
	again := &trail{}
	for _, old := range r.records[:10] {
		seal, err := again.head.Next(keyless, old)
		if err != nil {
			t.Fatal(err)
		}
		old.Seal = seal
		again.records, again.head = append(again.records, old), seal
	}
	again.records, again.head = append(again.records, r.records[10]), r.head
	expect(t, verify(t, again, younger, audit.Seal{}), []string{"of the records 1 to 11 at least one was changed"})
}

func TestVerifyLongAndUnreadable(t *testing.T) {
	ring, r := newRing(t), &trail{unsealed: 3}
	r.grow(t, ring, 2500)
	report, err := audit.Verify(t.Context(), r, ring, audit.Seal{})
	if err != nil || report.Damages != nil || report.Head != r.head || report.Unsealed != 3 {
		t.Errorf("%+v, %v", report, err)
	}
	for i := range r.records {
		r.records[i].Event.Subject = "bob"
	}
	report, err = audit.Verify(t.Context(), r, ring, audit.Seal{})
	if err != nil || len(report.Damages) != 50 || report.More != 2450 {
		t.Errorf("%d damages and %d more, %v", len(report.Damages), report.More, err)
	}
	r.err = errors.New("the database is down")
	if _, err := audit.Verify(t.Context(), r, ring, audit.Seal{}); !errors.Is(err, r.err) {
		t.Errorf("a record that cannot be read: %v", err)
	}
	expect(t, verify(t, &trail{}, ring, audit.Seal{}), nil)
}

func TestParseHead(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, bad := range []string{"", ".", "1", "1.", "0." + hash, "-1." + hash, "x." + hash, "1." + hash[1:], "1." + hash + "ab", "1." + hash + ".x"} {
		if got, err := audit.ParseHead(bad); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
	if got, err := audit.ParseHead(" 12." + strings.ToUpper(hash) + "\n"); err != nil || got.Head() != "12."+hash {
		t.Errorf("%+v, %v", got, err)
	}
}
