package conformance

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

func codeTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"a code takes the place of another":  codeReplaced,
		"a new code resets no count":         codeResetsNothing,
		"five wrong codes end a challenge":   codeEnds,
		"50 guess at one code":               raceGuesses,
		"a wait counts nothing to a code":    codeWaits,
		"a code of another is worth nothing": codeForeign,
		"50 redeem one code":                 raceBindingCode,
		"a code needs what it was sent to":   codeNeedsAddressee,
		"codes are swept":                    codesSwept,
		"addresses are sealed":               addressesSealed,
	}
}

// number is a telephone's that no dump may show.
const number = "+4915550100777"

// texting is an authenticator for text messages that was just associated.
func (s *databaseSuite) texting(id, subject, handle string) mfa.Authenticator {
	return mfa.Authenticator{
		ID: id, Subject: subject, Type: mfa.OOB, Channel: "sms", Name: "XXXXXXXXX0777", Address: secret.New(number), Origin: "mfa_api",
		Handle: handle, CreatedAt: s.now(), ExpiresAt: s.now().Add(10 * time.Minute),
	}
}

// withNumber gives the subject a confirmed one.
func (s *databaseSuite) withNumber(t *testing.T, subject, id string) mfa.Authenticator {
	t.Helper()
	a := s.texting(id, subject, "handle of "+id)
	s.associate(t, a)
	s.issue(t, s.issuance(subject, "enroll-"+id, record.Confirmation{Authenticator: id, Handle: a.Handle}))
	return a
}

// message is one to an authenticator about the login n.
func (s *databaseSuite) message(n string, to mfa.Authenticator, budgets ...oob.Budget) oob.CodeAsk {
	c := s.challenge(n, to.Subject)
	c.Authenticator, c.Channel = to.ID, to.Channel
	return oob.CodeAsk{Challenge: c, Authenticator: to, Budgets: budgets, Event: audit.Event{
		At: s.now(), Type: audit.Asked, Success: true, Subject: to.Subject, Authenticators: []string{to.ID},
	}}
}

// send wants a message to be admitted, or to wait.
func (s *databaseSuite) send(t *testing.T, a oob.CodeAsk, wait time.Duration) oob.Challenge {
	t.Helper()
	s.waits(t, s.b.Codes.AdmitCode(t.Context(), a), fault.TooManyMessages, wait)
	return a.Challenge
}

// sent is an attempt with a code.
func (s *databaseSuite) sent(c oob.Challenge, wrong bool) throttle.Attempt {
	a := s.failure(c.Subject, c.Authenticator)
	a.Challenge, a.Wrong = c.ID, wrong
	a.Event.Reason = ""
	if wrong {
		a.Event.Reason = fault.WrongBindingCode.Error()
	}
	return a
}

// try wants an attempt with a code to come to a kind; none: it was let through.
func (s *databaseSuite) try(t *testing.T, c oob.Challenge, wrong bool, want fault.Kind) {
	t.Helper()
	wantKind(t, s.a.Limiter.Attempt(t.Context(), s.sent(c, wrong), limits), want)
}

// proved is what a login with the code of a challenge uses up.
func (s *databaseSuite) proved(c oob.Challenge) []record.Consumption {
	return []record.Consumption{
		record.Redemption{Kind: "mfa_token", Hash: c.Handle, ExpiresAt: s.now().Add(10 * time.Minute), Began: c.CreatedAt},
		record.BindingCode{Authenticator: c.Authenticator, Challenge: c.ID, ExpiresAt: c.ExpiresAt.Add(oob.Window)},
	}
}

// A guess that is about no live challenge is a guess all the same.
func codeReplaced(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	first := s.send(t, s.message("1", a), 0)
	s.try(t, first, false, "")
	s.pass(time.Second)
	second := s.send(t, s.message("2", a), 0)
	s.pass(time.Second)
	s.try(t, first, false, fault.WrongBindingCode)
	s.wantFailures(t, 1, map[string]int{"sms|a": 1})
	if all, err := s.a.State.AuditEvents(t.Context(), 1); err != nil || all[0].Reason != fault.WrongBindingCode.Error() || all[0].Success {
		t.Errorf("recorded %+v, %v", all, err)
	}
	for range oob.MaxWrong { // which end nothing but themselves
		s.try(t, first, true, fault.WrongBindingCode)
	}
	s.refuse(t, s.issuance(alice, "first", s.proved(first)...), fault.WrongBindingCode)
	s.try(t, second, false, "")
	s.pass(time.Second)
	s.issue(t, s.issuance(alice, "second", s.proved(second)...))
	if a := s.authenticators(t, alice)[0]; a.Failures != 0 || !a.LastAuth.Equal(s.now()) {
		t.Errorf("%d failures, last used at %v", a.Failures, a.LastAuth)
	}
	again := s.proved(second)[1:] // another login, with the same code
	s.refuse(t, s.issuance(alice, "again", append(again, s.redemption("again"))...), fault.WrongBindingCode)
	s.try(t, second, false, "") // it was right, so it is no guess
	s.wantFailures(t, 0, nil)
}

func codeResetsNothing(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	l := throttle.Limits{Free: 6, Daily: 100, Disable: 100}
	for n := range 6 {
		c := s.send(t, s.message(numbered(n), a), 0)
		s.attempt(t, l, 0, s.sent(c, true))
	}
	c := s.send(t, s.message("last", a), 0)
	s.wantFailures(t, 6, map[string]int{"sms|a": 6})
	s.attempt(t, l, time.Second, s.sent(c, true))
	s.attempt(t, l, time.Second, s.sent(c, false))
}

// The sixth is not looked at, though it is right.
func codeEnds(t *testing.T, s *databaseSuite) {
	a, other := s.withNumber(t, alice, "sms|a"), s.withNumber(t, alice, "sms|b")
	c, spared := s.send(t, s.message("1", a), 0), s.send(t, s.message("2", other), 0)
	for range oob.MaxWrong {
		s.try(t, c, true, "")
	}
	s.try(t, c, false, fault.WrongBindingCode)
	s.try(t, c, true, fault.WrongBindingCode)
	s.wantFailures(t, 7, map[string]int{"sms|a": 7})
	s.refuse(t, s.issuance(alice, "1", s.proved(c)...), fault.WrongBindingCode)
	s.try(t, spared, false, "")
	s.issue(t, s.issuance(alice, "2", s.proved(spared)...))
	next := s.send(t, s.message("3", a), 0)
	s.try(t, next, false, "")
	s.issue(t, s.issuance(alice, "3", s.proved(next)...))
}

func raceGuesses(t *testing.T, s *databaseSuite) {
	c := s.send(t, s.message("1", s.withNumber(t, alice, "sms|a")), 0)
	var looked atomic.Int64
	atBarrier(func(i int) {
		switch err := s.node(i).Limiter.Attempt(t.Context(), s.sent(c, true), limits); {
		case err == nil:
			looked.Add(1)
		case fault.Of(err) != fault.WrongBindingCode:
			t.Errorf("attempt: %v", err)
		}
	})
	if n := looked.Load(); n != oob.MaxWrong {
		t.Errorf("%d were looked at, want %d", n, oob.MaxWrong)
	}
	s.wantFailures(t, parallel, map[string]int{"sms|a": parallel})
	s.try(t, c, false, fault.WrongBindingCode)
}

func codeWaits(t *testing.T, s *databaseSuite) {
	c := s.send(t, s.message("1", s.withNumber(t, alice, "sms|a")), 0)
	l := throttle.Limits{Free: 1, Daily: 100, Disable: 100}
	s.attempt(t, l, 0, s.sent(c, true))
	for range 2 * oob.MaxWrong {
		s.attempt(t, l, time.Second, s.sent(c, true))
	}
	s.pass(time.Second)
	s.attempt(t, l, 0, s.sent(c, false))
	s.issue(t, s.issuance(alice, "1", s.proved(c)...))
}

// A code is for one challenge of one authenticator of one user.
func codeForeign(t *testing.T, s *databaseSuite) {
	a, b := s.withNumber(t, alice, "sms|a"), s.withNumber(t, alice, "sms|b")
	theirs := s.withNumber(t, bob, "sms|bob")
	c, foreign := s.send(t, s.message("1", a), 0), s.send(t, s.message("2", theirs), 0)
	s.send(t, s.message("3", b), 0)
	for name, change := range map[string]func(c *oob.Challenge){
		"a challenge that was never sent":    func(c *oob.Challenge) { c.ID = "oob-0" },
		"another authenticator":              func(c *oob.Challenge) { c.Authenticator = b.ID },
		"another's authenticator":            func(c *oob.Challenge) { c.Authenticator = theirs.ID },
		"another's challenge":                func(c *oob.Challenge) { c.ID = foreign.ID },
		"another's challenge, and all of it": func(c *oob.Challenge) { c.ID, c.Authenticator = foreign.ID, theirs.ID },
		"an authenticator without challenge": func(c *oob.Challenge) { c.Authenticator = "sms|none" },
	} {
		x := c
		change(&x)
		wantKind(t, s.a.Limiter.Attempt(t.Context(), s.sent(x, false), limits), fault.WrongBindingCode)
		s.refuse(t, s.issuance(alice, name, s.proved(x)...), fault.WrongBindingCode)
	}
	s.issue(t, s.issuance(alice, "1", s.proved(c)...))
	s.try(t, foreign, false, "")
	s.issue(t, s.issuance(bob, "2", s.proved(foreign)...))
}

func raceBindingCode(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	s.send(t, s.message("bob", mfa.Authenticator{ID: "sms|bob", Subject: bob}, unanswered("prefix", 9), budget("gateway", 9)), 0)
	c := s.send(t, s.message("1", a, unanswered("prefix", 9), budget("gateway", 9)), 0)
	s.holds(t, map[string]int{"prefix": 2, "gateway": 2})
	s.race(t, fault.WrongBindingCode, func(i int) []record.Consumption {
		return []record.Consumption{s.redemption(numbered(i)), s.proved(c)[1]}
	})
	s.holds(t, map[string]int{"prefix": 1, "gateway": 2})
}

// What took the authenticator away, or disabled it, ended its code.
func codeNeedsAddressee(t *testing.T, s *databaseSuite) {
	a := s.withNumber(t, alice, "sms|a")
	c := s.send(t, s.message("1", a), 0)
	for range 3 {
		if err := s.a.Limiter.Attempt(t.Context(), s.failure(alice, a.ID), throttle.Limits{Free: 100, Daily: 100, Disable: 3}); err != nil {
			t.Fatal(err)
		}
	}
	s.refuse(t, s.issuance(alice, "disabled", s.proved(c)...), fault.WrongBindingCode)
	b := s.withNumber(t, alice, "sms|b")
	c = s.send(t, s.message("2", b), 0)
	if _, err := s.a.Removals.ResetFactors(t.Context(), alice, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, s.issuance(alice, "removed", s.proved(c)...), fault.WrongBindingCode)
	if strings.Contains(s.a.State.Dump(t), c.ID) {
		t.Error("the code of a removed authenticator is left")
	}
	pending := s.texting("sms|c", alice, "h")
	s.associate(t, pending)
	c = s.send(t, s.message("3", pending), 0)
	s.refuse(t, s.issuance(alice, "pending", s.proved(c)...), fault.WrongBindingCode)
	confirm := record.Confirmation{Authenticator: pending.ID, Handle: "h", First: true}
	s.issue(t, s.issuance(alice, "confirmed", append([]record.Consumption{confirm}, s.proved(c)...)...))
}

// What is over is swept, and not what took its place meanwhile.
func codesSwept(t *testing.T, s *databaseSuite) {
	s.everybody(t)
	to := func(i int) mfa.Authenticator {
		return mfa.Authenticator{ID: "sms|" + numbered(i), Subject: "auth0|" + numbered(i)}
	}
	for i := range parallel {
		s.send(t, s.message("old-"+numbered(i), to(i)), 0)
	}
	s.send(t, s.message("left", mfa.Authenticator{ID: "sms|bob", Subject: bob}), 0)
	s.pass(2 * time.Hour)
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		if err := s.b.State.Sweep(t.Context(), s.now()); err != nil {
			t.Error(err)
		}
	})
	atBarrier(func(i int) {
		a := s.message("new-"+numbered(i), to(i))
		if err := s.node(i).Codes.AdmitCode(t.Context(), a); err != nil {
			t.Error(err)
		}
		if err := s.node(i+1).Limiter.Attempt(t.Context(), s.sent(a.Challenge, false), limits); err != nil {
			t.Errorf("attempt: %v", err)
		}
	})
	sweeping.Wait()
	if dump := s.a.State.Dump(t); strings.Contains(dump, "oob-old-") || strings.Contains(dump, "oob-left") {
		t.Error("the sweep left what is over")
	}
}

func addressesSealed(t *testing.T, s *databaseSuite) {
	s.withNumber(t, alice, "sms|a")
	if got := s.authenticators(t, alice)[0]; !got.Address.Equal(secret.New(number)) {
		t.Error("the address is another")
	}
	if dump := s.a.State.Dump(t); strings.Contains(dump, number) || !strings.Contains(dump, "XXXXXXXXX0777") {
		t.Error("a dump shows an address, or no authenticator")
	}
}
