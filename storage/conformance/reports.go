package conformance

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
)

func reportTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"a report ends what waits":          reportEnds,
		"a report marks":                    reportMarks,
		"a report races with 49 issuances":  raceReport,
		"a report ends what is asked later": reportAsked,
	}
}

// everybody makes a user for each participant of a race.
func (s *databaseSuite) everybody(t *testing.T) {
	t.Helper()
	for i := range parallel {
		u := identity.User{ID: "auth0|" + numbered(i), Username: numbered(i)}
		if err := s.a.People.CreateUser(t.Context(), u, "", record.ManagedByFile, s.changed(u.ID)); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *databaseSuite) report(c oob.Challenge) oob.Answer {
	return oob.Answer{Challenge: c, Reported: true, Event: s.device(audit.Reported, c.Subject)}
}

// waiting is a login of the subject that waits for a second factor.
func (s *databaseSuite) waiting(subject, n string) mfa.Transaction {
	t := *halfway(subject, n).Transaction
	t.CreatedAt, t.ExpiresAt = s.now(), s.now().Add(10*time.Minute)
	return t
}

// finish is an issuance that finishes a login.
func (s *databaseSuite) finish(tx mfa.Transaction) record.Issuance {
	r := record.Redemption{Kind: "mfa_token", Hash: tx.ID, ExpiresAt: tx.ExpiresAt, Began: tx.CreatedAt}
	return s.issuance(tx.Login.Subject, tx.ID, r)
}

// wantAlive asks both nodes.
func (s *databaseSuite) wantAlive(t *testing.T, tx mfa.Transaction, want bool) {
	t.Helper()
	for _, n := range []Node{s.a, s.b} {
		if got, err := n.Authenticators.Alive(t.Context(), tx); err != nil || got != want {
			t.Errorf("%s of %s is alive: %v, %v, want %v", tx.ID, tx.Login.Subject, got, err, want)
		}
	}
}

// What had begun by then is over, wherever, and whatever the factor; what is finished stays,
// and so does what begins later, or is another user's.
func reportEnds(t *testing.T, s *databaseSuite) {
	done, old, foreign := s.waiting(alice, "done"), s.waiting(alice, "old"), s.waiting(bob, "foreign")
	s.issue(t, s.finish(done))
	c := s.challenge("1", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	s.pass(time.Minute)
	together := s.waiting(alice, "together")
	s.wantAlive(t, old, true)
	s.answer(t, s.report(c), "")
	s.answer(t, s.report(c), "")
	s.answer(t, s.denial(c), fault.NotFound)
	s.pass(time.Millisecond)
	later := s.waiting(alice, "later")
	for _, dead := range []mfa.Transaction{old, together} {
		s.wantAlive(t, dead, false)
		s.refuse(t, s.finish(dead), fault.MalformedMFAToken)
	}
	s.refuse(t, s.issuance(alice, "unknown", s.redemption("unknown")), fault.MalformedMFAToken)
	err := s.a.Authenticators.Associate(t.Context(), mfa.Credential{Subject: alice, Handle: old.ID, Transaction: &old}, nil,
		[]mfa.Authenticator{s.pending("totp|x", alice, old.ID)}, s.changed(alice))
	if fault.Of(err) != fault.BadBearer {
		t.Errorf("associate: %v, want BadBearer", err)
	}
	for _, good := range []mfa.Transaction{later, foreign} {
		s.wantAlive(t, good, true)
		s.issue(t, s.finish(good))
	}
	if !s.active(t, done.ID) {
		t.Error("a session ended with a report")
	}
	if n := s.events(t, audit.Reported); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// The mark stays until whoever was reported does not know the password any more; what is
// over stays over.
func reportMarks(t *testing.T, s *databaseSuite) {
	marked := func(want bool) {
		t.Helper()
		all, err := s.b.People.Users(t.Context(), "", 10)
		if err != nil || len(all) != 2 || all[0].ID != alice || all[0].Reported != want || all[1].Reported {
			t.Errorf("%+v, %v, want a mark of alice: %v", all, err, want)
		}
	}
	old := s.waiting(alice, "old")
	old.Login.Proofs = nil
	c := s.challenge("1", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	marked(false)
	s.answer(t, s.report(c), "")
	marked(true)
	s.pass(time.Millisecond)
	s.issue(t, s.finish(s.waiting(alice, "later")))
	marked(true)
	s.admit(t, s.challenge("2", alice), pushLimit, oob.Admitted{Denied: true})
	s.pass(3 * time.Hour)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	marked(true)
	if err := s.a.People.SetPassword(t.Context(), alice, "another hash", s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	marked(false)
	last := s.challenge("3", alice)
	s.admit(t, last, pushLimit, oob.Admitted{Refusals: 1})
	s.answer(t, s.approval(last), "")
	s.issue(t, s.finish(s.waiting(alice, "last")))
	s.pass(3 * time.Hour)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	s.wantAlive(t, old, false)
}

// Whatever is issued was issued before the report: behind it nothing is.
func raceReport(t *testing.T, s *databaseSuite) {
	c := s.challenge("1", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	var said atomic.Bool
	atBarrier(func(i int) {
		if i == 0 {
			if err := s.a.Pushes.Answer(t.Context(), s.report(c)); err != nil {
				t.Errorf("report: %v", err)
			}
			said.Store(true)
			return
		}
		after := said.Load()
		switch err := s.node(i).Records.Issue(t.Context(), s.finish(s.waiting(alice, numbered(i)))); {
		case err == nil && after:
			t.Errorf("login %d was finished behind the report", i)
		case err != nil && fault.Of(err) != fault.MalformedMFAToken:
			t.Errorf("issue: %v", err)
		}
	})
	for i := range parallel {
		s.wantAlive(t, s.waiting(alice, numbered(i)), false)
	}
}

// A challenge that was made before its login was reported asks nobody.
func reportAsked(t *testing.T, s *databaseSuite) {
	c, next := s.challenge("1", alice), s.challenge("2", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	s.answer(t, s.report(c), "")
	before := s.a.State.Dump(t)
	if _, err := s.b.Pushes.Admit(t.Context(), s.ask(next), pushLimit); fault.Of(err) != fault.MalformedMFAToken {
		t.Errorf("admit: %v, want MalformedMFAToken", err)
	}
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("it left something behind:\n%s", difference(before, after))
	}
	s.pass(time.Millisecond)
	s.admit(t, s.challenge("3", alice), pushLimit, oob.Admitted{Refusals: 1, Denied: true})
}
