package oob_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/memory"
)

// A lamp is a channel whose device answers by itself, if it is switched to.
type lamp struct {
	sent     []oob.Challenge
	codes    []secret.Text
	binding  record.Binding
	replaces string
	refuse   error
	dark     error
}

var _ oob.Channel = (*lamp)(nil)

func (*lamp) Name() string      { return "auth0" }
func (*lamp) Kind() string      { return "push-notification" }
func (*lamp) Methods() []string { return []string{"swk"} }

func (*lamp) Enroll(_ context.Context, c *oob.Challenge, _ mfa.Enrolling) (mfa.Enrollment, error) {
	c.Answered, c.Binding = true, record.BindingPlain
	return mfa.Enrollment{
		Authenticators: []mfa.Authenticator{{ID: "push|dev_1", Type: mfa.OOB, Channel: "auth0"}},
		Reply:          map[string]any{"barcode_uri": "otpauth://x"},
	}, nil
}

func (l *lamp) Admit(_ context.Context, c *oob.Challenge, _ mfa.Authenticator) (string, error) {
	c.Answered, c.Binding = true, l.binding
	return l.replaces, l.refuse
}

func (l *lamp) Send(_ context.Context, c oob.Challenge, _ mfa.Authenticator, code secret.Text) error {
	l.sent, l.codes = append(l.sent, c), append(l.codes, code)
	return l.dark
}

// A bench is the factor with a lamp.
type bench struct {
	*oob.Factor
	lamp  *lamp
	store *memory.Store
	clock *mfatest.Clock
	ring  *secret.Ring
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{lamp: &lamp{binding: record.BindingPlain}, clock: &mfatest.Clock{}}
	var err error
	if b.ring, err = secret.NewRing(b.clock.Now()); err != nil {
		t.Fatal(err)
	}
	b.store = memory.New(memory.Options{Now: b.clock.Now})
	b.Factor = oob.New(oob.Options{
		Channels: []oob.Channel{b.lamp}, Store: b.store, Waiters: oob.NewWaiters(), Ring: b.ring,
		Lifetime: 5 * time.Minute, Now: b.clock.Now, Random: mfatest.Random(t.Name()),
	})
	return b
}

var phone = mfa.Authenticator{ID: "push|dev_1", Type: mfa.OOB, Channel: "auth0", ConfirmedAt: mfatest.Epoch}

// ask begins a challenge in a transaction.
func (b *bench) ask(t testing.TB, transaction string) (map[string]any, mfa.Proof) {
	t.Helper()
	answer, err := b.Challenge(t.Context(), mfa.Asking{
		Transaction:   mfa.Transaction{ID: transaction, Login: mfa.Login{Subject: "auth0|alice", Client: "spa"}},
		Authenticator: phone, Address: "192.0.2.7", Agent: "Firefox",
	})
	if err != nil {
		t.Fatal(err)
	}
	code, _ := answer["oob_code"].(string)
	return answer, mfa.Proof{"oob_code": secret.New(code)}
}

func (b *bench) decide(t testing.TB, s oob.State) {
	t.Helper()
	if err := b.store.Decide(t.Context(), b.lamp.sent[len(b.lamp.sent)-1].ID, s); err != nil {
		t.Fatal(err)
	}
}

// poll awaits without waiting.
func (b *bench) poll(t testing.TB, transaction string, p mfa.Proof) (string, error) {
	t.Helper()
	answered, err := b.Await(t.Context(), transaction, p, 0)
	return answered.Authenticator, err
}

// Q7: interval and expires_in are there; O-86-3: what a poll finds too soon it does not say.
func TestPlainPush(t *testing.T) {
	b := newBench(t)
	answer, proof := b.ask(t, "t1")
	if answer["interval"] != 5 || answer["expires_in"] != 300 || answer["binding_method"] != nil {
		t.Errorf("%v", answer)
	}
	if c := b.lamp.sent[0]; c.Subject != "auth0|alice" || c.Address != "192.0.2.7" || c.Handle != "t1" || c.Code != "" || !b.lamp.codes[0].Empty() {
		t.Errorf("sent %+v", c)
	}
	if _, err := b.poll(t, "t1", proof); fault.Of(err) != fault.Pending {
		t.Errorf("at once: %v", err)
	}
	b.decide(t, oob.Approved)
	if _, err := b.poll(t, "t1", proof); fault.Of(err) != fault.SlowDown {
		t.Errorf("too soon: %v", err)
	}
	b.clock.Advance(10 * time.Second)
	named, err := b.poll(t, "t1", proof)
	if err != nil || named != phone.ID {
		t.Fatalf("%q, %v", named, err)
	}
	got, err := b.Verify(t.Context(), phone, proof)
	if err != nil || len(got.Consumes) != 1 || got.Methods[0] != "swk" {
		t.Fatalf("%+v, %v", got, err)
	}
	if use, ok := got.Consumes[0].(record.Approval); !ok || use.Challenge != b.lamp.sent[0].ID || use.Authenticator != phone.ID {
		t.Errorf("%+v", got.Consumes[0])
	}
}

// Whatever the code says of itself costs no store (Auth0 MFA API, 3.4 and 3.6).
func TestOOBCodes(t *testing.T) {
	b := newBench(t)
	_, proof := b.ask(t, "t1")
	for name, c := range map[string]struct {
		handle, code string
		want         fault.Kind
	}{
		"garbage":       {"t1", "x", fault.MalformedOOBCode},
		"none":          {"t1", "", fault.MalformedOOBCode},
		"another login": {"t2", proof["oob_code"].Reveal(), fault.ForeignOOBCode},
		"changed":       {"t1", "A" + proof["oob_code"].Reveal(), fault.MalformedOOBCode},
	} {
		if _, err := b.poll(t, c.handle, mfa.Proof{"oob_code": secret.New(c.code)}); fault.Of(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	b.clock.Advance(5*time.Minute + oob.Window)
	if _, err := b.poll(t, "t1", proof); fault.Of(err) != fault.OOBCodeExpired {
		t.Errorf("later: %v", err)
	}
}

// D.5, invariant 2: an approval in the last moment can still be redeemed; a challenge that
// nobody answered is over in time.
func TestLastMoment(t *testing.T) {
	b := newBench(t)
	_, proof := b.ask(t, "t1")
	_, silent := b.ask(t, "t2")
	b.clock.Advance(5*time.Minute - time.Millisecond)
	if err := b.store.Decide(t.Context(), b.lamp.sent[0].ID, oob.Approved); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(oob.Window - time.Second)
	if named, err := b.poll(t, "t1", proof); err != nil || named != phone.ID {
		t.Errorf("approved: %q, %v", named, err)
	}
	if _, err := b.poll(t, "t2", silent); fault.Of(err) != fault.OOBCodeExpired {
		t.Errorf("silent: %v", err)
	}
}

func TestFinalStates(t *testing.T) {
	b := newBench(t)
	_, denied := b.ask(t, "t1")
	b.decide(t, oob.Denied)
	_, superseded := b.ask(t, "t2")
	b.lamp.replaces = b.lamp.sent[1].ID
	b.ask(t, "t3")
	for range 3 {
		b.clock.Advance(time.Minute)
		if _, err := b.poll(t, "t1", denied); fault.Of(err) != fault.Rejected {
			t.Errorf("denied: %v", err)
		}
		if named, err := b.poll(t, "t2", superseded); err != nil || named != "" {
			t.Errorf("superseded: %q, %v", named, err)
		}
	}
	if _, err := b.Verify(t.Context(), phone, denied); fault.Of(err) != fault.Rejected {
		t.Errorf("verify what was denied: %v", err)
	}
	if _, err := b.Verify(t.Context(), mfa.Authenticator{ID: "push|dev_2"}, denied); fault.Of(err) != fault.MalformedOOBCode {
		t.Errorf("verify with another's: %v", err)
	}
}

// R27: with a code a tap alone lets nobody in, nor does the code alone; and whoever has no
// code does not learn that somebody tapped.
func TestCodeToPage(t *testing.T) {
	b := newBench(t)
	b.lamp.binding = record.BindingToPage
	answer, proof := b.ask(t, "t1")
	code := b.lamp.codes[0].Reveal()
	if answer["binding_method"] != "prompt" || answer["binding_code"] != nil || len(code) != 6 {
		t.Fatalf("%v, %q", answer, code)
	}
	if strings.Contains(b.lamp.sent[0].Code, code) {
		t.Error("the code is kept in the clear")
	}
	if opened, err := b.lamp.sent[0].OpenCode(b.ring); err != nil || opened.Reveal() != code {
		t.Errorf("the phone would show %v, %v", opened, err)
	}
	with := func(code string) mfa.Proof {
		return mfa.Proof{"oob_code": proof["oob_code"], "binding_code": secret.New(code)}
	}
	if _, err := b.Verify(t.Context(), phone, with(code)); fault.Of(err) != fault.Pending {
		t.Errorf("the code alone: %v", err)
	}
	b.decide(t, oob.Approved)
	if _, err := b.Verify(t.Context(), phone, proof); fault.Of(err) != fault.Pending {
		t.Errorf("the tap alone: %v", err)
	}
	for _, wrong := range []string{"", "x", code[1:], code + "0", " " + code} {
		want := fault.WrongBindingCode
		if wrong == "" {
			want = fault.Pending
		}
		if _, err := b.Verify(t.Context(), phone, with(wrong)); fault.Of(err) != want {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if !fault.WrongBindingCode.Guess() {
		t.Error("a wrong code counts nothing")
	}
	if _, err := b.Verify(t.Context(), phone, with(code)); err != nil {
		t.Errorf("both: %v", err)
	}
}

func TestCodeToPhone(t *testing.T) {
	b := newBench(t)
	b.lamp.binding = record.BindingToPhone
	answer, _ := b.ask(t, "t1")
	if answer["binding_method"] != "display" || answer["binding_code"] != b.lamp.codes[0].Reveal() {
		t.Errorf("%v", answer)
	}
}

// What is refused, or cannot be sent, says so; nothing looks like success.
func TestChallengeFails(t *testing.T) {
	b := newBench(t)
	asking := mfa.Asking{Transaction: mfa.Transaction{ID: "t1"}, Authenticator: phone}
	b.lamp.refuse = &fault.Details{Kind: fault.TooManyMessages, RetryAfter: time.Minute}
	if _, err := b.Challenge(t.Context(), asking); fault.Of(err) != fault.TooManyMessages || len(b.lamp.sent) > 0 {
		t.Errorf("%v", err)
	}
	b.lamp.refuse, b.lamp.dark = nil, errors.New("no current")
	if answer, err := b.Challenge(t.Context(), asking); fault.Of(err) != fault.Unavailable || answer != nil {
		t.Errorf("%v, %v", answer, err)
	}
	asking.Authenticator.Channel = "pigeon"
	if _, err := b.Challenge(t.Context(), asking); fault.Of(err) != fault.UnknownFactor {
		t.Errorf("%v", err)
	}
}

// The answer to an association stands in for that to a challenge.
func TestEnroll(t *testing.T) {
	b := newBench(t)
	made, err := b.Enroll(t.Context(), mfa.Enrolling{Subject: "auth0|alice", Handle: "h", Channel: "auth0"})
	if err != nil {
		t.Fatal(err)
	}
	if r := made.Reply; r["oob_channel"] != "auth0" || r["authenticator_type"] != "oob" || r["barcode_uri"] != "otpauth://x" || r["interval"] != 5 || r["binding_method"] != nil {
		t.Errorf("%v", r)
	}
	code, _ := made.Reply["oob_code"].(string)
	if _, err := b.poll(t, "h", mfa.Proof{"oob_code": secret.New(code)}); fault.Of(err) != fault.Pending {
		t.Errorf("%v", err)
	}
	if _, err := b.Enroll(t.Context(), mfa.Enrolling{Channel: "sms"}); fault.Of(err) != fault.UnknownFactor {
		t.Errorf("%v", err)
	}
}

// A pending poll asks the one store of challenges, once, and no other: all others are down.
func TestPendingPollNeedsNoDatabase(t *testing.T) {
	b := newBench(t)
	down := mfatest.Down{Err: errors.New("down")}
	v := mfa.NewVerifier(mfa.Options{
		Factors: []mfa.Factor{b.Factor}, Authenticators: down, Transactions: down, Limiter: down, Audit: down,
		Handles: mfa.Handles(b.ring, mfatest.Random(t.Name())), Now: b.clock.Now,
	})
	token, login, err := v.Handles.Make("spa", b.clock.Now().Add(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	_, proof := b.ask(t, login.ID)
	attempt := mfa.Attempt{Token: token, Client: "spa", Type: mfa.OOB, Proof: proof}
	for _, want := range []fault.Kind{fault.Pending, fault.SlowDown} {
		if _, err := v.Verify(t.Context(), attempt); fault.Of(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	b.clock.Advance(time.Minute)
	b.decide(t, oob.Denied)
	if _, err := v.Verify(t.Context(), attempt); fault.Of(err) != fault.Rejected {
		t.Errorf("denied: %v", err)
	}
	_, proof = b.ask(t, login.ID)
	b.decide(t, oob.Approved)
	attempt.Proof = proof
	if _, err := v.Verify(t.Context(), attempt); fault.Of(err) != fault.Unavailable {
		t.Errorf("approved: %v", err)
	}
}
