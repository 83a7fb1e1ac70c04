package mfa_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// TestLogins is the life of a user: enroll, log in, lose the phone, log in again.
func TestLogins(t *testing.T) {
	w := newWorld(t)
	token := w.password(mira)
	seed, answer := w.associate(token)
	w.refused(w.otp(token, w.wrong(seed)), fault.WrongOTP)
	w.pass(w.otp(token, w.code(seed)))
	if app, codes := w.only(mira, mfa.OTP), w.only(mira, mfa.RecoveryCode); !app.Usable() || !codes.Usable() {
		t.Error("after the first proof the app and the recovery codes are not active")
	}

	w.clock.Advance(time.Minute)
	w.pass(w.otp(w.password(mira), w.code(seed)))

	first := answer["recovery_codes"].([]string)[0]
	lost := w.pass(w.recovery(w.password(mira), first))
	second, _ := lost.Reply()["recovery_code"].(string)
	w.refused(w.recovery(w.password(mira), first), fault.UsedRecoveryCode)
	w.pass(w.recovery(w.password(mira), second))
	w.refused(w.recovery(w.password(mira), second), fault.UsedRecoveryCode)
}

// TestClearance: what is issued is what was asked for at first, with both proofs, and
// it uses up the token and the time step.
func TestClearance(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	token := w.password(mira)
	asked := w.login(mira)
	w.clock.Advance(time.Minute)
	c := w.prove(w.otp(token, w.code(seed)))

	app := w.only(mira, mfa.OTP)
	want := asked
	want.Grant, want.Address = "mfa-otp", "203.0.113.8"
	want.Proofs = append(want.Proofs, record.Proof{Methods: []string{"otp"}, Authenticator: app.ID, At: w.clock.Now()})
	if got := c.Login(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	h, err := w.Handles.Read(token)
	if err != nil {
		t.Fatal(err)
	}
	consumes := []record.Consumption{
		record.Redemption{Kind: "mfa_token", Hash: h.ID, ExpiresAt: h.ExpiresAt, Began: h.ExpiresAt.Add(-10 * time.Minute)},
		record.StepUse{Authenticator: app.ID, Step: w.clock.Now().Unix() / 30},
	}
	if got := c.Consumes(); !reflect.DeepEqual(got, consumes) {
		t.Errorf("%+v\nwant %+v", got, consumes)
	}
	if acr := record.ACR(c.Login().Proofs); acr != record.MultiFactor {
		t.Errorf("acr %q", acr)
	}
}

// TestFirstProof: confirming comes before the step, and both with the token.
func TestFirstProof(t *testing.T) {
	w := newWorld(t)
	token := w.password(mira)
	seed, _ := w.associate(token)
	c := w.prove(w.otp(token, w.code(seed)))
	h, err := w.Handles.Read(token)
	if err != nil {
		t.Fatal(err)
	}
	id := w.only(mira, mfa.OTP).ID
	want := []record.Consumption{
		record.Redemption{Kind: "mfa_token", Hash: h.ID, ExpiresAt: h.ExpiresAt, Began: h.ExpiresAt.Add(-10 * time.Minute)},
		record.Confirmation{Authenticator: id, Handle: h.ID, First: true},
		record.StepUse{Authenticator: id, Step: w.clock.Now().Unix() / 30},
	}
	if got := c.Consumes(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if err := w.issue(c); err != nil {
		t.Fatal(err)
	}
	w.refused(w.otp(w.password(mira), w.code(seed)), fault.UsedOTP) // T-11
}

// TestOrderOfChecks: readable, in its lifetime, this client's, not consumed, and only
// then the code (Auth0 MFA API, 3.4). Each token fails the check it is named after and
// every later one too, and none is a guess.
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	consumed := w.password(mira)
	w.pass(w.otp(consumed, w.code(seed)))
	w.clock.Advance(time.Minute)
	expired := w.password(mira)
	h, err := w.Handles.Read(expired)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.transactions.EndTransaction(t.Context(), h.ID); err != nil {
		t.Fatal(err)
	}
	alive := func() secret.Text { return w.password(mira) }
	accessToken := secret.New("eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJhdWQiOiJtZmEifQ.c2lnbmF0dXJl")
	events := len(w.store.Events())
	for _, tt := range []struct {
		name   string
		token  secret.Text
		client string
		after  time.Duration
		want   fault.Kind
	}{
		{"unreadable", secret.New(expired.Reveal() + "x"), mobile, time.Hour, fault.MalformedMFAToken},
		{"none", secret.Text{}, web, 0, fault.MalformedMFAToken},
		{"an access token", accessToken, web, 0, fault.MalformedMFAToken},
		{"expired", expired, mobile, 10 * time.Minute, fault.MFATokenExpired},
		{"another client's", consumed, mobile, 0, fault.ForeignMFAToken},
		{"consumed", consumed, web, 0, fault.MalformedMFAToken},
		{"ended", expired, web, 10*time.Minute - time.Millisecond, fault.MalformedMFAToken},
	} {
		w.clock.Advance(tt.after)
		for _, code := range []string{w.code(seed), "wrong"} {
			a := w.otp(tt.token, code)
			a.Client = tt.client
			w.refused(a, tt.want)
		}
		_, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: tt.token, Client: tt.client})
		if fault.Of(err) != tt.want {
			t.Errorf("%s: challenge: %v, want %s", tt.name, err, tt.want)
		}
		w.clock.Advance(-tt.after)
	}
	if w.store.Failures(mira) != 0 || len(w.store.Events()) != events {
		t.Error("a token that does not hold was counted as a guess")
	}
	w.refused(w.otp(alive(), "wrong"), fault.WrongOTP)
}

// asked notes what is asked of the stores while a proof is judged.
type asked struct {
	mfa.AuthenticatorStore
	throttle.Limiter
	what *[]string
}

func (a asked) Authenticators(ctx context.Context, subject string, now time.Time) ([]mfa.Authenticator, error) {
	*a.what = append(*a.what, "authenticators")
	return a.AuthenticatorStore.Authenticators(ctx, subject, now)
}

func (a asked) Alive(ctx context.Context, t mfa.Transaction) (bool, error) {
	*a.what = append(*a.what, "alive")
	return a.AuthenticatorStore.Alive(ctx, t)
}

func (a asked) Attempt(ctx context.Context, tried throttle.Attempt, l throttle.Limits) error {
	*a.what = append(*a.what, "attempt")
	return a.Limiter.Attempt(ctx, tried, l)
}

// During a wait neither the answer nor the time that it takes tells a right proof from a
// wrong one: the same is asked of the stores for both (R8).
func TestWaitTellsNothing(t *testing.T) {
	var what []string
	w := newWorld(t, func(o *mfa.Options) {
		a := asked{o.Authenticators, o.Limiter, &what}
		o.Authenticators, o.Limiter, o.Limits.Free = a, a, 1
	})
	seed, _ := w.enrolled(mira)
	w.refused(w.otp(w.password(mira), w.wrong(seed)), fault.WrongOTP)
	var before []string
	for _, code := range []string{w.wrong(seed), w.code(seed)} {
		a := w.otp(w.password(mira), code)
		what = nil
		w.refused(a, fault.TooManyFailures)
		if before != nil && !slices.Equal(before, what) {
			t.Errorf("a right code asks for %q, a wrong one for %q", what, before)
		}
		before = what
	}
}

// A transaction that is over tells no right code from a wrong one, neither by its answer nor
// by what it does: whoever ended it, as by revoking the token that it stepped up, would have
// guesses that nobody counts.
func TestOverTellsNothing(t *testing.T) {
	var what []string
	w := newWorld(t, func(o *mfa.Options) {
		a := asked{o.Authenticators, o.Limiter, &what}
		o.Authenticators, o.Limiter = a, a
	})
	seed, _ := w.enrolled(mira)
	token := w.password(mira)
	h, err := w.Handles.Read(token)
	if err != nil {
		t.Fatal(err)
	}
	w.store.End(h.ID)
	events := len(w.store.Events())
	for _, code := range []string{w.wrong(seed), w.code(seed)} {
		what = nil
		w.refused(w.otp(token, code), fault.MalformedMFAToken)
		if slices.Contains(what, "attempt") || len(w.store.Events()) != events {
			t.Errorf("%s asks for %q, and leaves a record", code, what)
		}
	}
}

// TestR9WrongCodeIsCounted, durably, before the answer: to the user and to what it was
// held against, and with its event (R9, R17).
func TestR9WrongCodeIsCounted(t *testing.T) {
	w := newWorld(t)
	seed, code := w.enrolled(mira)
	app, codes := w.only(mira, mfa.OTP).ID, w.only(mira, mfa.RecoveryCode).ID
	for i, a := range []mfa.Attempt{
		w.otp(w.password(mira), w.wrong(seed)),
		w.recovery(w.password(mira), "0"+code[1:]+"0"),
		w.otp(w.password(mira), ""),
	} {
		kind, id := fault.WrongOTP, app
		if a.Type == mfa.RecoveryCode {
			kind, id = fault.WrongRecoveryCode, codes
		}
		w.refused(a, kind)
		h, err := w.Handles.Read(a.Token)
		if err != nil {
			t.Fatal(err)
		}
		want := audit.Event{
			At: w.clock.Now(), Type: audit.FactorRefused, Reason: string(kind), Subject: mira, Client: web, Transaction: h.ID,
			Authenticators: []string{id}, Grant: a.Grant, Address: "203.0.113.8",
		}
		if got := w.last(); !reflect.DeepEqual(got, want) {
			t.Errorf("recorded %+v\nwant %+v", got, want)
		}
		if got := w.store.Failures(mira); got != i+1 {
			t.Errorf("%d failures are counted, want %d", got, i+1)
		}
	}
	if a := w.only(mira, mfa.OTP); a.Failures != 2 {
		t.Errorf("%d failures of the app, want 2", a.Failures)
	}
}

// TestReplayIsNoGuess: a right code that was used is refused and recorded, not counted
// (fixtures, settled points).
func TestReplayIsNoGuess(t *testing.T) {
	w := newWorld(t)
	seed, code := w.enrolled(mira)
	w.pass(w.otp(w.password(mira), w.code(seed)))
	w.pass(w.recovery(w.password(mira), code))
	for kind, a := range map[fault.Kind]mfa.Attempt{
		fault.UsedOTP:          w.otp(w.password(mira), w.code(seed)),
		fault.UsedRecoveryCode: w.recovery(w.password(mira), code),
	} {
		w.refused(a, kind)
		if got := w.last(); got.Type != audit.FactorRefused || got.Reason != string(kind) || got.Success || len(got.Authenticators) != 1 {
			t.Errorf("recorded %+v", got)
		}
	}
	if got := w.store.Failures(mira); got != 0 {
		t.Errorf("%d failures are counted", got)
	}
}

// TestRace: of several who proved the same thing, or with the same token, one is issued
// to; the losers are recorded and count as no guess.
func TestRace(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second mfa.AuthenticatorType
		one           bool // with one mfa_token
		want          fault.Kind
	}{
		"one code, two tokens":          {mfa.OTP, mfa.OTP, false, fault.UsedOTP},
		"one recovery code, two tokens": {mfa.RecoveryCode, mfa.RecoveryCode, false, fault.UsedRecoveryCode},
		"one token, two proofs":         {mfa.RecoveryCode, mfa.OTP, true, fault.MalformedMFAToken},
		"one token, one code":           {mfa.OTP, mfa.OTP, true, fault.MalformedMFAToken},
	} {
		w := newWorld(t)
		seed, code := w.enrolled(mira)
		token := w.password(mira)
		attempts := map[mfa.AuthenticatorType]mfa.Attempt{
			mfa.OTP: w.otp(token, w.code(seed)), mfa.RecoveryCode: w.recovery(token, code),
		}
		first, second := attempts[tt.first], attempts[tt.second]
		if !tt.one {
			second.Token = w.password(mira)
		}
		winner, loser := w.prove(first), w.prove(second)
		if err := w.issue(winner); err != nil {
			t.Errorf("%s: the first: %v", name, err)
		}
		if err := w.issue(loser); fault.Of(err) != tt.want {
			t.Errorf("%s: the second: %v, want %s", name, err, tt.want)
		}
		if got := w.last(); got.Type != audit.TokensRefused || got.Reason != string(tt.want) || len(got.Authenticators) != 1 {
			t.Errorf("%s: recorded %+v", name, got)
		}
		if got := w.store.Failures(mira); got != 0 {
			t.Errorf("%s: %d failures are counted", name, got)
		}
	}
}

// TestFinish: a token that was issued for is forgotten; one that was not can be used
// again, and no failure to record is passed off as a wrong code.
func TestFinish(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	token, kept := w.password(mira), w.transactions.Len()
	c := w.prove(w.otp(token, w.code(seed)))
	if err := w.Finish(t.Context(), c, fault.Unavailable); !errors.Is(err, fault.Unavailable) || w.transactions.Len() != kept {
		t.Errorf("not issued: %v, %d transactions, want %d", err, w.transactions.Len(), kept)
	}
	noLog := w.broken(func(o *mfa.Options, d mfatest.Down) { o.Audit = d })
	if err := noLog.Finish(t.Context(), c, fault.UsedOTP); fault.Of(err) != fault.Unavailable || !errors.Is(err, errDown) {
		t.Errorf("a lost race that cannot be recorded: %v, want unavailable", err)
	}
	noState := w.broken(func(o *mfa.Options, d mfatest.Down) { o.Transactions = d })
	if err := noState.Finish(t.Context(), c, nil); err != nil {
		t.Errorf("issued, and the state store is down: %v, want the tokens to be answered", err)
	}
	if err := w.Finish(t.Context(), c, nil); err != nil || w.transactions.Len() != kept-1 {
		t.Errorf("issued: %v, %d transactions, want %d", err, w.transactions.Len(), kept-1)
	}
}

// TestVerifyInTrouble: a store that fails is neither "not enrolled" nor "wrong code", and
// a guess that cannot be counted is not answered (R9).
func TestVerifyInTrouble(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*mfa.Options, mfatest.Down)
		code   string // what of: "right", "wrong", "used"
	}{
		"transactions":   {func(o *mfa.Options, d mfatest.Down) { o.Transactions = d }, "right"},
		"authenticators": {func(o *mfa.Options, d mfatest.Down) { o.Authenticators = d }, "right"},
		"counting":       {func(o *mfa.Options, d mfatest.Down) { o.Limiter = d }, "wrong"},
		"recording":      {func(o *mfa.Options, d mfatest.Down) { o.Audit = d }, "used"},
	} {
		w := newWorld(t)
		seed, _ := w.enrolled(mira)
		used := w.code(seed)
		w.pass(w.otp(w.password(mira), used))
		w.clock.Advance(30 * time.Second)
		code := map[string]string{"right": w.code(seed), "wrong": w.wrong(seed), "used": used}[tt.code]
		a := w.otp(w.password(mira), code)
		b := w.broken(tt.change)
		b.refused(a, fault.Unavailable)
		if _, err := b.Verify(t.Context(), a); !errors.Is(err, errDown) || errors.Is(err, fault.WrongOTP) {
			t.Errorf("%s: %v, want the cause and no word about the code", name, err)
		}
	}
}

// TestR21PendingSeedIsNoFactor: who learned the password and associated an app before the
// user enrolled one cannot log in with it afterwards.
func TestR21PendingSeedIsNoFactor(t *testing.T) {
	w := newWorld(t)
	thief, user := w.password(mira), w.password(mira)
	stolen, _ := w.associate(thief)
	seed, _ := w.associate(user)
	ready := w.prove(w.otp(thief, w.code(stolen)))
	w.pass(w.otp(user, w.code(seed)))
	w.refused(w.otp(thief, w.code(stolen)), fault.WrongOTP)
	w.refused(w.otp(w.password(mira), w.code(stolen)), fault.WrongOTP)
	if got := w.store.Failures(mira); got != 2 {
		t.Errorf("%d failures are counted, want 2", got)
	}
	if err := w.issue(ready); fault.Of(err) != fault.MalformedMFAToken {
		t.Errorf("a first proof that came second: %v, want malformed_mfa_token", err)
	}
	if apps := slices.DeleteFunc(w.all(mira), func(a mfa.Authenticator) bool { return a.Type != mfa.OTP || !a.Active() }); len(apps) != 1 {
		t.Errorf("%d apps are active, want the user's", len(apps))
	}
}

// TestPendingOfAnotherTransaction never counts, nor does one whose time is over.
func TestPendingOfAnotherTransaction(t *testing.T) {
	w := newWorld(t)
	one, other := w.password(mira), w.password(mira)
	seed, answer := w.associate(one)
	w.refused(w.otp(other, w.code(seed)), fault.NotEnrolled)
	w.refused(w.recovery(one, answer["recovery_codes"].([]string)[0]), fault.NotEnrolled)
	w.clock.Advance(mfa.Window - time.Millisecond)
	w.prove(w.otp(one, w.code(seed)))
	w.clock.Advance(time.Millisecond)
	w.refused(w.otp(one, w.code(seed)), fault.NotEnrolled)
	if got := w.store.Failures(mira); got != 0 {
		t.Errorf("%d failures are counted: there was nothing to guess", got)
	}
}

// TestDisabledIsEnrolled: disabling a factor opens no way around it.
func TestDisabledIsEnrolled(t *testing.T) {
	w := newWorld(t)
	seed, code := w.enrolled(mira)
	app := w.only(mira, mfa.OTP)
	app.DisabledAt = w.clock.Now()
	w.store.Put(app)
	token := w.password(mira)
	w.refused(w.otp(token, w.code(seed)), fault.UnsupportedType)
	c, err := w.registrar.Credential(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.registrar.Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}}); fault.Of(err) != fault.AlreadyEnrolled {
		t.Errorf("associate: %v, want already_enrolled", err)
	}
	if _, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: token, Client: web}); fault.Of(err) != fault.UnsupportedType {
		t.Errorf("challenge: %v, want unsupported_type", err)
	}
	w.pass(w.recovery(token, code))
}

func TestNothingToHoldItAgainst(t *testing.T) {
	w := newWorld(t)
	token := w.password(mira)
	w.refused(w.otp(token, "123456"), fault.NotEnrolled)
	w.refused(w.recovery(token, "123456"), fault.NotEnrolled)
	oob := w.otp(token, "")
	oob.Type = mfa.OOB
	w.refused(oob, fault.UnknownFactor)

	w.store.Put(mfa.Authenticator{ID: "sms|dev_1", Subject: mira, Type: mfa.OOB, Channel: "sms", ConfirmedAt: w.clock.Now()})
	w.refused(w.otp(token, "123456"), fault.UnsupportedType)
	w.refused(w.recovery(token, "123456"), fault.NoRecoveryCode)
}

// TestTwoApps: either is good, a wrong code counts for both, and one of them out of order
// lets nobody find out whether a code is right.
func TestTwoApps(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	app := w.only(mira, mfa.OTP)
	second := app
	second.ID, second.Secret, second.LastStep = "totp|dev_0123456789ABCDEF", secret.New("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), 0
	w.store.Put(second)
	w.refused(w.otp(w.password(mira), w.wrong(seed, second.Secret)), fault.WrongOTP)
	for _, a := range w.all(mira) {
		if a.Type == mfa.OTP && a.Failures != 1 {
			t.Errorf("%s: %d failures, want 1", a.ID, a.Failures)
		}
	}
	for id, s := range map[string]secret.Text{app.ID: seed, second.ID: second.Secret} {
		if got := w.pass(w.otp(w.password(mira), w.code(s))).Login().Proofs[1].Authenticator; got != id {
			t.Errorf("proved %s, want %s", got, id)
		}
		w.refused(w.otp(w.password(mira), w.code(s)), fault.UsedOTP)
	}
	w.clock.Advance(time.Minute)
	second.Secret = secret.New("!")
	w.store.Put(second)
	w.refused(w.otp(w.password(mira), w.code(seed)), fault.Internal)
	w.refused(w.otp(w.password(mira), w.wrong(seed)), fault.Internal)
}

// TestNarrowing: an MFA grant may ask for less than was asked for at first, never for
// more (Auth0 MFA API, 3.1).
func TestNarrowing(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	token := w.password(mira)
	for _, tt := range []struct{ asked, want []string }{
		{nil, []string{"openid", "read:orders", "write:orders"}},
		{[]string{}, []string{}},
		{[]string{"openid"}, []string{"openid"}},
		{[]string{"write:orders", "openid"}, []string{"openid", "write:orders"}},
		{[]string{"admin", "offline_access"}, []string{}},
		{[]string{"openid", "openid", "admin"}, []string{"openid"}},
		{[]string{"OPENID", "read:orders "}, []string{}},
	} {
		a := w.otp(token, w.code(seed))
		a.Scopes = tt.asked
		c := w.prove(a)
		if got := c.Login().Scopes; !slices.Equal(got, tt.want) {
			t.Errorf("asked for %q: %q, want %q", tt.asked, got, tt.want)
		}
		if got := c.Login().Audience; !slices.Equal(got, w.login(mira).Audience) {
			t.Errorf("audience %q", got)
		}
	}
}

// TestAudience: the same may be named again; another one is refused before the code is
// looked at.
func TestAudience(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	token := w.password(mira)
	for audience, good := range map[string]bool{
		"": true, orders: true, "https://id.example.com/userinfo": true, orders + "/": false, "https://id.example.com/mfa/": false, "x": false,
	} {
		right, wrong := w.otp(token, w.code(seed)), w.otp(token, w.wrong(seed))
		right.Audience, wrong.Audience = audience, audience
		if good {
			w.prove(right)
			continue
		}
		w.refused(right, fault.BadRequest)
		w.refused(wrong, fault.BadRequest)
	}
	if got := w.store.Failures(mira); got != 0 {
		t.Errorf("%d failures are counted", got)
	}
}

// TestBlockedInBetween: a user who is blocked between the factors gets no tokens.
func TestBlockedInBetween(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	c := w.prove(w.otp(w.password(mira), w.code(seed)))
	w.store.Block(mira)
	if err := w.issue(c); fault.Of(err) != fault.UserBlocked {
		t.Errorf("%v, want user_blocked", err)
	}
	if got := w.last(); got.Reason != string(fault.UserBlocked) {
		t.Errorf("recorded %+v", got)
	}
}
