package conformance

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

func refreshTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"a refresh token is found":            refreshFound,
		"a refresh token that is over":        refreshOver,
		"a refresh token is used once":        rotateOnce,
		"a leeway allows five further uses":   rotateLeeway,
		"a rotation stays in its session":     rotateForeign,
		"50 use one refresh token":            raceRotation,
		"50 use one within its leeway":        raceLeeway,
		"a session that is over takes nobody": sessionOver,
		"a login goes on with its session":    loginContinues,
	}
}

// rotation uses up the refresh token of an issuance.
func rotation(of record.Issuance, leeway time.Duration) record.Rotation {
	r := of.Refresh
	return record.Rotation{Hash: r.Hash, Family: r.Family, Audience: r.Audience, Scopes: r.Scopes, ExpiresAt: r.ExpiresAt, Leeway: leeway}
}

// rotates is the issuance of a successor, in the session of the first one.
func (s *databaseSuite) rotates(of record.Issuance, n string, leeway time.Duration) record.Issuance {
	i := s.issuance(alice, n, rotation(of, leeway))
	i.Session = of.Session
	i.Session.CreatedAt = time.Time{}
	i.Refresh.Family, i.Refresh.ExpiresAt = of.Refresh.Family, of.Refresh.ExpiresAt
	return i
}

func (s *databaseSuite) renewal(t *testing.T, n string) record.Renewal {
	t.Helper()
	got, err := s.b.Refresh.RefreshToken(t.Context(), "refresh-"+n, spa, s.now())
	if err != nil {
		t.Fatalf("find refresh-%s: %v", n, err)
	}
	return got
}

func (s *databaseSuite) unfound(t *testing.T, hash, client string, want fault.Kind) {
	t.Helper()
	if got, err := s.b.Refresh.RefreshToken(t.Context(), hash, client, s.now()); fault.Of(err) != want {
		t.Errorf("%s of %s: %+v, %v, want %v", hash, client, got, err, want)
	}
}

func refreshFound(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	got := s.renewal(t, "one")
	want := rotation(one, 0)
	if got.Rotation.Hash != want.Hash || got.Rotation.Family != want.Family || !slices.Equal(got.Rotation.Audience, want.Audience) ||
		!slices.Equal(got.Rotation.Scopes, want.Scopes) || !got.Rotation.ExpiresAt.Equal(want.ExpiresAt) || !got.UsedAt.IsZero() {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Session.ID != one.Session.ID || got.Session.Subject != alice || got.Session.Client != spa || len(got.Session.Proofs) != 2 {
		t.Errorf("session %+v", got.Session)
	}
	s.pass(time.Minute)
	s.issue(t, s.rotates(one, "two", 0))
	if used := s.renewal(t, "one").UsedAt; !used.Equal(s.now()) {
		t.Errorf("used at %v, want %v", used, s.now())
	}
}

func refreshOver(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	s.unfound(t, "refresh-none", spa, fault.BadRefreshToken)
	s.unfound(t, "refresh-one", "web", fault.BadRefreshToken)
	if err := s.a.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.unfound(t, "refresh-one", spa, fault.UserBlocked)
	if err := s.a.People.SetUserBlocked(t.Context(), alice, false, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.renewal(t, "one")
	s.issue(t, s.issuance(bob, "password"))
	if err := s.a.People.SetPassword(t.Context(), bob, "another", s.changed(bob)); err != nil {
		t.Fatal(err)
	}
	s.unfound(t, "refresh-password", spa, fault.BadRefreshToken)
	s.issue(t, s.issuance(alice, "revoked"))
	s.revoke(t, "", "refresh-revoked")
	s.unfound(t, "refresh-revoked", spa, fault.BadRefreshToken)
	s.issue(t, s.issuance(bob, "gone"))
	if err := s.a.Removals.DeleteUser(t.Context(), bob, s.changed(bob)); err != nil {
		t.Fatal(err)
	}
	s.unfound(t, "refresh-gone", spa, fault.SubjectGone)
	s.unfound(t, "refresh-gone", "web", fault.BadRefreshToken)
	s.refuse(t, s.issuance(bob, "late"), fault.UserBlocked)
	s.pass(24 * time.Hour)
	s.unfound(t, "refresh-one", spa, fault.BadRefreshToken)
}

func rotateOnce(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	s.issue(t, s.rotates(one, "two", 0))
	s.refuse(t, s.rotates(one, "three", 0), fault.UsedRefreshToken)
	behind := s.rotates(one, "behind", 0)
	behind.At = behind.At.Add(-time.Second) // a node whose clock runs late
	s.refuse(t, behind, fault.UsedRefreshToken)
	s.lives(t, true, "one", "two")
	s.unfound(t, "refresh-three", spa, fault.BadRefreshToken)
	s.issue(t, s.rotates(s.rotates(one, "two", 0), "four", 0))
	// Its family is over, and so is it.
	s.revoke(t, "", "refresh-one")
	s.lives(t, false, "one", "two", "four")
	s.refuse(t, s.rotates(s.rotates(one, "four", 0), "five", 0), fault.BadRefreshToken)
}

func rotateLeeway(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	s.issue(t, s.rotates(one, "first", 10*time.Second))
	s.pass(10*time.Second - time.Millisecond)
	for n := range record.FurtherUses {
		s.issue(t, s.rotates(one, numbered(n), 10*time.Second))
	}
	s.refuse(t, s.rotates(one, "often", 10*time.Second), fault.BadRefreshToken)
	s.refuse(t, s.rotates(one, "none", 0), fault.UsedRefreshToken)
	s.pass(time.Millisecond)
	s.refuse(t, s.rotates(one, "late", 10*time.Second), fault.UsedRefreshToken)
}

// Nobody goes on with another session's token, another family's, or none at all.
func rotateForeign(t *testing.T, s *databaseSuite) {
	one, two := s.issuance(alice, "one"), s.issuance(alice, "two")
	s.issue(t, one)
	s.issue(t, two)
	for name, change := range map[string]func(*record.Issuance){
		"session": func(i *record.Issuance) { i.Session.ID = two.Session.ID },
		"token": func(i *record.Issuance) {
			r := rotation(one, 0)
			r.Hash = two.Refresh.Hash
			i.Consumes = []record.Consumption{r}
		},
	} {
		i := s.rotates(one, name, 0)
		change(&i)
		s.refuse(t, i, fault.BadRefreshToken)
	}
	i := s.rotates(one, "family", 0)
	i.Refresh.Family = two.Refresh.Family
	s.refuse(t, i, fault.Internal)
	i = s.rotates(one, "nothing", 0)
	i.Refresh = nil
	s.refuse(t, i, fault.Internal)
	s.issue(t, s.rotates(one, "good", 0))
}

func raceRotation(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	var won atomic.Int64
	atBarrier(func(n int) {
		i := s.rotates(one, numbered(n), 0)
		i.At = i.At.Add(-time.Duration(n) * time.Millisecond) // no two began at the same time
		switch err := s.node(n).Records.Issue(t.Context(), i); {
		case err == nil:
			won.Add(1)
		case fault.Of(err) != fault.UsedRefreshToken:
			t.Errorf("issue: %v", err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d of %d went through, want 1", won.Load(), parallel)
	}
}

func raceLeeway(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	var won atomic.Int64
	atBarrier(func(n int) {
		switch err := s.node(n).Records.Issue(t.Context(), s.rotates(one, numbered(n), time.Second)); {
		case err == nil:
			won.Add(1)
		case fault.Of(err) != fault.BadRefreshToken:
			t.Errorf("issue: %v", err)
		}
	})
	if won.Load() != 1+record.FurtherUses {
		t.Errorf("%d of %d went through, want %d", won.Load(), parallel, 1+record.FurtherUses)
	}
}

// A session that was revoked, or never was, is not made by what goes on with it.
func sessionOver(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	on := func(n, session string) record.Issuance {
		i := s.issuance(alice, n)
		i.Session.ID, i.Session.CreatedAt, i.Refresh = session, time.Time{}, nil
		return i
	}
	s.issue(t, on("two", one.Session.ID))
	s.refuse(t, on("three", "session-none"), fault.NotFound)
	s.revoke(t, "", "refresh-one")
	s.refuse(t, on("four", one.Session.ID), fault.NotFound)
	if n := s.events(t, audit.TokensIssued); n != 2 {
		t.Errorf("%d issuances on record, want 2", n)
	}
}

// A login under way is alive as long as the session and the refresh token that it goes on
// with.
func loginContinues(t *testing.T, s *databaseSuite) {
	one := s.issuance(alice, "one")
	s.issue(t, one)
	r := rotation(one, 0)
	refresh := mfa.Transaction{ID: "t", Login: mfa.Login{Subject: alice, Client: spa, Session: one.Session.ID, Rotates: &r}}
	stepUp := mfa.Transaction{ID: "u", Login: mfa.Login{Subject: alice, Client: spa, Session: one.Session.ID}}
	other := mfa.Transaction{ID: "v", Login: mfa.Login{Subject: alice, Client: spa, Session: "session-none"}}
	want := func(tx mfa.Transaction, alive bool) {
		t.Helper()
		if got, err := s.b.Authenticators.Alive(t.Context(), tx); err != nil || got != alive {
			t.Errorf("transaction %s: alive %t, %v, want %t", tx.ID, got, err, alive)
		}
	}
	want(refresh, true)
	want(stepUp, true)
	want(other, false)
	s.issue(t, s.rotates(one, "two", 0))
	want(refresh, false)
	want(stepUp, true)
	s.revoke(t, "", "refresh-two")
	want(stepUp, false)
}
