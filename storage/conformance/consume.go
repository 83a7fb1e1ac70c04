package conformance

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

func consumeTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"what users are told of is on record": usesRecorded,
		"50 redeem one handle":                raceRedemption,
		"50 use one step":                     raceStep,
		"50 use one recovery code":            raceCode,
		"50 confirm from two handles":         raceConfirmation,
		"no factor, no longer":                noFactorAnyMore,
		"steps only go up":                    stepsGoUp,
		"a step needs its authenticator":      stepNeedsAuthenticator,
		"a code needs its authenticator":      codeNeedsAuthenticator,
		"a disabled one cannot be used":       disabledNotUsed,
		"a loser spends nothing":              loserSpendsNothing,
		"50 redeem one thing alone":           raceAlone,
		"50 receive one receipt":              raceReceipt,
	}
}

// race lets many issuances of alice meet on both nodes and returns the number of the
// one that won. All others must fail with the kind, and nothing of them be left.
func (s *databaseSuite) race(t *testing.T, kind fault.Kind, consumes func(i int) []record.Consumption) int {
	t.Helper()
	issued := s.events(t, audit.TokensIssued)
	var mu sync.Mutex
	var winners []int
	atBarrier(func(i int) {
		err := s.node(i).Records.Issue(t.Context(), s.issuance(alice, numbered(i), consumes(i)...))
		if err != nil && fault.Of(err) != kind {
			t.Errorf("loser got %v, want %v", err, kind)
		}
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			winners = append(winners, i)
		}
	})
	if len(winners) != 1 {
		t.Fatalf("%d issuances succeeded, want 1", len(winners))
	}
	if now := s.events(t, audit.TokensIssued); now != issued+1 {
		t.Errorf("%d audit rows of issuances, want 1", now-issued)
	}
	dump := s.a.State.Dump(t)
	for i := range parallel {
		n := numbered(i)
		if won := i == winners[0]; s.active(t, n) != won {
			t.Errorf("token %d is active: %v, want %v", i, !won, won)
		}
		for _, kind := range []string{"session-", "refresh-", "family-", "jti-", "tx-", "new-"} {
			if i != winners[0] && strings.Contains(dump, kind+n) {
				t.Errorf("%s%s of a loser was left behind", kind, n)
			}
		}
	}
	return winners[0]
}

func (s *databaseSuite) redemption(n string) record.Redemption {
	return record.Redemption{Kind: "mfa_token", Hash: "tx-" + n, ExpiresAt: s.now().Add(10 * time.Minute)}
}

func raceRedemption(t *testing.T, s *databaseSuite) {
	s.race(t, fault.MalformedMFAToken, func(int) []record.Consumption {
		return []record.Consumption{s.redemption("same")}
	})
	// Another kind of handle with the same hash is another handle.
	other := s.redemption("same")
	other.Kind = "oob_code"
	s.issue(t, s.issuance(alice, "other", other))
}

func raceStep(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	won := s.race(t, fault.UsedOTP, func(i int) []record.Consumption {
		return []record.Consumption{s.redemption(numbered(i)), record.StepUse{Authenticator: "totp|a", Step: 100}}
	})
	if a := s.authenticators(t, alice)[0]; a.LastStep != 100 || !a.LastAuth.Equal(s.now()) {
		t.Errorf("last step %d at %v, want 100 at %v", a.LastStep, a.LastAuth, s.now())
	}
	// The transaction of a loser is as it was: with the next code it ends well.
	next := numbered((won + 1) % parallel)
	s.issue(t, s.issuance(alice, next, s.redemption(next), record.StepUse{Authenticator: "totp|a", Step: 101}))
}

func raceCode(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1", "code-2")
	won := s.race(t, fault.UsedRecoveryCode, func(i int) []record.Consumption {
		use := record.CodeUse{Authenticator: "codes of totp|a", Hash: "code-1", Replacement: "new-" + numbered(i)}
		return []record.Consumption{s.redemption(numbered(i)), use}
	})
	want := map[string]bool{"code-1": true, "code-2": false, "new-" + numbered(won): false}
	wantCodes(t, s, "codes of totp|a", want)
	s.issue(t, s.issuance(alice, "second", record.CodeUse{Authenticator: "codes of totp|a", Hash: "code-2"}))
	want["code-2"] = true
	wantCodes(t, s, "codes of totp|a", want)
}

// wantCodes compares the recovery codes of one of alice's authenticators: hash to used.
func wantCodes(t *testing.T, s *databaseSuite, id string, want map[string]bool) {
	t.Helper()
	for _, a := range s.authenticators(t, alice) {
		if a.ID != id {
			continue
		}
		for _, c := range a.Codes {
			if used, ok := want[c.Hash]; !ok || used != c.Used {
				t.Errorf("code %q: used %v, want %v (%v)", c.Hash, c.Used, used, ok)
			}
		}
		if len(a.Codes) != len(want) {
			t.Errorf("%d codes, want %d", len(a.Codes), len(want))
		}
		return
	}
	t.Errorf("%s is not there", id)
}

// A password alone is enough only while there is no factor, also when one is enrolled
// at the same moment: whoever comes second sees the other.
func noFactorAnyMore(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "none", record.NoFactor{}))
	s.associate(t, s.pending("totp|a", alice, "h"), s.codes("codes|a", alice, "h", "code"))
	s.issue(t, s.issuance(alice, "pending", record.NoFactor{}))
	atBarrier(func(i int) {
		again := s.issuance(alice, numbered(i), record.NoFactor{})
		if i == 0 {
			again.Consumes = []record.Consumption{record.Confirmation{Authenticator: "totp|a", Handle: "h", First: true}}
		}
		if err := s.node(i).Records.Issue(t.Context(), again); err != nil && (i == 0 || fault.Of(err) != fault.Unavailable) {
			t.Errorf("issuance %d: %v", i, err)
		}
	})
	s.refuse(t, s.issuance(alice, "late", record.NoFactor{}), fault.Unavailable)
	s.issue(t, s.issuance(bob, "bob", record.NoFactor{}))
}

func raceConfirmation(t *testing.T, s *databaseSuite) {
	handles := []string{"h0", "h1"}
	for _, h := range handles {
		s.associate(t, s.pending("totp|"+h, alice, h), s.codes("codes|"+h, alice, h, "code of "+h))
	}
	won := s.race(t, fault.MalformedMFAToken, func(i int) []record.Consumption {
		h := handles[i/2%2]
		id := "totp|" + h
		return []record.Consumption{
			s.redemption(numbered(i)),
			record.Confirmation{Authenticator: id, Handle: h, First: true},
			record.StepUse{Authenticator: id, Step: 7},
		}
	})
	h := handles[won/2%2]
	for _, a := range s.authenticators(t, alice) {
		if a.Active() != (a.Handle == h) {
			t.Errorf("%s is active: %v, but %s won", a.ID, a.Active(), h)
		}
	}
}

func stepsGoUp(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	step := func(n int64) record.StepUse { return record.StepUse{Authenticator: "totp|a", Step: n} }
	s.issue(t, s.issuance(alice, "ahead", step(51)))
	s.refuse(t, s.issuance(alice, "behind", step(50)), fault.UsedOTP)
	s.refuse(t, s.issuance(alice, "again", step(51)), fault.UsedOTP)
	s.issue(t, s.issuance(alice, "next", step(52)))
}

// What is not confirmed, somebody else's, or deleted cannot be used up.
func stepNeedsAuthenticator(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	s.associate(t, s.pending("totp|b", bob, "h"))
	use := func(id string) record.StepUse { return record.StepUse{Authenticator: id, Step: 9} }
	s.refuse(t, s.issuance(bob, "foreign", use("totp|a")), fault.UsedOTP)
	s.refuse(t, s.issuance(bob, "pending", use("totp|b")), fault.UsedOTP)
	s.refuse(t, s.issuance(bob, "unknown", use("totp|x")), fault.UsedOTP)
	if _, err := s.b.Removals.ResetFactors(t.Context(), alice, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, s.issuance(alice, "deleted", use("totp|a")), fault.UsedOTP)
}

func codeNeedsAuthenticator(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1")
	s.associate(t, s.codes("codes|b", bob, "h", "code-b"))
	use := func(id, hash string) record.CodeUse { return record.CodeUse{Authenticator: id, Hash: hash} }
	s.refuse(t, s.issuance(bob, "foreign", use("codes of totp|a", "code-1")), fault.UsedRecoveryCode)
	s.refuse(t, s.issuance(bob, "pending", use("codes|b", "code-b")), fault.UsedRecoveryCode)
	s.refuse(t, s.issuance(alice, "unknown", use("codes of totp|a", "code-x")), fault.UsedRecoveryCode)
	if n, err := s.b.Removals.ResetFactors(t.Context(), alice, s.changed(alice)); err != nil || n != 2 {
		t.Fatalf("reset %d: %v, want 2", n, err)
	}
	s.refuse(t, s.issuance(alice, "deleted", use("codes of totp|a", "code-1")), fault.UsedRecoveryCode)
}

// An authenticator that too many failures disabled finishes no login.
func disabledNotUsed(t *testing.T, s *databaseSuite) {
	otp, codes := s.pending("totp|a", alice, "h"), s.codes("codes|a", alice, "h", "code-1")
	for _, a := range []*mfa.Authenticator{&otp, &codes} {
		a.ConfirmedAt, a.DisabledAt = s.now(), s.now()
	}
	s.associate(t, otp, codes)
	s.refuse(t, s.issuance(alice, "step", record.StepUse{Authenticator: "totp|a", Step: 9}), fault.UsedOTP)
	s.refuse(t, s.issuance(alice, "code", record.CodeUse{Authenticator: "codes|a", Hash: "code-1"}), fault.UsedRecoveryCode)
	if !mfa.Enrolled(s.authenticators(t, alice)) {
		t.Error("a disabled authenticator does not count as enrolled")
	}
}

// Whichever of several consumptions was spent, the others are not.
func loserSpendsNothing(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a", "code-1")
	code := record.CodeUse{Authenticator: "codes of totp|a", Hash: "code-1", Replacement: "code-2"}
	step := record.StepUse{Authenticator: "totp|a", Step: 5}
	s.issue(t, s.issuance(alice, "one", s.redemption("one")))
	s.refuse(t, s.issuance(alice, "two", step, code, s.redemption("one")), fault.MalformedMFAToken)
	s.issue(t, s.issuance(alice, "three", step, code, s.redemption("three")))
	s.refuse(t, s.issuance(alice, "four", s.redemption("four"), code), fault.UsedRecoveryCode)
	s.refuse(t, s.issuance(alice, "five", s.redemption("four"), step), fault.UsedOTP)
	s.issue(t, s.issuance(alice, "six", s.redemption("four")))
}

// What is used up without an issuance, such as a client's assertion, is used up once, on
// whatever node, and stays so until it expires.
func raceAlone(t *testing.T, s *databaseSuite) {
	r := record.Redemption{Kind: "client_assertion", Hash: "one", ExpiresAt: s.now().Add(2 * time.Minute)}
	var first atomic.Int64
	atBarrier(func(i int) {
		won, err := s.node(i).Redeemer.Redeem(t.Context(), r)
		if err != nil {
			t.Error(err)
		}
		if won {
			first.Add(1)
		}
	})
	if n := first.Load(); n != 1 {
		t.Errorf("%d were the first, want 1", n)
	}
	redeem := func(r record.Redemption, want bool) {
		t.Helper()
		if won, err := s.b.Redeemer.Redeem(t.Context(), r); err != nil || won != want {
			t.Errorf("redeem %+v: %v, %v, want %v", r, won, err, want)
		}
	}
	other := r
	other.Kind = "mfa_token" // the kinds do not meet
	redeem(other, true)
	later := r
	later.ExpiresAt = later.ExpiresAt.Add(time.Hour)
	redeem(later, false)
	if err := s.a.State.Sweep(t.Context(), r.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	redeem(r, false)
	if err := s.a.State.Sweep(t.Context(), r.ExpiresAt.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.a.State.Dump(t), "client_assertion") {
		t.Error("what expired long ago is kept")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if won, err := s.a.Redeemer.Redeem(ctx, r); won || fault.Of(err) != fault.Unavailable {
		t.Errorf("given up: %v, %v", won, err)
	}
}

// What a provider repeats is recorded once, on whatever node.
func raceReceipt(t *testing.T, s *databaseSuite) {
	r := record.Redemption{Kind: "receipt", Hash: "one", ExpiresAt: s.now().Add(24 * time.Hour)}
	e := audit.Event{At: s.now(), Type: audit.Undelivered, Reason: "sms: 30003", Transaction: "t1"}
	var first atomic.Int64
	atBarrier(func(i int) {
		won, err := s.node(i).Redeemer.Receive(t.Context(), r, e)
		if err != nil {
			t.Error(err)
		}
		if won {
			first.Add(1)
		}
	})
	if n, recorded := first.Load(), s.events(t, audit.Undelivered); n != 1 || recorded != 1 {
		t.Errorf("%d were the first and %d are recorded, want 1", n, recorded)
	}
	r.Hash = "two"
	if won, err := s.b.Redeemer.Receive(t.Context(), r, e); err != nil || !won || s.events(t, audit.Undelivered) != 2 {
		t.Errorf("another one: %v, %v", won, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Hash = "three"
	if won, err := s.a.Redeemer.Receive(ctx, r, e); won || fault.Of(err) != fault.Unavailable {
		t.Errorf("given up: %v, %v", won, err)
	}
	if won, err := s.b.Redeemer.Receive(t.Context(), r, e); err != nil || !won || s.events(t, audit.Undelivered) != 3 {
		t.Errorf("and sent again: %v, %v", won, err)
	}
}

func usesRecorded(t *testing.T, s *databaseSuite) {
	s.associate(t, s.pending("totp|a", alice, "h"))
	s.issue(t, s.issuance(alice, "confirmed", record.Confirmation{Authenticator: "totp|a", Handle: "h", First: true}))
	s.enroll(t, bob, "totp|b", "code-1")
	confirmed := s.events(t, audit.Confirmed)
	s.issue(t, s.issuance(bob, "recovered", record.CodeUse{Authenticator: "codes of totp|b", Hash: "code-1"}))
	s.refuse(t, s.issuance(bob, "again", record.CodeUse{Authenticator: "codes of totp|b", Hash: "code-1"}), fault.UsedRecoveryCode)
	if used := s.events(t, audit.CodeUsed); used != 1 || confirmed < 1 {
		t.Errorf("%d confirmations and %d used codes on record", confirmed, used)
	}
}
