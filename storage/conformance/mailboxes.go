package conformance

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

func mailboxTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"a verified address is listed":             mailboxListed,
		"an enrolled mailbox is listed once":       mailboxEnrolled,
		"a mailbox counts for no enrollment":       mailboxNoFactor,
		"a mailbox is no change":                   mailboxNoChange,
		"failures of a mailbox":                    mailboxFailures,
		"a mailbox is not taken away alone":        mailboxStays,
		"an address that is not the user's":        mailboxChanged,
		"50 messages to a mailbox make one row":    raceMailbox,
		"a removal is not told of what stays then": mailboxTold,
	}
}

// mailbox is the verified address of the subject, as it is listed; one without an id if there
// is none.
func (s *databaseSuite) mailbox(t *testing.T, subject string) mfa.Authenticator {
	t.Helper()
	all := s.listed(t, subject)
	i := slices.IndexFunc(all, func(a mfa.Authenticator) bool { return a.Automatic })
	if i < 0 {
		return mfa.Authenticator{}
	}
	if i != len(all)-1 || i > 0 && all[i].CreatedAt.Before(all[i-1].CreatedAt) {
		t.Errorf("it is not the last one of %+v", all)
	}
	return all[i]
}

// address changes that of alice.
func (s *databaseSuite) address(t *testing.T, email string, verified bool) {
	t.Helper()
	u := identity.User{ID: alice, Username: "alice", Email: email, EmailVerified: verified}
	if _, err := s.a.People.UpdateUser(t.Context(), u, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
}

// mailing is an authenticator of alice for mail that was just associated.
func (s *databaseSuite) mailing(id, address string) mfa.Authenticator {
	a := s.texting(id, alice, "handle of "+id)
	a.Channel, a.Name, a.Address = "email", mfa.MaskEmail(address), secret.New(address)
	return a
}

func mailboxListed(t *testing.T, s *databaseSuite) {
	begin := s.now()
	s.pass(time.Hour)
	got := s.mailbox(t, alice)
	id, ok := strings.CutPrefix(got.ID, "email|dev_")
	if !ok || len(id) != 16 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		t.Errorf("it is called %q", got.ID)
	}
	want := mfa.Authenticator{
		ID: got.ID, Subject: alice, Type: mfa.OOB, Channel: "email", Name: "****@exam********", Address: secret.New("alice@example.test"),
		Automatic: true, Origin: "automatic", CreatedAt: begin, ConfirmedAt: begin,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s.enroll(t, alice, "totp|a", "code-1")
	if again := s.mailbox(t, alice); again.ID != got.ID {
		t.Errorf("it is called %q now, and was %q", again.ID, got.ID)
	}
	if all := s.listed(t, bob); len(all) != 0 {
		t.Errorf("bob has %+v", all)
	}
	s.address(t, "Alice@EXAMPLE.test", true)
	if again := s.mailbox(t, alice); again.ID != got.ID || !again.Address.Equal(secret.New("Alice@EXAMPLE.test")) {
		t.Errorf("spelled otherwise it is %+v", again)
	}
	s.address(t, "alice@example.org", true)
	if again := s.mailbox(t, alice); again.ID == got.ID || again.ID == "" || again.Name != "****@exam*******" {
		t.Errorf("another address is %+v", again)
	}
	for _, email := range []string{"alice@example.test", ""} {
		s.address(t, email, false)
		if again := s.mailbox(t, alice); again.ID != "" {
			t.Errorf("what nobody verified is %+v", again)
		}
	}
}

func mailboxEnrolled(t *testing.T, s *databaseSuite) {
	other := s.mailing("email|dev_other", "alice@example.org")
	s.associate(t, other)
	s.issue(t, s.issuance(alice, "other", record.Confirmation{Authenticator: other.ID, Handle: other.Handle}))
	same := s.mailing("email|dev_same", "ALICE@Example.test")
	s.associate(t, same)
	if s.mailbox(t, alice).ID == "" {
		t.Error("it gave way to another mailbox, or to one that nobody confirmed")
	}
	s.issue(t, s.issuance(alice, "same", record.Confirmation{Authenticator: same.ID, Handle: same.Handle}))
	gone := func() {
		t.Helper()
		if a := s.mailbox(t, alice); a.ID != "" {
			t.Errorf("it is listed twice: %+v", a)
		}
	}
	gone()
	if err := s.a.Limiter.Attempt(t.Context(), s.failure(alice, same.ID), throttle.Limits{Free: 9, Daily: 9, Disable: 1}); err != nil {
		t.Fatal(err)
	}
	gone() // nor is it there again when that is disabled
}

func mailboxNoFactor(t *testing.T, s *databaseSuite) {
	c := s.send(t, s.message("1", s.mailbox(t, alice)), 0)
	s.issue(t, s.issuance(alice, "none", record.NoFactor{}))
	s.associate(t, s.pending("totp|a", alice, "h"))
	s.issue(t, s.issuance(alice, "first", record.Confirmation{Authenticator: "totp|a", Handle: "h", First: true}))
	s.refuse(t, s.issuance(alice, "late", record.NoFactor{}), fault.Unavailable)
	s.pass(time.Second)
	s.issue(t, s.issuance(alice, "1", s.proved(c)...))
	if got := s.mailbox(t, alice); !got.LastAuth.Equal(s.now()) {
		t.Errorf("last used at %v", got.LastAuth)
	}
}

// Whatever becomes of it, what was seen beside it is as it was.
func mailboxNoChange(t *testing.T, s *databaseSuite) {
	seen := s.listed(t, alice)
	s.send(t, s.message("1", seen[0]), 0)
	pending := s.pending("totp|a", alice, "h")
	if err := s.a.Authenticators.Associate(t.Context(), halfway(alice, "h"), seen, []mfa.Authenticator{pending}, s.changed(alice)); err != nil {
		t.Errorf("a row of its own is a change: %v", err)
	}
	seen = s.listed(t, alice)
	s.address(t, "alice@example.org", true)
	pending = s.pending("totp|b", alice, "h")
	if err := s.a.Authenticators.Associate(t.Context(), halfway(alice, "h"), seen, []mfa.Authenticator{pending}, s.changed(alice)); err != nil {
		t.Errorf("another address is a change: %v", err)
	}
}

func mailboxFailures(t *testing.T, s *databaseSuite) {
	c := s.send(t, s.message("1", s.mailbox(t, alice)), 0)
	l := throttle.Limits{Free: 100, Daily: 100, Disable: 3}
	for n := range 3 {
		if got := s.mailbox(t, alice); got.Failures != n || !got.Usable() {
			t.Errorf("after %d failures: %+v", n, got)
		}
		s.attempt(t, l, 0, s.sent(c, true))
	}
	if got := s.mailbox(t, alice); got.Usable() || !got.Active() || got.Failures != 3 {
		t.Errorf("it is not disabled: %+v", got)
	}
	s.refuse(t, s.issuance(alice, "1", s.proved(c)...), fault.WrongBindingCode)
	s.send(t, s.message("2", s.mailbox(t, alice)), 0)
	if got := s.mailbox(t, alice); got.Usable() || got.Failures != 3 {
		t.Errorf("another message ended that: %+v", got)
	}
}

// Its owner takes it away with all others, through an administrator; then it begins anew.
func mailboxStays(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	c := s.send(t, s.message("1", s.mailbox(t, alice)), 0)
	s.try(t, c, true, "")
	all := s.listed(t, alice)
	if err := s.a.Authenticators.Remove(t.Context(), halfway(alice, "h"), all, []string{"totp|a", c.Authenticator}, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	if got := s.listed(t, alice); len(got) != 1 || got[0].Failures != 1 {
		t.Errorf("left: %+v", got)
	}
	if n, err := s.a.Removals.ResetFactors(t.Context(), alice, s.changed(alice)); err != nil || n != 1 {
		t.Errorf("reset %d: %v, want 1", n, err)
	}
	if got := s.mailbox(t, alice); got.ID != c.Authenticator || got.Failures != 0 {
		t.Errorf("after the reset: %+v", got)
	}
	s.refuse(t, s.issuance(alice, "1", s.proved(c)...), fault.WrongBindingCode)
	c = s.send(t, s.message("2", s.mailbox(t, alice)), 0)
	s.try(t, c, true, "")
	if got := s.mailbox(t, alice); got.Failures != 1 {
		t.Errorf("%d failures, want 1", got.Failures)
	}
	s.issue(t, s.issuance(alice, "2", s.proved(c)...))
	if err := s.a.Removals.DeleteUser(t.Context(), alice, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	if got := s.listed(t, alice); len(got) != 0 {
		t.Errorf("somebody who is gone has %+v", got)
	}
}

// A code that went to an address is worth nothing once it is not the user's any more.
func mailboxChanged(t *testing.T, s *databaseSuite) {
	old := s.mailbox(t, alice)
	c := s.send(t, s.message("1", old), 0)
	s.try(t, c, true, "")
	s.address(t, "alice@example.org", true)
	s.refuse(t, s.issuance(alice, "1", s.proved(c)...), fault.WrongBindingCode)
	if got := s.mailbox(t, alice); got.ID == old.ID || got.Failures != 0 || len(s.listed(t, alice)) != 1 {
		t.Errorf("it is %+v", got)
	}
	s.address(t, "alice@example.test", false)
	s.refuse(t, s.issuance(alice, "1", s.proved(c)...), fault.WrongBindingCode)
	s.address(t, "alice@example.test", true)
	if got := s.mailbox(t, alice); got.ID != old.ID || got.Failures != 1 {
		t.Errorf("it is %+v", got)
	}
	s.issue(t, s.issuance(alice, "1", s.proved(c)...))
}

func raceMailbox(t *testing.T, s *databaseSuite) {
	to := s.mailbox(t, alice)
	atBarrier(func(i int) {
		if err := s.node(i).Codes.AdmitCode(t.Context(), s.message(numbered(i), to)); err != nil {
			t.Error(err)
		}
	})
	live := 0
	for i := range parallel {
		c := s.message(numbered(i), to).Challenge
		if err := s.a.Limiter.Attempt(t.Context(), s.sent(c, false), limits); err == nil {
			live++
		}
	}
	if live != 1 {
		t.Errorf("%d are live, want 1", live)
	}
}

func mailboxTold(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	s.send(t, s.message("1", s.mailbox(t, alice)), 0)
	e := s.changed(alice)
	e.Type = audit.Removed
	if _, err := s.a.Removals.ResetFactors(t.Context(), alice, e); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := s.b.Notices.ClaimNotice(t.Context())
		if err != nil {
			t.Fatalf("nobody is told: %v", err)
		}
		if n.Type == audit.Removed {
			if len(n.Authenticators) != 1 || n.Authenticators[0].Type != "otp" {
				t.Errorf("told of %+v", n.Authenticators)
			}
			return
		}
	}
}
