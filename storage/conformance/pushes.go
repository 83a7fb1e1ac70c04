package conformance

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
)

func pushTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"50 pushes from 50 addresses":           racePushes,
		"50 pushes from one address":            raceReplacements,
		"50 users push":                         raceGateway,
		"a push has the place of another":       pushReplaced,
		"a user's pushes are limited":           pushLimits,
		"the gateway's pushes are limited":      pushGateway,
		"refusals pause":                        pushPauses,
		"a login ends the refusals":             refusalsEnd,
		"a login closes its push":               pushCloses,
		"a push that did not go out":            pushWithdrawn,
		"nobody asks a blocked user":            pushBlocked,
		"50 answers":                            raceAnswers,
		"an answer has its time":                answerLate,
		"a denial races with an issuance":       raceDenial,
		"a denial outlasts the state store":     denialStays,
		"an answer of a device that is removed": answerRemoved,
		"pushes are swept":                      pushesSwept,
	}
}

// pushLimit is what no test reaches that is not about it.
var pushLimit = oob.Limits{Minute: 100, Hour: 100, Gateway: 1000, Code: 3, Pause: 100, For: 30 * time.Minute}

// challenge is a push to a phone of the subject about the login n; all come from one place.
func (s *databaseSuite) challenge(n, subject string) oob.Challenge {
	return oob.Challenge{
		ID: "oob-" + n, Handle: "tx-" + n, Authenticator: "push|dev_a", Channel: "auth0", CreatedAt: s.now(), ExpiresAt: s.now().Add(5 * time.Minute),
		Subject: subject, Client: spa, Address: "192.0.2.7",
	}
}

func (s *databaseSuite) ask(c oob.Challenge) oob.Ask {
	return oob.Ask{Challenge: c, Event: audit.Event{At: s.now(), Type: audit.Asked, Subject: c.Subject, Client: c.Client, Address: c.Address}}
}

// admit wants a challenge to be admitted.
func (s *databaseSuite) admit(t *testing.T, c oob.Challenge, l oob.Limits, want oob.Admitted) {
	t.Helper()
	if got, err := s.b.Pushes.Admit(t.Context(), s.ask(c), l); err != nil || got != want {
		t.Errorf("admit %s: %+v, %v, want %+v", c.ID, got, err, want)
	}
}

// await wants a challenge not to be admitted for a while.
func (s *databaseSuite) await(t *testing.T, c oob.Challenge, l oob.Limits, want time.Duration) {
	t.Helper()
	got, err := s.b.Pushes.Admit(t.Context(), s.ask(c), l)
	s.waits(t, err, fault.TooManyMessages, want)
	if got != (oob.Admitted{}) {
		t.Errorf("admit %s: %+v and %v", c.ID, got, err)
	}
}

func (s *databaseSuite) approval(c oob.Challenge) oob.Answer {
	return oob.Answer{Challenge: c, Approved: true, Event: s.device(audit.Approved, c.Subject)}
}

func (s *databaseSuite) denial(c oob.Challenge) oob.Answer {
	return oob.Answer{Challenge: c, Event: s.device(audit.Denied, c.Subject)}
}

func (s *databaseSuite) answer(t *testing.T, a oob.Answer, want fault.Kind) {
	t.Helper()
	err := s.a.Pushes.Answer(t.Context(), a)
	wantKind(t, err, want)
}

// approved is what a login about a challenge uses up.
func (s *databaseSuite) approved(c oob.Challenge) []record.Consumption {
	return []record.Consumption{
		record.Redemption{Kind: "mfa_token", Hash: c.Handle, ExpiresAt: s.now().Add(10 * time.Minute), Began: c.CreatedAt},
		record.Approval{Authenticator: c.Authenticator, Challenge: c.ID, ExpiresAt: c.ExpiresAt.Add(oob.Window)},
	}
}

// atOnce counts what becomes of many asks.
func (s *databaseSuite) atOnce(t *testing.T, l oob.Limits, challenge func(i int) oob.Challenge) int64 {
	t.Helper()
	var admitted atomic.Int64
	atBarrier(func(i int) {
		switch _, err := s.node(i).Pushes.Admit(t.Context(), s.ask(challenge(i)), l); {
		case err == nil:
			admitted.Add(1)
		case fault.Of(err) != fault.TooManyMessages:
			t.Errorf("admit: %v", err)
		}
	})
	if n := s.events(t, audit.Asked); n != parallel {
		t.Errorf("%d events, want %d", n, parallel)
	}
	return admitted.Load()
}

func racePushes(t *testing.T, s *databaseSuite) {
	n := s.atOnce(t, pushLimit, func(i int) oob.Challenge {
		c := s.challenge(numbered(i), alice)
		c.Address = numbered(i)
		return c
	})
	if n != 1 {
		t.Errorf("%d are live, want 1", n)
	}
}

func raceReplacements(t *testing.T, s *databaseSuite) {
	l := pushLimit
	l.Minute = 7
	n := s.atOnce(t, l, func(i int) oob.Challenge { return s.challenge(numbered(i), alice) })
	if n != 7 {
		t.Errorf("%d were admitted, want 7", n)
	}
	live := 0
	for i := range parallel {
		if err := s.a.Pushes.Answer(t.Context(), s.approval(s.challenge(numbered(i), alice))); err == nil {
			live++
		}
	}
	if live != 1 {
		t.Errorf("%d could be answered, want 1", live)
	}
}

func raceGateway(t *testing.T, s *databaseSuite) {
	s.everybody(t)
	l := pushLimit
	l.Gateway = 9
	n := s.atOnce(t, l, func(i int) oob.Challenge { return s.challenge(numbered(i), "auth0|"+numbered(i)) })
	if n != 9 {
		t.Errorf("%d were admitted, want 9", n)
	}
}

// One place of a login replaces what it asked itself, and nothing else does.
func pushReplaced(t *testing.T, s *databaseSuite) {
	first := s.challenge("1", alice)
	s.admit(t, first, pushLimit, oob.Admitted{})
	s.pass(time.Minute)
	elsewhere, other := s.challenge("2", alice), s.challenge("3", alice)
	elsewhere.Address, other.Client = "192.0.2.8", "another"
	s.await(t, elsewhere, pushLimit, 4*time.Minute)
	s.await(t, other, pushLimit, 4*time.Minute)
	s.admit(t, s.challenge("bob", bob), pushLimit, oob.Admitted{})
	second := s.challenge("4", alice)
	s.admit(t, second, pushLimit, oob.Admitted{Replaced: first.ID, Refusals: 1})
	s.answer(t, s.approval(first), fault.NotFound)
	s.answer(t, s.denial(first), fault.NotFound)
	s.pass(time.Minute)
	s.await(t, elsewhere, pushLimit, 4*time.Minute)
	s.pass(time.Minute)
	s.answer(t, s.approval(second), "")
	s.pass(time.Minute)
	s.admit(t, elsewhere, pushLimit, oob.Admitted{Refusals: 1}) // it is out of the way
	all, err := s.a.State.AuditEvents(t.Context(), 3)
	if err != nil || !all[0].Success || all[1].Type != audit.Approved || all[2].Success || all[2].Reason != fault.TooManyMessages.Error() {
		t.Errorf("recorded %+v, %v", all, err)
	}
}

func pushLimits(t *testing.T, s *databaseSuite) {
	l := pushLimit
	l.Minute, l.Hour = 2, 5
	begin, n := s.now(), 0
	ask := func(wait time.Duration) {
		t.Helper()
		n++
		c := s.challenge(numbered(n), alice)
		c.Client, c.Address = numbered(n), numbered(n)
		if wait > 0 {
			s.await(t, c, l, wait)
			return
		}
		if _, err := s.node(n).Pushes.Admit(t.Context(), s.ask(c), l); err != nil {
			t.Errorf("admit %d: %v", n, err)
		}
		s.answer(t, s.approval(c), "")
		s.issue(t, s.issuance(alice, numbered(n), s.redemption(numbered(n)))) // which resets nothing of this
	}
	ask(0)
	s.pass(20 * time.Second)
	ask(0)
	ask(40 * time.Second)
	s.pass(40*time.Second - time.Millisecond)
	ask(time.Millisecond)
	s.pass(time.Millisecond)
	ask(0)
	ask(20 * time.Second)
	s.pass(time.Minute)
	ask(0)
	ask(0)
	s.pass(time.Minute)
	ask(begin.Add(time.Hour).Sub(s.now()))
	s.pass(begin.Add(time.Hour).Sub(s.now()))
	ask(0)
	ask(20 * time.Second)
}

func pushGateway(t *testing.T, s *databaseSuite) {
	l := pushLimit
	l.Gateway = 2
	s.admit(t, s.challenge("1", alice), l, oob.Admitted{})
	s.admit(t, s.challenge("2", bob), l, oob.Admitted{})
	s.await(t, s.challenge("3", bob), l, 30*time.Second)
	s.answer(t, s.approval(s.challenge("2", bob)), "") // what was refused has replaced nothing
	s.pass(30 * time.Second)
	s.admit(t, s.challenge("3", bob), l, oob.Admitted{})
	s.await(t, s.challenge("4", alice), l, 30*time.Second)
}

// What is denied, replaced, or not answered in time is refused; too many in a row pause.
func pushPauses(t *testing.T, s *databaseSuite) {
	l := pushLimit
	l.Pause = 3
	s.admit(t, s.challenge("1", alice), l, oob.Admitted{})
	s.pass(5 * time.Minute)
	s.admit(t, s.challenge("2", alice), l, oob.Admitted{Refusals: 1})
	s.admit(t, s.challenge("3", alice), l, oob.Admitted{Replaced: "oob-2", Refusals: 2})
	s.answer(t, s.denial(s.challenge("3", alice)), "")
	s.await(t, s.challenge("4", alice), l, 30*time.Minute)
	s.pass(30*time.Minute - time.Millisecond)
	elsewhere := s.challenge("5", alice)
	elsewhere.Client, elsewhere.Address = "another", "192.0.2.8"
	s.await(t, elsewhere, l, time.Millisecond)
	s.pass(time.Millisecond)
	s.admit(t, elsewhere, l, oob.Admitted{Refusals: 3, Denied: true})
	s.pass(35 * time.Minute) // the pause began when nobody had answered
	s.admit(t, s.challenge("6", alice), l, oob.Admitted{Refusals: 4, Denied: true})
	s.pass(6 * time.Minute)
	s.await(t, s.challenge("7", alice), l, 29*time.Minute)
	s.admit(t, s.challenge("8", bob), l, oob.Admitted{})
}

func refusalsEnd(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a")
	deny := func(n string, want oob.Admitted) {
		t.Helper()
		s.admit(t, s.challenge(n, alice), pushLimit, want)
		s.answer(t, s.denial(s.challenge(n, alice)), "")
	}
	deny("1", oob.Admitted{})
	deny("2", oob.Admitted{Refusals: 1, Denied: true})
	s.issue(t, s.issuance(alice, "password")) // nobody proved a second factor
	deny("3", oob.Admitted{Refusals: 2, Denied: true})
	s.issue(t, s.issuance(alice, "otp", s.redemption("otp")))
	deny("4", oob.Admitted{})
	c := s.challenge("5", alice)
	s.admit(t, c, pushLimit, oob.Admitted{Refusals: 1, Denied: true})
	s.answer(t, s.approval(c), "")
	s.issue(t, s.issuance(alice, "push", s.approved(c)...))
	s.answer(t, s.approval(c), "") // a device that did not hear the answer
	s.answer(t, s.denial(c), fault.NotFound)
	s.admit(t, s.challenge("6", alice), pushLimit, oob.Admitted{})
}

// A login that another factor finished waits for its push no more; for others nothing
// changes.
func pushCloses(t *testing.T, s *databaseSuite) {
	c, elsewhere := s.challenge("1", alice), s.challenge("2", alice)
	elsewhere.Address = "192.0.2.8"
	s.admit(t, c, pushLimit, oob.Admitted{})
	s.issue(t, s.issuance(alice, "other", s.redemption("other")))
	s.await(t, elsewhere, pushLimit, 5*time.Minute)
	s.issue(t, s.issuance(alice, "same", s.redemption("1")))
	s.answer(t, s.approval(c), fault.NotFound)
	s.admit(t, elsewhere, pushLimit, oob.Admitted{})
}

// pushWithdrawn: nobody was asked, so nobody refused, and nobody answers. But no limit is
// evaded so, and what took its place stays.
func pushWithdrawn(t *testing.T, s *databaseSuite) {
	withdraw := func(c oob.Challenge) {
		t.Helper()
		if err := s.a.Pushes.Withdraw(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	c, elsewhere := s.challenge("1", alice), s.challenge("2", alice)
	elsewhere.Address = "192.0.2.8"
	s.admit(t, c, pushLimit, oob.Admitted{})
	withdraw(c)
	s.answer(t, s.approval(c), fault.NotFound)
	s.admit(t, elsewhere, pushLimit, oob.Admitted{})
	withdraw(c)
	s.answer(t, s.approval(elsewhere), "")
	withdraw(elsewhere)
	s.answer(t, s.approval(elsewhere), "") // the same again: it is answered still
	l := pushLimit
	l.Minute = 2
	s.await(t, s.challenge("3", alice), l, time.Minute)
}

func pushBlocked(t *testing.T, s *databaseSuite) {
	c := s.challenge("1", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	if err := s.a.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	before := s.a.State.Dump(t)
	for _, subject := range []string{alice, "auth0|nobody"} {
		if _, err := s.b.Pushes.Admit(t.Context(), s.ask(s.challenge("2", subject)), pushLimit); fault.Of(err) != fault.UserBlocked {
			t.Errorf("admit for %s: %v, want UserBlocked", subject, err)
		}
	}
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("it left something behind:\n%s", difference(before, after))
	}
	s.answer(t, s.denial(c), "") // whoever says no is heard
	s.answer(t, s.denial(s.challenge("3", "auth0|nobody")), fault.NotFound)
	if err := s.a.Removals.DeleteUser(t.Context(), alice, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.answer(t, s.denial(c), fault.NotFound)
}

// What no limit is about any more is swept, and nothing else, also while users are asked.
func pushesSwept(t *testing.T, s *databaseSuite) {
	s.everybody(t)
	s.admit(t, s.challenge("1", alice), pushLimit, oob.Admitted{})
	s.answer(t, s.approval(s.challenge("1", alice)), "")
	s.admit(t, s.challenge("2", bob), pushLimit, oob.Admitted{})
	s.pass(2 * time.Hour)
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		if err := s.b.State.Sweep(t.Context(), s.now()); err != nil {
			t.Error(err)
		}
	})
	atBarrier(func(i int) {
		c := s.challenge(numbered(i), "auth0|"+numbered(i))
		if _, err := s.node(i).Pushes.Admit(t.Context(), s.ask(c), pushLimit); err != nil {
			t.Error(err)
		}
		if err := s.node(i+1).Pushes.Answer(t.Context(), s.approval(c)); err != nil {
			t.Errorf("answer: %v", err)
		}
	})
	sweeping.Wait()
	dump := s.a.State.Dump(t)
	if strings.Contains(dump, "oob-1") || !strings.Contains(dump, "oob-2") {
		t.Error("the sweep took the wrong pushes")
	}
	s.admit(t, s.challenge("3", bob), pushLimit, oob.Admitted{Refusals: 1})
}
