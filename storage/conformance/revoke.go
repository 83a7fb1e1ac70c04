package conformance

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

func revokeTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"an access token ends":               revokeAccess,
		"a refresh token ends its login":     revokeFamily,
		"a client's own token ends":          revokeOwn,
		"another client's token is left":     revokeForeign,
		"what nobody knows ends nothing":     revokeUnknown,
		"a blocked login can be revoked":     revokeBlocked,
		"50 revoke one family":               raceRevocation,
		"no token outlives its family's end": raceRevocationAndIssue,
		"a revocation given up":              revokeCanceled,
		"what rests on a token ends with it": revokeParent,
	}
}

// revocation is the client's wish; the store adds whom it concerns.
func (s *databaseSuite) revocation(client, access, refresh string) record.Revocation {
	return record.Revocation{Client: client, Access: access, Refresh: refresh, Event: audit.Event{
		At: s.now(), Type: audit.TokensRevoked, Success: true, Client: client, Address: "192.0.2.7",
	}}
}

func (s *databaseSuite) revoke(t *testing.T, access, refresh string) {
	t.Helper()
	if err := s.a.Revoker.Revoke(t.Context(), s.revocation(spa, access, refresh)); err != nil {
		t.Fatalf("revoke %s%s: %v", access, refresh, err)
	}
}

// lives wants the access tokens of these issuances to be active, or not.
func (s *databaseSuite) lives(t *testing.T, want bool, issuances ...string) {
	t.Helper()
	for _, n := range issuances {
		if s.active(t, n) != want {
			t.Errorf("the access token of %s: active is %v", n, !want)
		}
	}
}

// grows is a rotation: the next token of a family of alice's.
func (s *databaseSuite) grows(family, n string) record.Issuance {
	i := s.issuance(alice, n)
	i.Session.ID, i.Refresh.Family = "session-"+family, "family-"+family
	return i
}

func revokeAccess(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	s.issue(t, s.grows("one", "two"))
	s.issue(t, s.issuance(alice, "other"))
	s.pass(time.Minute)
	s.revoke(t, "jti-one", "")
	s.lives(t, false, "one")
	s.lives(t, true, "two", "other")
	want := s.revocation(spa, "", "").Event
	want.Subject, want.Session = alice, "session-one"
	if all, err := s.b.State.AuditEvents(t.Context(), 1); err != nil || len(all) != 1 || !equalEvents(all[0], want) {
		t.Errorf("audit %+v, %v, want %+v", all, err, want)
	}
	s.issue(t, s.grows("one", "three")) // its session and its family go on

	before := s.a.State.Dump(t)
	s.pass(time.Minute)
	s.revoke(t, "jti-one", "")
	if s.a.State.Dump(t) != before {
		t.Error("what is over ended once more")
	}
}

// A refresh token that was used up long ago ends its family as the last one does.
func revokeFamily(t *testing.T, s *databaseSuite) {
	for run, which := range []string{"first", "second"} {
		name := func(n string) string { return n + numbered(run) }
		s.issue(t, s.issuance(alice, name("first")))
		s.issue(t, s.grows(name("first"), name("second")))
		s.issue(t, s.issuance(alice, name("other")))
		s.issue(t, s.issuance(bob, name("bob")))
		s.revoke(t, "", "refresh-"+name(which))
		s.lives(t, false, name("first"), name("second"))
		s.lives(t, true, name("other"), name("bob"))
		s.refuse(t, s.grows(name("first"), name("third")), fault.NotFound)
		s.issue(t, s.grows(name("other"), name("more")))
	}
	if n := s.events(t, audit.TokensRevoked); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func revokeOwn(t *testing.T, s *databaseSuite) {
	i := s.issuance("", "own")
	i.Session, i.Refresh, i.Event.Session = record.Session{Client: spa}, nil, ""
	s.issue(t, i)
	s.revoke(t, "jti-own", "")
	s.lives(t, false, "own")
}

func revokeForeign(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	before := s.a.State.Dump(t)
	for _, r := range []record.Revocation{
		s.revocation("web", "jti-one", ""), s.revocation("web", "", "refresh-one"),
		s.revocation("", "jti-one", ""), s.revocation("SPA", "", "refresh-one"),
	} {
		if err := s.b.Revoker.Revoke(t.Context(), r); fault.Of(err) != fault.ForeignToken {
			t.Errorf("%+v: %v, want ForeignToken", r, err)
		}
	}
	s.lives(t, true, "one")
	if s.a.State.Dump(t) != before {
		t.Error("a refused revocation left something behind")
	}
}

func revokeUnknown(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	before := s.a.State.Dump(t)
	for _, names := range [][2]string{{"", ""}, {"nobody", ""}, {"", "nobody"}, {"refresh-one", ""}, {"", "jti-one"}, {"", "family-one"}, {"JTI-ONE", ""}} {
		s.revoke(t, names[0], names[1])
	}
	s.lives(t, true, "one")
	if s.a.State.Dump(t) != before {
		t.Error("something was left behind")
	}
}

// What ends with a block stays ended when the block does.
func revokeBlocked(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	for _, blocked := range []bool{true, false} {
		if err := s.a.People.SetUserBlocked(t.Context(), alice, blocked, s.changed(alice)); err != nil {
			t.Fatal(err)
		}
		s.revoke(t, "", "refresh-one")
		s.lives(t, false, "one")
	}
	if n := s.events(t, audit.TokensRevoked); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func raceRevocation(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	atBarrier(func(i int) {
		if err := s.node(i).Revoker.Revoke(t.Context(), s.revocation(spa, "", "refresh-one")); err != nil {
			t.Errorf("revoke: %v", err)
		}
	})
	s.lives(t, false, "one")
	if n := s.events(t, audit.TokensRevoked); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// Rotations and a revocation at once: whichever came first, nothing is left of the
// family.
func raceRevocationAndIssue(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	var made atomic.Int64
	atBarrier(func(i int) {
		if i == parallel/2 {
			if err := s.node(i).Revoker.Revoke(t.Context(), s.revocation(spa, "", "refresh-one")); err != nil {
				t.Errorf("revoke: %v", err)
			}
			return
		}
		err := s.node(i).Records.Issue(t.Context(), s.grows("one", numbered(i)))
		switch {
		case err == nil:
			made.Add(1)
		case fault.Of(err) != fault.NotFound:
			t.Errorf("issue: %v", err)
		}
	})
	for i := range parallel {
		s.lives(t, false, numbered(i))
	}
	if n := s.events(t, audit.TokensIssued); n != int(made.Load())+1 {
		t.Errorf("%d issuances on record, %d were made", n, made.Load()+1)
	}
}

func revokeCanceled(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.a.Revoker.Revoke(ctx, s.revocation(spa, "jti-one", "")); fault.Of(err) != fault.Unavailable {
		t.Errorf("revoke: %v, want Unavailable", err)
	}
	s.lives(t, true, "one")
}

func revokeParent(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	for n, of := range map[string]string{"two": "jti-one", "three": "jti-two", "other": ""} {
		i := s.issuance(alice, n)
		i.Access.Parent = of
		s.issue(t, i)
	}
	s.issue(t, s.issuance(alice, "before", record.InHand{Access: "jti-two"}))
	s.revoke(t, "jti-one", "")
	s.lives(t, false, "one", "two", "three")
	s.lives(t, true, "other", "before")
	s.refuse(t, s.issuance(alice, "after", record.InHand{Access: "jti-two"}), fault.BadAccessToken)
	s.refuse(t, s.issuance(alice, "none", record.InHand{Access: "jti-none"}), fault.BadAccessToken)
}
