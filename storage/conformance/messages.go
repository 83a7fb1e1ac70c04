package conformance

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/throttle"
)

func messageTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"50 messages find the budgets":         raceMessages,
		"a full budget takes from no other":    budgetsTogether,
		"an answered message is given back":    messageGivenBack,
		"who answers is stopped by no pump":    messageInAPump,
		"no message to who is not to be asked": messageRefused,
	}
}

// budget holds so many messages, one of which leaks out in a minute.
func budget(name string, size int) oob.Budget { return oob.Budget{Bucket: bucket(name, size)} }

// unanswered is a budget that gets back what was answered.
func unanswered(name string, size int) oob.Budget {
	return oob.Budget{Bucket: bucket(name, size), Unanswered: true}
}

// holds wants buckets to hold so many messages now.
func (s *databaseSuite) holds(t *testing.T, want map[string]int) {
	t.Helper()
	for name, n := range want {
		full, err := s.a.Buckets.Buckets(t.Context(), []throttle.Bucket{bucket(name, 1)})
		if got := full[name].Sub(s.now()); err != nil || max(got, 0) != time.Duration(n)*time.Minute {
			t.Errorf("%s is full for %v, %v, want %d messages", name, got, err, n)
		}
	}
}

// Of many messages to many users none is one too many, in whatever order they name the
// budgets.
func raceMessages(t *testing.T, s *databaseSuite) {
	s.everybody(t)
	var admitted atomic.Int64
	atBarrier(func(i int) {
		who := "auth0|" + numbered(i)
		all := []oob.Budget{budget("gateway", 40), budget("of "+numbered(i), 1), unanswered("prefix", 7), budget("country", 30)}
		if i%2 == 0 {
			slices.Reverse(all)
		}
		switch err := s.node(i).Codes.AdmitCode(t.Context(), s.message(numbered(i), mfa.Authenticator{ID: "sms|" + numbered(i), Subject: who}, all...)); {
		case err == nil:
			admitted.Add(1)
		case fault.Of(err) != fault.TooManyMessages:
			t.Errorf("admit: %v", err)
		}
	})
	if n := admitted.Load(); n != 7 {
		t.Errorf("%d were admitted, want 7", n)
	}
	s.holds(t, map[string]int{"prefix": 7, "gateway": 7, "country": 7})
	if n := s.events(t, audit.Asked); n != parallel {
		t.Errorf("%d events, want %d", n, parallel)
	}
}

func budgetsTogether(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	both := []oob.Budget{budget("narrow", 1), budget("wide", 3)}
	s.pass(time.Second)
	first := s.send(t, s.message("1", a, both...), 0)
	s.pass(time.Millisecond)
	s.send(t, s.message("2", a, both...), time.Minute-time.Millisecond)
	all, err := s.a.State.AuditEvents(t.Context(), 2)
	if err != nil || all[0].Type != audit.Asked || all[0].Success || all[0].Reason != fault.TooManyMessages.Error() ||
		all[1].Type != audit.Asked || !all[1].Success || all[1].Reason != "" {
		t.Errorf("recorded %+v, %v", all, err)
	}
	s.try(t, first, false, "") // what was refused has replaced nothing
	s.pass(59 * time.Second)
	s.pass(999 * time.Millisecond)
	s.holds(t, map[string]int{"narrow": 0, "wide": 0})
	s.send(t, s.message("again", a, both...), 0)
	s.send(t, s.message("3", a, both[1]), 0)
	s.send(t, s.message("4", a, both[1]), 0)
	s.send(t, s.message("5", a, both...), time.Minute)
	s.pass(time.Minute - time.Millisecond)
	s.send(t, s.message("6", a, both...), time.Millisecond)
	s.pass(time.Millisecond)
	s.send(t, s.message("7", a, both...), 0)
}

// Who answers may be sent as much again; who does not has had it. A message whose place
// another one took was not answered.
func messageGivenBack(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	all := []oob.Budget{unanswered("prefix", 2), unanswered("another", 9), budget("number", 9)}
	s.send(t, s.message("1", a, all...), 0)
	second := s.send(t, s.message("2", a, all...), 0)
	s.send(t, s.message("3", a, all...), time.Minute)
	s.issue(t, s.issuance(alice, "2", s.proved(second)...))
	s.holds(t, map[string]int{"prefix": 1, "another": 1, "number": 2})
	third := s.send(t, s.message("4", a, all...), 0)
	s.pass(3 * time.Minute)
	if err := s.a.State.Sweep(t.Context(), s.now().Add(time.Hour)); err != nil { // it has leaked out, and its row is gone
		t.Fatal(err)
	}
	s.issue(t, s.issuance(alice, "4", s.proved(third)...))
	s.holds(t, map[string]int{"prefix": 0, "another": 0, "number": 0})
	s.send(t, s.message("5", a, all...), 0)
	s.holds(t, map[string]int{"prefix": 1})
}

// S-4: messages to numbers that nobody confirmed fill a budget; whoever confirmed one, and
// brought the last code back, does not wait for it, and who did not is one of those.
func messageInAPump(t *testing.T, s *databaseSuite) {
	a, pump := s.withNumber(t, alice, "sms|a"), s.withNumber(t, bob, "sms|b")
	a.ConfirmedAt = s.now()
	prefix := unanswered("prefix", 2)
	s.send(t, s.message("p1", pump, prefix), 0)
	s.send(t, s.message("p2", pump, prefix), 0)
	s.send(t, s.message("p3", pump, prefix), time.Minute)
	first := s.send(t, s.message("1", a, prefix), 0)
	s.holds(t, map[string]int{"prefix": 2})
	s.send(t, s.message("2", a, prefix), time.Minute) // the first is not answered yet
	s.pass(time.Second)
	s.issue(t, s.issuance(alice, "1", s.proved(first)...))
	all, err := s.a.Authenticators.Authenticators(t.Context(), alice, s.now())
	if err != nil || all[0].ID != a.ID || all[0].LastAuth.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	s.send(t, s.message("3", all[0], prefix), 0)
}

func messageRefused(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	early := s.message("early", a, budget("gateway", 9))
	s.admit(t, s.challenge("push", alice), pushLimit, oob.Admitted{})
	s.answer(t, s.report(s.challenge("push", alice)), "")
	before := s.a.State.Dump(t)
	wantKind(t, s.b.Codes.AdmitCode(t.Context(), early), fault.MalformedMFAToken)
	s.pass(time.Millisecond)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("a login that was reported left something behind:\n%s", difference(before, after))
	}
	s.send(t, s.message("late", a), 0)
	if err := s.a.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	before = s.a.State.Dump(t)
	wantKind(t, s.b.Codes.AdmitCode(t.Context(), s.message("1", a, budget("gateway", 9))), fault.UserBlocked)
	a.Subject = "auth0|nobody"
	wantKind(t, s.b.Codes.AdmitCode(t.Context(), s.message("2", a, budget("gateway", 9))), fault.UserBlocked)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("it left something behind:\n%s", difference(before, after))
	}
}
