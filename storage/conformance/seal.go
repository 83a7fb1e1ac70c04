package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

func sealTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"seals are made in turn by nodes":  sealNodes,
		"seals while fifty write":          raceSeal,
		"seals find what was done":         sealTampered,
		"seals stop behind a forged head":  sealForgedHead,
		"records by time":                  recordsByTime,
		"records of abandoned logins":      recordsAbandoned,
		"nothing happens without a record": recordOrNothing,
	}
}

// append records n events, which take a millisecond each.
func (s *databaseSuite) append(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		s.pass(time.Millisecond)
		e := audit.Event{
			At: s.now(), Type: audit.FactorRefused, Reason: numbered(i), Subject: alice, Client: spa, Session: "s",
			Transaction: "t", Authenticators: []string{"a", "b"}, Grant: "mfa-otp", Address: "192.0.2.1",
		}
		if err := s.node(i).Log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *databaseSuite) seal(t *testing.T, n Node) {
	t.Helper()
	if err := n.Audit.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// damages is what verifying finds, against a head of before if there is one.
func (s *databaseSuite) damages(t *testing.T, known audit.Seal) []string {
	t.Helper()
	report, err := audit.Verify(t.Context(), s.b.Audit, s.b.Ring, known)
	if err != nil {
		t.Fatal(err)
	}
	return report.Damages
}

func (s *databaseSuite) head(t *testing.T) audit.Seal {
	t.Helper()
	head, err := s.a.Audit.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// One node goes on where the other ended; sealing twice changes nothing, and a record is
// as it was written.
func sealNodes(t *testing.T, s *databaseSuite) {
	s.seal(t, s.a)
	before := s.head(t)
	if before.Seq == 0 {
		t.Error("what was there from the beginning is not sealed")
	}
	s.append(t, 3)
	s.seal(t, s.b)
	s.append(t, 450) // more than one batch
	if n, err := s.a.Audit.Unsealed(t.Context()); err != nil || n != 450 {
		t.Errorf("%d wait for a seal, %v", n, err)
	}
	s.seal(t, s.a)
	dump := s.a.State.Dump(t)
	s.seal(t, s.b)
	if after := s.a.State.Dump(t); after != dump {
		t.Errorf("sealing again changed:\n%s", difference(dump, after))
	}
	if head := s.head(t); head.Seq != before.Seq+453 || !head.Authentic(s.b.Ring) {
		t.Errorf("the head is %+v, %d records after %+v", head, 453, before)
	}
	if got := s.damages(t, before); got != nil {
		t.Errorf("found %q", got)
	}
	page, err := s.b.Audit.Sealed(t.Context(), before.Seq, 1)
	want := audit.Event{
		At: epoch.Add(time.Millisecond), Type: audit.FactorRefused, Reason: numbered(0), Subject: alice, Client: spa, Session: "s",
		Transaction: "t", Authenticators: []string{"a", "b"}, Grant: "mfa-otp", Address: "192.0.2.1",
	}
	if err != nil || len(page) != 1 || !equalEvents(page[0].Event, want) || page[0].Seal.Seq != before.Seq+1 {
		t.Errorf("%+v, %v", page, err)
	}
}

// Nobody who writes waits for a seal, and two nodes that seal at once make one chain.
func raceSeal(t *testing.T, s *databaseSuite) {
	const writers, each = 50, 6
	var writing, sealing sync.WaitGroup
	done := make(chan struct{})
	for _, n := range []Node{s.a, s.b} {
		sealing.Go(func() {
			for {
				if err := n.Audit.Seal(t.Context()); err != nil {
					t.Errorf("seal: %v", err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				e := audit.Event{At: s.now(), Type: audit.FactorRefused, Subject: numbered(w), Reason: numbered(i)}
				if err := s.node(w+i).Log.Append(t.Context(), e); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	writing.Wait()
	close(done)
	sealing.Wait()
	s.seal(t, s.a)
	if n, err := s.a.Audit.Unsealed(t.Context()); err != nil || n != 0 {
		t.Errorf("%d wait for a seal, %v", n, err)
	}
	if got := s.damages(t, audit.Seal{}); got != nil {
		t.Errorf("found %q", got)
	}
	if head, n := s.head(t), s.events(t, audit.FactorRefused); n != writers*each || head.Seq < writers*each {
		t.Errorf("%d events, the head is %d", n, head.Seq)
	}
}

// Whatever is done to sealed records by SQL is found, and nothing else is.
func sealTampered(t *testing.T, s *databaseSuite) {
	s.seal(t, s.a)
	first := s.head(t).Seq + 1
	s.append(t, 10)
	s.seal(t, s.a)
	known := s.head(t)
	at := func(n int64) string { return fmt.Sprint(first + n) }
	whole := func(column string) string {
		return fmt.Sprintf("UPDATE audit_events SET %[1]s = (SELECT %[1]s FROM audit_events WHERE seal_seq = %[2]s) WHERE seal_seq = %[3]s",
			column, at(1), at(2))
	}
	for _, tt := range []struct{ name, change, back, want string }{
		{"a subject", "UPDATE audit_events SET subject = 'bob' WHERE seal_seq = " + at(3),
			"UPDATE audit_events SET subject = '" + alice + "' WHERE seal_seq = " + at(3), "record " + at(3) + " "},
		{"an outcome", "UPDATE audit_events SET success = (1 = 1) WHERE seal_seq = " + at(3),
			"UPDATE audit_events SET success = (1 = 0) WHERE seal_seq = " + at(3), "record " + at(3) + " "},
		{"a list", "UPDATE audit_events SET authenticators = 'x[' WHERE seal_seq = " + at(3),
			`UPDATE audit_events SET authenticators = '["a","b"]' WHERE seal_seq = ` + at(3), "record " + at(3) + " "},
		{"a reason of another", whole("reason"), "UPDATE audit_events SET reason = 'n02' WHERE seal_seq = " + at(2), "record " + at(2) + " "},
		{"a seal that is half gone", "UPDATE audit_events SET seal_hash = NULL WHERE seal_seq = " + at(3), "", "record " + at(3) + " "},
	} {
		s.a.Audit.Execute(t, tt.change)
		got := s.damages(t, audit.Seal{})
		if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("%s: found %q, want %q", tt.name, got, tt.want)
		}
		if tt.back == "" {
			continue
		}
		s.a.Audit.Execute(t, tt.back)
		if got := s.damages(t, known); got != nil {
			t.Errorf("%s, and back: found %q", tt.name, got)
		}
	}
	wants := func(what string, known audit.Seal, want ...string) {
		t.Helper()
		got := s.damages(t, known)
		for _, w := range want {
			if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, w) }) {
				t.Errorf("%s: found %q, want %q", what, got, w)
			}
		}
	}
	s.a.Audit.Execute(t, "UPDATE audit_events SET seal_seq = -1 WHERE seal_seq = "+at(4))
	s.a.Audit.Execute(t, "UPDATE audit_events SET seal_seq = "+at(4)+" WHERE seal_seq = "+at(5))
	wants("out of order", audit.Seal{}, "record "+at(4)+" ", "record "+at(5)+" is missing")
	s.a.Audit.Execute(t, "DELETE FROM audit_events WHERE seal_seq = "+at(7))
	wants("deleted", audit.Seal{}, "record "+at(7)+" is missing")
	s.a.Audit.Execute(t, "DELETE FROM audit_events WHERE seal_seq > "+at(7))
	s.append(t, 3)
	s.seal(t, s.b) // it goes on where it was, so that a gap stays
	wants("a cut tail", known, "records "+at(7)+" to "+at(9)+" are missing")
}

// A head that was set back takes the tail with it: only a head of before shows that. One
// that was made up stops the sealer, which would vouch for it.
func sealForgedHead(t *testing.T, s *databaseSuite) {
	s.append(t, 5)
	s.seal(t, s.a)
	earlier := s.head(t)
	s.append(t, 5)
	s.seal(t, s.a)
	known := s.head(t)
	s.a.Audit.Execute(t, fmt.Sprintf("DELETE FROM audit_events WHERE seal_seq > %d", earlier.Seq))
	s.a.Audit.Execute(t, fmt.Sprintf("UPDATE audit_head SET seq = %d, hash = '%s', mac = '%s'", earlier.Seq, earlier.Hash, earlier.MAC))
	if got := s.damages(t, earlier); got != nil {
		t.Errorf("found %q", got)
	}
	if got := s.damages(t, known); len(got) != 1 || !strings.Contains(got[0], "cut off") {
		t.Errorf("a cut tail: found %q", got)
	}
	s.append(t, 5) // as many as were cut
	s.seal(t, s.a)
	if got := s.damages(t, known); len(got) != 1 || !strings.Contains(got[0], "is not the one of the head") {
		t.Errorf("a new tail: found %q", got)
	}
	s.a.Audit.Execute(t, "UPDATE audit_head SET hash = 'x'")
	s.append(t, 1)
	if err := s.b.Audit.Seal(t.Context()); err == nil || !strings.Contains(err.Error(), "audit verify") {
		t.Errorf("sealed behind a forged head: %v", err)
	}
	if got := s.damages(t, audit.Seal{}); len(got) != 1 || !strings.Contains(got[0], "head that the sealer noted") {
		t.Errorf("a forged head: found %q", got)
	}
	// A new chain, as operations.md has it.
	s.a.Audit.Execute(t, "UPDATE audit_events SET seal_seq = NULL, seal_hash = NULL, seal_mac = NULL")
	s.a.Audit.Execute(t, "UPDATE audit_head SET seq = 0, hash = '', mac = ''")
	s.seal(t, s.b)
	if got := s.damages(t, s.head(t)); got != nil {
		t.Errorf("a new chain: found %q", got)
	}
	if got := s.damages(t, known); len(got) != 1 || !strings.Contains(got[0], "is not the one of the head") {
		t.Errorf("a new chain, against a head of before: found %q", got)
	}
}

func recordsByTime(t *testing.T, s *databaseSuite) {
	s.pass(time.Hour)
	start := s.now()
	s.append(t, 10)
	reasons := func(q audit.Query) (all []string) {
		t.Helper()
		for more := true; more; {
			page, err := s.b.Audit.Records(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				q.After, all = r.ID, append(all, r.Event.Reason)
			}
			more = len(page) == q.Limit
		}
		return all
	}
	ms := func(n int) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }
	for _, tt := range []struct {
		q    audit.Query
		want string
	}{
		{audit.Query{Since: ms(1), Limit: 3}, "n00 n01 n02 n03 n04 n05 n06 n07 n08 n09"},
		{audit.Query{Since: ms(8), Limit: 100}, "n07 n08 n09"},
		{audit.Query{Since: ms(3), Until: ms(5), Limit: 2}, "n02 n03"},
		{audit.Query{Since: ms(11), Limit: 2}, ""},
	} {
		if got := strings.Join(reasons(tt.q), " "); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.q, got, tt.want)
		}
	}
	if got := len(reasons(audit.Query{Until: ms(1), Limit: 2})); got != 3 {
		t.Errorf("%d records before, want those of the three changes", got)
	}
}

// A demand for a factor that no tokens followed is an abandoned login, whatever was tried.
func recordsAbandoned(t *testing.T, s *databaseSuite) {
	write := func(kind audit.Type, transaction string) {
		t.Helper()
		if err := s.a.Log.Append(t.Context(), audit.Event{At: s.now(), Type: kind, Subject: alice, Transaction: transaction}); err != nil {
			t.Fatal(err)
		}
	}
	for _, transaction := range []string{"", "finished", "left", "refused"} { // the first is of a version before
		write(audit.FactorDemanded, transaction)
	}
	write(audit.FactorRefused, "refused")
	write(audit.FactorRefused, "finished")
	s.pass(time.Minute)
	write(audit.TokensIssued, "finished")
	write(audit.FactorDemanded, "under way")
	page, err := s.b.Audit.Records(t.Context(), audit.Query{Abandoned: s.now(), Limit: 10})
	var got []string
	for _, r := range page {
		got = append(got, r.Event.Transaction)
	}
	if want := []string{"left", "refused"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("abandoned %q, %v, want %q", got, err, want)
	}
}

// I8: what cannot be recorded does not happen.
func recordOrNothing(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	s.a.Audit.Execute(t, "ALTER TABLE audit_events RENAME TO lost")
	s.refuse(t, s.issuance(alice, "1", record.Redemption{Kind: "mfa_token", Hash: "h", ExpiresAt: s.now().Add(time.Hour)}), fault.Unavailable)
	before := s.a.State.Dump(t)
	for name, err := range map[string]error{
		"count a failure": s.a.Limiter.Attempt(t.Context(), s.failure(alice), limits),
		"append":          s.a.Log.Append(t.Context(), audit.Event{At: s.now(), Type: audit.FactorDemanded}),
		"block a user":    s.a.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice)),
	} {
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v, want Unavailable", name, err)
		}
	}
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("without a record this happened:\n%s", difference(before, after))
	}
	s.a.Audit.Execute(t, "ALTER TABLE lost RENAME TO audit_events")
	s.issue(t, s.issuance(alice, "2", record.Redemption{Kind: "mfa_token", Hash: "h", ExpiresAt: s.now().Add(time.Hour)}))
}
