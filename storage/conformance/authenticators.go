package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/throttle"
)

func authenticatorTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"authenticators round trip":            authenticatorRoundTrip,
		"pending ones end":                     authenticatorExpires,
		"50 add to what they saw":              associateSeen,
		"associate all or none":                associateAtomic,
		"confirmation takes its handle":        confirmationHandle,
		"confirmation takes twins along":       confirmationTwins,
		"the first is the first":               confirmationFirst,
		"recovery codes come once":             confirmationCodes,
		"used codes are remembered":            usedCodesRemembered,
		"reset leaves tombstones":              resetFactors,
		"account names":                        accountNames,
		"50 failures are 50":                   failuresCount,
		"failures end with a proof":            failuresEnd,
		"no seed or code stands in the clear":  nothingInTheClear,
		"somebody else's failures are not one": failuresForeign,
	}
}

func authenticatorRoundTrip(t *testing.T, s *databaseSuite) {
	full := s.pending("totp|a", alice, "h")
	full.Channel, full.Name, full.Group, full.Algorithm, full.Digits = "sms", "XXX0042", "g", "SHA256", 8
	full.CreatedAt = full.CreatedAt.Add(123 * time.Millisecond)
	full.Period = time.Minute
	codes := s.codes("codes|a", alice, "h", "one", "two")
	codes.CreatedAt = full.CreatedAt.Add(time.Millisecond)
	s.associate(t, full, codes)
	got := s.authenticators(t, alice)
	if len(got) != 2 || !reflect.DeepEqual(got[0], full) {
		t.Fatalf("got  %+v\nwant %+v", got, full)
	}
	if !got[0].Secret.Equal(full.Secret) {
		t.Error("the seed is another")
	}
	if !reflect.DeepEqual(got[1], codes) {
		t.Errorf("got  %+v\nwant %+v", got[1], codes)
	}
	if none := s.authenticators(t, bob); len(none) != 0 {
		t.Errorf("bob has %+v", none)
	}
	if n := s.events(t, audit.Associated); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func authenticatorExpires(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|kept", "code-1")
	s.associate(t, s.pending("totp|late", alice, "h"), s.codes("codes|late", alice, "h", "code-late"))
	s.pass(10*time.Minute - time.Millisecond)
	if n := len(s.authenticators(t, alice)); n != 4 {
		t.Errorf("%d authenticators, want 4", n)
	}
	s.pass(time.Millisecond)
	if n := len(s.authenticators(t, alice)); n != 2 {
		t.Errorf("%d authenticators, want 2", n)
	}
	late := record.Confirmation{Authenticator: "totp|late", Handle: "h"}
	s.refuse(t, s.issuance(alice, "late", late), fault.MalformedMFAToken)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.a.State.Dump(t), "totp|late") {
		t.Error("swept at once: a confirmation that waits for a lock would lose its codes")
	}
	s.pass(time.Hour)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	if dump := s.a.State.Dump(t); strings.Contains(dump, "|late") || !strings.Contains(dump, "totp|kept") {
		t.Error("the sweep took the wrong ones")
	}
}

// Of many who add to what they saw, one finds it as it was.
func associateSeen(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	seen := s.authenticators(t, alice)
	var added atomic.Int32
	atBarrier(func(i int) {
		pending := []mfa.Authenticator{s.pending("totp|"+numbered(i), alice, "h")}
		switch err := s.node(i).Authenticators.Associate(t.Context(), halfway(alice, "h"), seen, pending, s.changed(alice)); {
		case err == nil:
			added.Add(1)
		case !errors.Is(err, mfa.ErrChanged):
			t.Errorf("associate: %v, want ErrChanged", err)
		}
	})
	if n := added.Load(); n != 1 || len(s.authenticators(t, alice)) != len(seen)+1 {
		t.Errorf("%d were added, want 1", n)
	}
}

func associateAtomic(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	before := s.a.State.Dump(t)
	both := []mfa.Authenticator{s.pending("totp|new", bob, "h"), s.pending("totp|a", bob, "h")}
	err := s.a.Authenticators.Associate(t.Context(), halfway(bob, "h"), s.authenticators(t, bob), both, s.changed(bob))
	if err == nil {
		t.Error("an id was given twice")
	}
	if s.a.State.Dump(t) != before {
		t.Error("half of an association was left behind")
	}
}

func confirmationHandle(t *testing.T, s *databaseSuite) {
	s.associate(t, s.pending("totp|a", alice, "h"))
	confirm := func(id, handle string) record.Confirmation {
		return record.Confirmation{Authenticator: id, Handle: handle, First: true}
	}
	s.refuse(t, s.issuance(alice, "foreign handle", confirm("totp|a", "other")), fault.MalformedMFAToken)
	s.refuse(t, s.issuance(bob, "foreign user", confirm("totp|a", "h")), fault.MalformedMFAToken)
	s.refuse(t, s.issuance(alice, "unknown", confirm("totp|x", "h")), fault.MalformedMFAToken)
	s.pass(time.Second)
	s.issue(t, s.issuance(alice, "right", confirm("totp|a", "h"), record.StepUse{Authenticator: "totp|a", Step: 3}))
	if a := s.authenticators(t, alice)[0]; !a.ConfirmedAt.Equal(s.now()) || a.LastStep != 3 {
		t.Errorf("confirmed at %v with step %d, want %v and 3", a.ConfirmedAt, a.LastStep, s.now())
	}
	s.refuse(t, s.issuance(alice, "twice", record.Confirmation{Authenticator: "totp|a", Handle: "h"}), fault.MalformedMFAToken)
}

func confirmationTwins(t *testing.T, s *databaseSuite) {
	twin, other, stranger := s.pending("sms|a", alice, "h"), s.pending("voice|a", alice, "h"), s.pending("sms|b", alice, "h")
	twin.Group, other.Group, stranger.Group = "g", "g", "g2"
	s.associate(t, twin, other, stranger)
	s.issue(t, s.issuance(alice, "one", record.Confirmation{Authenticator: "sms|a", Handle: "h", First: true}))
	for _, a := range s.authenticators(t, alice) {
		if a.Active() != (a.Group == "g") {
			t.Errorf("%s of group %s is active: %v", a.ID, a.Group, a.Active())
		}
	}
}

func confirmationFirst(t *testing.T, s *databaseSuite) {
	s.associate(t, s.pending("totp|a", alice, "ha"), s.pending("totp|b", alice, "hb"))
	s.issue(t, s.issuance(alice, "one", record.Confirmation{Authenticator: "totp|a", Handle: "ha", First: true}))
	second := record.Confirmation{Authenticator: "totp|b", Handle: "hb", First: true}
	s.refuse(t, s.issuance(alice, "two", second), fault.MalformedMFAToken)
	second.First = false
	s.issue(t, s.issuance(alice, "two", second))
}

// A user has one set of recovery codes: the one associated with the first factor.
func confirmationCodes(t *testing.T, s *databaseSuite) {
	s.associate(t, s.pending("totp|a", alice, "h"), s.codes("codes|a", alice, "h", "code-a"))
	s.pass(time.Second)
	s.associate(t, s.pending("totp|b", alice, "h"), s.codes("codes|b", alice, "h", "code-b"))
	s.issue(t, s.issuance(alice, "one", record.Confirmation{Authenticator: "totp|a", Handle: "h", First: true}))
	want := map[string]bool{"totp|a": true, "codes|a": true, "totp|b": false, "codes|b": false}
	for _, a := range s.authenticators(t, alice) {
		if a.Active() != want[a.ID] {
			t.Errorf("%s is active: %v", a.ID, a.Active())
		}
	}
	s.issue(t, s.issuance(alice, "two", record.Confirmation{Authenticator: "totp|b", Handle: "h"}))
	want["totp|b"] = true
	for _, a := range s.authenticators(t, alice) {
		if a.Active() != want[a.ID] {
			t.Errorf("%s is active: %v", a.ID, a.Active())
		}
	}
}

// All live codes are listed, and of the used ones the latest twenty.
func usedCodesRemembered(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-00", "spare")
	for i := range 25 {
		s.pass(time.Second)
		use := record.CodeUse{
			Authenticator: "codes of totp|a", Hash: fmt.Sprintf("code-%02d", i), Replacement: fmt.Sprintf("code-%02d", i+1),
		}
		s.issue(t, s.issuance(alice, numbered(i), use))
	}
	want := map[string]bool{"spare": false, "code-25": false}
	for i := 5; i < 25; i++ {
		want[fmt.Sprintf("code-%02d", i)] = true
	}
	wantCodes(t, s, "codes of totp|a", want)
}

func resetFactors(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1")
	s.enroll(t, bob, "totp|b")
	s.associate(t, s.pending("totp|later", alice, "h"))
	n, err := s.a.Removals.ResetFactors(t.Context(), alice, s.changed(alice))
	if err != nil || n != 3 {
		t.Errorf("reset %d: %v, want 3", n, err)
	}
	if left := s.authenticators(t, alice); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if len(s.authenticators(t, bob)) != 1 {
		t.Error("bob lost his authenticator")
	}
	dump := s.a.State.Dump(t)
	if !strings.Contains(dump, "totp|a") {
		t.Error("there is no tombstone")
	}
	if strings.Contains(dump, "code-1") {
		t.Error("the recovery codes are left")
	}
	if n, err := s.a.Removals.ResetFactors(t.Context(), alice, s.changed(alice)); err != nil || n != 0 {
		t.Errorf("second reset %d: %v, want 0", n, err)
	}
	if _, err := s.a.Removals.ResetFactors(t.Context(), "auth0|nobody", s.changed("")); !errors.Is(err, fault.NotFound) {
		t.Errorf("reset of nobody: %v, want NotFound", err)
	}
	s.associate(t, s.pending("totp|again", alice, "h2"))
	s.issue(t, s.issuance(alice, "again", record.Confirmation{Authenticator: "totp|again", Handle: "h2", First: true}))
}

func accountNames(t *testing.T, s *databaseSuite) {
	for subject, want := range map[string]mfa.Account{
		alice: {Name: "alice@example.test", Verified: true, Email: "alice@example.test"}, bob: {Name: "bob"},
	} {
		if got, err := s.b.Authenticators.Account(t.Context(), subject); err != nil || got != want {
			t.Errorf("account of %s: %+v, %v, want %+v", subject, got, err, want)
		}
	}
	if _, err := s.b.Authenticators.Account(t.Context(), "auth0|nobody"); fault.Of(err) != fault.NotFound {
		t.Errorf("account of nobody: %v, want NotFound", err)
	}
	if err := s.a.People.SetUserBlocked(t.Context(), bob, true, s.changed(bob)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.b.Authenticators.Account(t.Context(), bob); fault.Of(err) != fault.UserBlocked {
		t.Errorf("account of a blocked user: %v, want UserBlocked", err)
	}
}

// limits are so wide that no attempt of a test waits that does not want to.
var limits = throttle.Limits{Free: 1000, Daily: 1000, Disable: 1000}

func (s *databaseSuite) failure(subject string, tried ...string) throttle.Attempt {
	return throttle.Attempt{Subject: subject, Authenticators: tried, Wrong: true, Event: audit.Event{
		At: s.now(), Type: audit.FactorRefused, Reason: string(fault.WrongOTP), Subject: subject, Authenticators: tried,
	}}
}

// wantFailures compares alice's count with those of her authenticators.
func (s *databaseSuite) wantFailures(t *testing.T, user int, by map[string]int) {
	t.Helper()
	if n, last, err := s.b.State.UserFailures(t.Context(), alice); err != nil || n != user || (n > 0 && !last.Equal(s.now())) {
		t.Errorf("the user failed %d times, last at %v, %v; want %d", n, last, err, user)
	}
	for _, a := range s.authenticators(t, alice) {
		if a.Failures != by[a.ID] {
			t.Errorf("%s failed %d times, want %d", a.ID, a.Failures, by[a.ID])
		}
	}
}

func failuresCount(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1")
	s.enroll(t, alice, "totp|b")
	atBarrier(func(i int) {
		tried := []string{"totp|a", "totp|b"}
		if i%4 > 1 {
			tried = []string{"totp|b", "totp|a"}
		}
		if err := s.node(i).Limiter.Attempt(t.Context(), s.failure(alice, tried...), limits); err != nil {
			t.Errorf("count: %v", err)
		}
	})
	s.wantFailures(t, parallel, map[string]int{"totp|a": parallel, "totp|b": parallel})
	if n := s.events(t, audit.FactorRefused); n != parallel {
		t.Errorf("%d audit rows, want %d", n, parallel)
	}
}

// A second factor ends the user's count and its own, a password neither, nor a refresh of a
// session that proved one.
func failuresEnd(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1")
	s.enroll(t, alice, "totp|b")
	for range 3 {
		if err := s.a.Limiter.Attempt(t.Context(), s.failure(alice, "totp|a", "totp|b", "codes of totp|a"), limits); err != nil {
			t.Fatal(err)
		}
	}
	password := s.issuance(alice, "password")
	password.Session.Proofs = password.Session.Proofs[:1]
	s.issue(t, password)
	s.wantFailures(t, 3, map[string]int{"totp|a": 3, "totp|b": 3, "codes of totp|a": 3})
	s.issue(t, s.issuance(alice, "otp", s.redemption("otp"), record.StepUse{Authenticator: "totp|a", Step: 1}))
	s.wantFailures(t, 0, map[string]int{"totp|b": 3, "codes of totp|a": 3})
	s.issue(t, s.issuance(alice, "code", record.CodeUse{Authenticator: "codes of totp|a", Hash: "code-1"}))
	s.wantFailures(t, 0, map[string]int{"totp|b": 3})
}

func failuresForeign(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	for _, f := range []throttle.Attempt{s.failure(bob, "totp|a"), s.failure(bob), s.failure("auth0|nobody", "totp|a")} {
		if err := s.a.Limiter.Attempt(t.Context(), f, limits); err != nil {
			t.Error(err)
		}
	}
	s.wantFailures(t, 0, nil)
	if n, _, err := s.b.State.UserFailures(t.Context(), bob); err != nil || n != 2 {
		t.Errorf("bob failed %d times, %v, want 2", n, err)
	}
}

func nothingInTheClear(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1")
	s.addKeys(t)
	dump := s.a.State.Dump(t)
	for _, clear := range []string{seed("totp|a").Reveal(), "JBSWY3DP", privateKey} {
		if strings.Contains(dump, clear) {
			t.Errorf("a dump shows a secret that begins with %.4s", clear)
		}
	}
	if !strings.Contains(dump, "totp|a") || !strings.Contains(dump, "kid-ES256") {
		t.Error("the dump is not one")
	}
}
