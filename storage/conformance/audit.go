package conformance

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
)

func auditTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"audit events round trip": auditRoundTrip,
		"audit keeps its order":   auditOrder,
		"audit takes any text":    auditAnyText,
	}
}

func auditRoundTrip(t *testing.T, s *databaseSuite) {
	want := audit.Event{
		At: s.now().Add(7 * time.Millisecond), Type: audit.FactorRefused, Reason: "wrong_otp", Subject: alice, Client: spa, Transaction: "t",
		Session: "s", Authenticators: []string{"totp|a", "codes|a"}, Grant: "mfa-otp", Address: "2001:db8::1",
	}
	if err := s.a.Log.Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := s.b.State.AuditEvents(t.Context(), 1)
	if err != nil || len(got) != 1 || !equalEvents(got[0], want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

// Events of one millisecond keep the order in which a node wrote them; the newest
// comes first.
func auditOrder(t *testing.T, s *databaseSuite) {
	for i := range 30 {
		if err := s.a.Log.Append(t.Context(), audit.Event{At: s.now(), Type: audit.Removed, Reason: numbered(i)}); err != nil {
			t.Fatal(err)
		}
		s.pass(time.Duration(i%2) * time.Millisecond)
	}
	got, err := s.b.State.AuditEvents(t.Context(), 30)
	if err != nil || len(got) != 30 {
		t.Fatalf("%d events, %v, want 30", len(got), err)
	}
	for i, e := range got {
		if e.Reason != numbered(29-i) {
			t.Errorf("event %d is %s, want %s", i, e.Reason, numbered(29-i))
		}
	}
}

// An event may quote a request: no text may keep it, or the count with it, from being
// written.
func auditAnyText(t *testing.T, s *databaseSuite) {
	const odd = "a\x00b\xff\xfec'\"\\%;--é"
	if err := s.a.Log.Append(t.Context(), audit.Event{At: s.now(), Type: audit.Removed, Reason: odd, Grant: odd, Address: odd}); err != nil {
		t.Error(err)
	}
	f := s.failure(alice)
	f.Event.Client, f.Event.Reason, f.Event.Session = odd, odd, odd
	if err := s.a.Limiter.Attempt(t.Context(), f, limits); err != nil {
		t.Error(err)
	}
	s.wantFailures(t, 1, nil)
	got, err := s.b.State.AuditEvents(t.Context(), 1)
	if want := "a\uFFFDb\uFFFDc'\"\\%;--é"; err != nil || len(got) != 1 || got[0].Reason != want {
		t.Errorf("%+v, %v, want %q", got, err, want)
	}
}
