package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

func issueTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"an issuance keeps everything":     issueKeeps,
		"a blocked user gets nothing":      issueBlocked,
		"a disabled client gets nothing":   issueDisabled,
		"an old password finishes nothing": issueOldPassword,
		"unknown consumptions are errors":  issueUnknownConsumption,
		"a session gathers proofs":         sessionGathers,
		"a session stays its subject's":    sessionStays,
		"tokens end":                       tokensEnd,
		"50 issue at once":                 issueParallel,
		"a request given up":               issueCanceled,
		"a client issues for itself":       issueOwn,
	}
}

func issueKeeps(t *testing.T, s *databaseSuite) {
	i := s.issuance(alice, "one", s.redemption("one"))
	i.Access.KeyThumbprint, i.Refresh.KeyThumbprint = "thumb-access", "thumb-refresh"
	i.Event.Address, i.Event.Grant, i.Event.Authenticators = "192.0.2.7", "password", []string{"totp|a"}
	s.issue(t, i)
	if !s.active(t, "one") {
		t.Error("the token is not active")
	}
	all, err := s.b.State.AuditEvents(t.Context(), 1)
	if err != nil || len(all) != 1 || !equalEvents(all[0], i.Event) {
		t.Errorf("audit %+v, %v, want %+v", all, err, i.Event)
	}
	dump := s.b.State.Dump(t)
	for _, part := range []string{"session-one", "jti-one", "refresh-one", "family-one", "tx-one", "thumb-access", "thumb-refresh"} {
		if !strings.Contains(dump, part) {
			t.Errorf("%s was not kept", part)
		}
	}
	without := s.issuance(alice, "two")
	without.Refresh, without.Access = nil, record.AccessToken{}
	s.issue(t, without)
	if dump := s.b.State.Dump(t); strings.Contains(dump, "family-two") || !strings.Contains(dump, "session-two") {
		t.Error("a login without tokens is a session and nothing else")
	}
}

func issueBlocked(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "before"))
	if err := s.b.People.SetUserBlocked(t.Context(), alice, true, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, s.issuance(alice, "one", s.redemption("one")), fault.UserBlocked)
	if s.active(t, "before") {
		t.Error("a blocked user's token is active")
	}
	s.refuse(t, s.issuance("auth0|nobody", "none"), fault.UserBlocked)
	s.issue(t, s.issuance(bob, "bob"))
	if err := s.b.People.SetUserBlocked(t.Context(), alice, false, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.issue(t, s.issuance(alice, "one", s.redemption("one")))
}

func issueDisabled(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "before"))
	if err := s.b.Tenant.SetClientDisabled(t.Context(), spa, true, s.changed("")); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, s.issuance(alice, "one", s.redemption("one")), fault.BadClient)
	if s.active(t, "before") {
		t.Error("a disabled client's token is active")
	}
	unknown := s.issuance(alice, "unknown")
	unknown.Session.Client = "nobody"
	s.refuse(t, unknown, fault.BadClient)
	if err := s.b.Tenant.SetClientDisabled(t.Context(), spa, false, s.changed("")); err != nil {
		t.Fatal(err)
	}
	s.issue(t, s.issuance(alice, "one", s.redemption("one")))
}

// A password that is changed between the two factors ends what the old one began.
func issueOldPassword(t *testing.T, s *databaseSuite) {
	s.pass(time.Minute)
	old := s.issuance(alice, "old", s.redemption("old"))
	old.Session.Proofs = []record.Proof{{Methods: []string{"pwd"}, At: s.now(), PasswordAt: epoch}}
	s.issue(t, s.issuance(alice, "before"))
	s.pass(time.Second)
	if err := s.b.People.SetPassword(t.Context(), alice, "another hash", s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, old, fault.MalformedMFAToken)
	fresh := s.issuance(alice, "fresh", s.redemption("fresh"))
	fresh.Session.Proofs = []record.Proof{{Methods: []string{"pwd"}, At: s.now(), PasswordAt: s.now()}}
	s.issue(t, fresh)
	if s.active(t, "before") || !s.active(t, "fresh") {
		t.Error("a token of the old password is active, or one of the new password is not")
	}
}

type unheardOf struct{}

func (unheardOf) Spent() fault.Kind { return fault.WrongOTP }

func issueUnknownConsumption(t *testing.T, s *databaseSuite) {
	s.refuse(t, s.issuance(alice, "one", s.redemption("one"), unheardOf{}), fault.Internal)
	s.refuse(t, s.issuance(alice, "two", nil), fault.Internal)
}

// Proofs are added to a session in their order, each once.
func sessionGathers(t *testing.T, s *databaseSuite) {
	first := s.issuance(alice, "one")
	s.issue(t, first)
	s.pass(time.Minute)
	second := s.issuance(alice, "two")
	second.Session = first.Session
	second.Session.Proofs = append(second.Session.Proofs, record.Proof{Methods: []string{"recovery_code"}, Authenticator: "late", At: s.now()})
	second.Refresh.Family = first.Refresh.Family
	s.issue(t, second)
	dump := s.a.State.Dump(t)
	for word, want := range map[string]int{"late": 1, "some": 1} {
		if got := strings.Count(dump, word); got != want {
			t.Errorf("%q stands %d times, want %d", word, got, want)
		}
	}
	if !s.active(t, "one") || !s.active(t, "two") {
		t.Error("a token of the session is not active")
	}
}

// Nobody adds proofs to another's session, nor tokens to another's family.
func sessionStays(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one"))
	foreign := s.issuance(bob, "two")
	foreign.Session.ID = "session-one"
	s.refuse(t, foreign, fault.NotFound)
	foreign = s.issuance(bob, "two")
	foreign.Refresh.Family = "family-one"
	s.refuse(t, foreign, fault.NotFound)
	again := s.issuance(alice, "one")
	again.Session.ID = "session-two"
	again.Refresh.Family = "family-two"
	s.refuse(t, again, fault.Unavailable) // a jti is given once
}

func tokensEnd(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "one", s.redemption("one")))
	s.pass(time.Hour - time.Millisecond)
	if !s.active(t, "one") {
		t.Error("not active before it expires")
	}
	s.pass(time.Millisecond)
	if s.active(t, "one") || s.active(t, "unknown") {
		t.Error("active when expired or unknown")
	}
	// The fence outlives the handle of ten minutes by an hour.
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, s.issuance(alice, "two", s.redemption("one")), fault.MalformedMFAToken)
	if !strings.Contains(s.a.State.Dump(t), "session-one") {
		t.Error("a session was swept before its refresh token was over")
	}
	s.pass(25 * time.Hour)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	dump := s.a.State.Dump(t)
	for _, part := range []string{"jti-one", "refresh-one", "tx-one", "family-one", "session-one\tauth0|alice"} {
		if strings.Contains(dump, part) {
			t.Errorf("%s was not swept", part)
		}
	}
}

// Logins that have nothing in common all succeed.
func issueParallel(t *testing.T, s *databaseSuite) {
	atBarrier(func(i int) {
		who := []string{alice, bob}[i/2%2]
		if err := s.node(i).Records.Issue(t.Context(), s.issuance(who, numbered(i), s.redemption(numbered(i)))); err != nil {
			t.Errorf("issue %d: %v", i, err)
		}
	})
	if n := s.events(t, audit.TokensIssued); n != parallel {
		t.Errorf("%d audit rows, want %d", n, parallel)
	}
}

func issueCanceled(t *testing.T, s *databaseSuite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := s.a.State.Dump(t)
	if err := s.a.Records.Issue(ctx, s.issuance(alice, "one")); fault.Of(err) != fault.Unavailable {
		t.Errorf("issue: %v, want Unavailable", err)
	}
	if _, err := s.a.Authenticators.Authenticators(ctx, alice, s.now()); fault.Of(err) != fault.Unavailable {
		t.Errorf("authenticators: %v, want Unavailable", err)
	}
	if _, err := s.a.Records.AccessTokenActive(ctx, "jti-one", s.now()); fault.Of(err) != fault.Unavailable {
		t.Errorf("active: %v, want Unavailable", err)
	}
	if s.a.State.Dump(t) != before {
		t.Error("something was left behind")
	}
}

func equalEvents(a, b audit.Event) bool {
	return a.At.Equal(b.At) && a.Type == b.Type && a.Success == b.Success && a.Reason == b.Reason &&
		a.Subject == b.Subject && a.Client == b.Client && a.Session == b.Session && a.Grant == b.Grant &&
		a.Address == b.Address && a.Transaction == b.Transaction && strings.Join(a.Authenticators, " ") == strings.Join(b.Authenticators, " ")
}

// What a client has for itself names nobody; its token ends with the client alone.
func issueOwn(t *testing.T, s *databaseSuite) {
	own := func(n string) record.Issuance {
		i := s.issuance("", n)
		i.Session, i.Refresh, i.Event.Session = record.Session{Client: spa}, nil, ""
		return i
	}
	i := own("own")
	s.issue(t, i)
	if all, err := s.b.State.AuditEvents(t.Context(), 1); err != nil || len(all) != 1 || !equalEvents(all[0], i.Event) {
		t.Errorf("audit %+v, %v, want %+v", all, err, i.Event)
	}
	for name, change := range map[string]func(*record.Issuance){
		"a refresh token": func(i *record.Issuance) { i.Refresh = s.issuance("", "x").Refresh },
		"a proof":         func(i *record.Issuance) { i.Session.Proofs = s.issuance("", "x").Session.Proofs },
	} {
		t.Run(name, func(t *testing.T) {
			bad := own("bad")
			change(&bad)
			s.refuse(t, bad, fault.Internal)
		})
	}
	// A session without a user is a user's that got lost, and no client's.
	lost := own("lost")
	lost.Session.ID = "session-lost"
	s.refuse(t, lost, fault.UserBlocked)
	step := own("step")
	step.Consumes = []record.Consumption{record.StepUse{Authenticator: "totp|a", Step: 1}}
	s.refuse(t, step, fault.UsedOTP)

	if !s.active(t, "own") {
		t.Error("the token is not active")
	}
	if err := s.b.Tenant.SetClientDisabled(t.Context(), spa, true, s.changed("")); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, own("late"), fault.BadClient)
	if s.active(t, "own") {
		t.Error("a disabled client's token is active")
	}
}
