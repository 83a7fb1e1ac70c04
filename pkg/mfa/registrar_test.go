package mfa_test

import (
	"context"
	"errors"
	"fmt"
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
)

// access is the credential of an access token for /mfa/.
var access = mfa.Credential{Subject: mira, Client: web, Handle: "jti-1", Session: record.Session{ID: "s-1",
	Proofs: []record.Proof{password, {Methods: []string{"otp"}, Authenticator: "totp|dev_1"}}}}

// password is the proof of one, a moment ago.
var password = record.Proof{Methods: []string{"pwd"}, At: mfatest.Epoch}

// just is the credential of an access token that a password alone got.
func just(subject, handle string) mfa.Credential {
	return mfa.Credential{Subject: subject, Handle: handle, Session: record.Session{Proofs: []record.Proof{password}}}
}

// strong is access for somebody whose session proved the factor that it has.
func strong(w *world) mfa.Credential {
	c := access
	for _, a := range w.all(mira) {
		if a.Active() && a.Type == mfa.OTP {
			c.Session.Proofs = []record.Proof{password, {Methods: []string{"otp"}, Authenticator: a.ID}}
		}
	}
	return c
}

// TestCredential: an mfa_token as a bearer token stands for its user and client, and
// says why it does not (Auth0 MFA API, 4.1).
func TestCredential(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	token, consumed := w.password(mira), w.password(mira)
	w.pass(w.otp(consumed, w.code(seed)))
	h, err := w.Handles.Read(token)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.registrar.Credential(t.Context(), token)
	if err != nil || got.Transaction == nil || got.Transaction.ID != h.ID || len(got.Transaction.Factors) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := (mfa.Credential{Subject: mira, Client: web, Handle: h.ID, Transaction: got.Transaction}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	bad := func(name string, w *world, token secret.Text, want fault.Kind) {
		t.Helper()
		if got, err := w.registrar.Credential(t.Context(), token); fault.Of(err) != want || !reflect.DeepEqual(got, mfa.Credential{}) {
			t.Errorf("%s: %+v, %v, want %s", name, got, err, want)
		}
	}
	bad("none", w, secret.Text{}, fault.BadBearer)
	bad("garbage", w, secret.New(token.Reveal()+"x"), fault.BadBearer)
	bad("an access token", w, secret.New("eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJtZmEifQ.c2ln"), fault.BadBearer)
	bad("consumed", w, consumed, fault.BadBearer)
	bad("store down", w.broken(func(o *mfa.Options, d mfatest.Down) { o.Transactions = d }), token, fault.Unavailable)
	w.clock.Advance(10*time.Minute - time.Millisecond)
	if _, err := w.registrar.Credential(t.Context(), token); err != nil {
		t.Errorf("in its last millisecond: %v", err)
	}
	w.clock.Advance(time.Millisecond)
	bad("expired", w, token, fault.MFATokenExpired)
}

// TestAssociate: the authenticator waits under the handle it came with, and its event
// names everything that was made.
func TestAssociate(t *testing.T) {
	w := newWorld(t)
	token := w.password(mira)
	c, err := w.registrar.Credential(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.registrar.Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}, Address: "203.0.113.9"})
	if err != nil {
		t.Fatal(err)
	}
	app, codes := w.only(mira, mfa.OTP), w.only(mira, mfa.RecoveryCode)
	for _, a := range []mfa.Authenticator{app, codes} {
		if a.Active() || a.Subject != mira || a.Handle != c.Handle || a.Origin != "mfa_api" || !a.CreatedAt.Equal(w.clock.Now()) {
			t.Errorf("%+v", a)
		}
	}
	if !app.ExpiresAt.Equal(w.clock.Now().Add(mfa.Window)) {
		t.Errorf("the app waits until %v", app.ExpiresAt)
	}
	if answer["id"] != app.ID || answer["secret"] != app.Secret.Reveal() || answer["authenticator_type"] != "otp" {
		t.Errorf("answer %v", answer)
	}
	if shown, _ := answer["recovery_codes"].([]string); len(shown) != 1 || secret.Hash(secret.New(shown[0])) != codes.Codes[0].Hash {
		t.Errorf("recovery codes %v", shown)
	}
	want := audit.Event{
		At: w.clock.Now(), Type: audit.Associated, Success: true, Subject: mira, Client: web,
		Authenticators: []string{app.ID, codes.ID}, Address: "203.0.113.9", Transaction: app.Handle,
	}
	if got := w.last(); !reflect.DeepEqual(got, want) {
		t.Errorf("recorded %+v\nwant %+v", got, want)
	}
}

// TestRecoveryCodesOnce: they come with the first association of a handle, and with none
// of a user who has a factor.
func TestRecoveryCodesOnce(t *testing.T) {
	w := newWorld(t)
	one, other := w.password(mira), w.password(mira)
	comes := func(token secret.Text, want bool) {
		t.Helper()
		_, answer := w.associate(token)
		if _, got := answer["recovery_codes"]; !reflect.DeepEqual(got, want) {
			t.Errorf("recovery codes: %t, want %t", got, want)
		}
	}
	comes(one, true)
	comes(one, false)
	comes(other, true)
	comes(other, false)

	w = newWorld(t)
	w.enrolled(mira)
	answer, err := w.registrar.Associate(t.Context(), strong(w), enrollment.Association{Wanted: []string{"otp"}})
	if _, got := answer["recovery_codes"]; err != nil || got {
		t.Errorf("with a second factor: %v, %v", answer, err)
	}
}

// TestRecoveryCodesLast: those that were shown work, even if the association that is
// confirmed at last is not the one they came with.
func TestRecoveryCodesLast(t *testing.T) {
	w := newWorld(t)
	token := w.password(mira)
	_, first := w.associate(token)
	w.clock.Advance(4 * time.Minute)
	seed, second := w.associate(token)
	if second["recovery_codes"] != nil {
		t.Error("recovery codes come twice")
	}
	w.clock.Advance(4 * time.Minute)
	w.pass(w.otp(token, w.code(seed)))
	w.pass(w.recovery(w.password(mira), first["recovery_codes"].([]string)[0]))
}

// TestAlreadyEnrolled: an mfa_token enrolls the first factor and no other; an access
// token for /mfa/ enrolls further ones.
func TestAlreadyEnrolled(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	c, err := w.registrar.Credential(t.Context(), w.password(mira))
	if err != nil {
		t.Fatal(err)
	}
	before := w.all(mira)
	if answer, err := w.registrar.Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}}); fault.Of(err) != fault.AlreadyEnrolled || answer != nil {
		t.Errorf("with an mfa_token: %v, %v, want already_enrolled", answer, err)
	}
	refused := audit.Event{At: w.clock.Now(), Type: audit.Associated, Reason: "already_enrolled", Subject: mira, Client: web, Transaction: c.Handle}
	if got := w.last(); !reflect.DeepEqual(got, refused) {
		t.Errorf("recorded %+v\nwant %+v", got, refused)
	}
	if !reflect.DeepEqual(w.all(mira), before) {
		t.Error("something was stored all the same")
	}
	weak := strong(w)
	weak.Session.Proofs = weak.Session.Proofs[:1]
	if _, err := w.registrar.Associate(t.Context(), weak, enrollment.Association{Wanted: []string{"otp"}}); fault.Of(err) != fault.AlreadyEnrolled {
		t.Errorf("with an access token from before there was a factor (R6): %v, want already_enrolled", err)
	}
	if _, err := w.registrar.Associate(t.Context(), strong(w), enrollment.Association{Wanted: []string{"otp"}}); err != nil {
		t.Errorf("with an access token: %v", err)
	}
	if all := w.all(mira); len(all) != len(before)+1 || all[len(all)-1].Handle != access.Handle || all[len(all)-1].Active() {
		t.Errorf("%d authenticators, want one more that waits for this token", len(all))
	}
}

// TestAssociateWhat: one type at a time, and one that can be enrolled here.
func TestAssociateWhat(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		wanted, channels []string
		want             fault.Kind
		param            string
	}{
		{nil, nil, fault.MissingParameter, "authenticator_types"},
		{[]string{"otp", "oob"}, nil, fault.BadRequest, "authenticator_types: name exactly one type."},
		{[]string{"otp", "otp"}, nil, fault.BadRequest, "authenticator_types: name exactly one type."},
		{[]string{"oob"}, nil, fault.MissingParameter, "oob_channels"},
		{[]string{"oob"}, []string{"sms"}, fault.UnknownFactor, ""},
		{[]string{"recovery-code"}, nil, fault.UnknownFactor, ""},
		{[]string{"webauthn"}, nil, fault.UnknownFactor, ""},
		{[]string{"OTP"}, nil, fault.UnknownFactor, ""},
		{[]string{""}, nil, fault.UnknownFactor, ""},
	} {
		answer, err := w.registrar.Associate(t.Context(), access, enrollment.Association{Wanted: tt.wanted, Channels: tt.channels})
		var d *fault.Details
		if fault.Of(err) != tt.want || answer != nil || tt.param != "" && (!errors.As(err, &d) || d.Param != tt.param) {
			t.Errorf("%q %q: %v, %v, want %s %q", tt.wanted, tt.channels, answer, err, tt.want, tt.param)
		}
	}
	if got := w.all(mira); len(got) != 0 {
		t.Errorf("%d authenticators were stored", len(got))
	}
}

// phone is an enroller that takes an address.
type phone struct {
	courier
	asked *mfa.Enrolling
}

var _ mfa.Enroller = phone{}

func (phone) Kinds() []string { return []string{"phone"} }

func (p phone) Enroll(_ context.Context, r mfa.Enrolling) (mfa.Enrollment, error) {
	*p.asked = r
	return mfa.Enrollment{
		Authenticators: []mfa.Authenticator{
			{ID: "sms|dev_1", Type: mfa.OOB, Channel: "sms", Group: "g"}, {ID: "voice|dev_1", Type: mfa.OOB, Channel: "voice", Group: "g"},
		},
		Reply: map[string]any{"oob_code": "x"},
	}, p.err
}

// TestAssociateChannel: the factor gets the first channel and the parameters; twins wait
// together.
func TestAssociateChannel(t *testing.T) {
	var asked mfa.Enrolling
	w := newWorld(t, func(o *mfa.Options) { o.Factors = append(o.Factors, phone{asked: &asked}) })
	params := map[string]string{"phone_number": "+4915550100042"}
	answer, err := w.registrar.Associate(t.Context(), access, enrollment.Association{
		Wanted: []string{"oob"}, Channels: []string{"sms", "voice"}, Params: params,
	})
	want := mfa.Enrolling{Subject: mira, Client: web, Handle: access.Handle, Account: mfa.Account{Name: "mira@example.com"}, Channel: "sms", Params: params, OwnAddress: true}
	if err != nil || !reflect.DeepEqual(asked, want) || answer["oob_code"] != "x" || answer["recovery_codes"] == nil {
		t.Errorf("asked for %+v, answer %v, %v", asked, answer, err)
	}
	if all := w.all(mira); len(all) != 3 || all[0].Handle != all[1].Handle || all[0].Subject != mira || all[1].Subject != mira {
		t.Errorf("stored %+v", all)
	}
}

// TestPendingLimit: what waits takes no room without end, and no longer than it waits.
func TestPendingLimit(t *testing.T) {
	w := newWorld(t)
	associate := func(c mfa.Credential) error {
		_, err := w.registrar.Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}})
		return err
	}
	for i := range 30 {
		if err := associate(just(mira, fmt.Sprint("jti-", i))); err != nil {
			t.Fatalf("association %d: %v", i+1, err)
		}
	}
	var d *fault.Details
	if err := associate(access); !errors.As(err, &d) || d.Kind != fault.TooManyAttempts || d.RetryAfter != mfa.Window {
		t.Errorf("association 31: %v, want too_many_attempts and when to come again", err)
	}
	if err := associate(just(noah, "jti")); err != nil {
		t.Errorf("another user: %v", err)
	}
	w.clock.Advance(mfa.Window)
	if err := associate(access); err != nil {
		t.Errorf("when the others are over: %v", err)
	}
}

// TestAssociateInTrouble: a store that fails is not "nothing enrolled", and nobody gets
// a seed that is not kept.
func TestAssociateInTrouble(t *testing.T) {
	w := newWorld(t)
	associate := func(w *world, subject string) error {
		answer, err := w.registrar.Associate(t.Context(), just(subject, "h"), enrollment.Association{Wanted: []string{"otp"}})
		if (err == nil) != (answer["secret"] != nil) {
			t.Errorf("%v, and a seed is answered: %t", err, answer["secret"] != nil)
		}
		return err
	}
	down := w.broken(func(o *mfa.Options, d mfatest.Down) { o.Authenticators = d })
	if err := associate(down, mira); fault.Of(err) != fault.Unavailable || !errors.Is(err, errDown) {
		t.Errorf("store down: %v", err)
	}
	if all, err := down.registrar.List(t.Context(), access); fault.Of(err) != fault.Unavailable || all != nil {
		t.Errorf("list, store down: %v, %v", all, err)
	}
	full := w.broken(func(o *mfa.Options, d mfatest.Down) { o.Authenticators = readOnly{w.store, d} })
	if err := associate(full, mira); fault.Of(err) != fault.Unavailable {
		t.Errorf("nothing can be stored: %v", err)
	}
	if err := associate(w, "auth0|nobody"); fault.Of(err) != fault.BadBearer {
		t.Errorf("unknown user: %v", err)
	}
	w.store.Block(mira)
	if err := associate(w, mira); fault.Of(err) != fault.BadBearer {
		t.Errorf("blocked user: %v", err)
	}
	if err := associate(newWorld(t, func(o *mfa.Options) {
		var asked mfa.Enrolling
		o.Factors = []mfa.Factor{otpless{phone{courier{errDown}, &asked}}}
	}), mira); !errors.Is(err, errDown) {
		t.Errorf("the factor's own failure: %v", err)
	}
}

// readOnly is a store that can be read.
type readOnly struct {
	*mfatest.Store
	down mfatest.Down
}

func (r readOnly) Associate(ctx context.Context, c mfa.Credential, seen, all []mfa.Authenticator, e audit.Event) error {
	return r.down.Associate(ctx, c, seen, all, e)
}

// meanwhile is a store in which something happens after somebody has looked.
type meanwhile struct {
	*mfatest.Store
	happens func()
}

func (m meanwhile) Authenticators(ctx context.Context, subject string, now time.Time) ([]mfa.Authenticator, error) {
	defer m.happens()
	return m.Store.Authenticators(ctx, subject, now)
}

// ending is a registrar in whose requests a credential ends.
func (w *world) ending(end func(*world, mfa.Credential), c mfa.Credential) *enrollment.Registrar {
	o := w.Options
	o.Authenticators = meanwhile{w.store, func() { end(w, c) }}
	return enrollment.NewRegistrar(o)
}

// TestEndedMeanwhile: what ends a credential ends the request that came with it, also
// when that is halfway through.
func TestEndedMeanwhile(t *testing.T) {
	for name, end := range map[string]func(*world, mfa.Credential){
		"the user is blocked":     func(w *world, c mfa.Credential) { w.store.Block(c.Subject) },
		"the token is none":       func(w *world, c mfa.Credential) { w.store.End(c.Handle) },
		"another's token is none": func(w *world, _ mfa.Credential) { w.store.End("another") },
	} {
		good := name == "another's token is none"
		want := func(what string, err error) {
			t.Helper()
			if good != (err == nil) || !good && fault.Of(err) != fault.BadBearer {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		w := newWorld(t)
		c, err := w.registrar.Credential(t.Context(), w.password(mira))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.ending(end, c).Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}})
		want("associate", err)
		if got := len(w.all(mira)) > 0; got != good {
			t.Errorf("%s: associated: %t", name, got)
		}

		w = newWorld(t)
		w.enrolled(mira)
		c = strong(w)
		want("remove", w.ending(end, c).Remove(t.Context(), c, w.only(mira, mfa.OTP).ID, ""))
		if got := len(w.all(mira)) == 0; got != good {
			t.Errorf("%s: removed: %t", name, got)
		}
	}
}

// otpless is a phone in the place of one-time passwords.
type otpless struct{ phone }

func (otpless) Type() mfa.AuthenticatorType { return mfa.OTP }

// TestList: active, disabled and pending ones of the subject, oldest first.
func TestList(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	w.enrolled(noah)
	w.clock.Advance(time.Minute)
	if _, err := w.registrar.Associate(t.Context(), strong(w), enrollment.Association{Wanted: []string{"otp"}}); err != nil {
		t.Fatal(err)
	}
	all, err := w.registrar.List(t.Context(), access)
	var active []bool
	for _, a := range all {
		active = append(active, a.Active())
		if a.Subject != mira {
			t.Errorf("%s is another user's", a.ID)
		}
	}
	if err != nil || !slices.Equal(active, []bool{true, true, false}) {
		t.Errorf("active %v, %v", active, err)
	}
}

func TestKind(t *testing.T) {
	for want, a := range map[string]mfa.Authenticator{
		"otp": {Type: mfa.OTP}, "recovery-code": {Type: mfa.RecoveryCode}, "email": {Type: mfa.OOB, Channel: "email"},
		"push-notification": {Type: mfa.OOB, Channel: "auth0"}, "phone": {Type: mfa.OOB, Channel: "sms"},
	} {
		if got := a.Kind(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s %s: %q, want %q", a.Type, a.Channel, got, want)
		}
	}
	if got := (mfa.Authenticator{Type: mfa.OOB, Channel: "voice"}).Kind(); got != "phone" {
		t.Errorf("voice: %q, want phone", got)
	}
}

// TestLife: what an authenticator is for between its association and its end.
func TestLife(t *testing.T) {
	now := mfatest.Epoch
	waiting := mfa.Authenticator{Handle: "h", ExpiresAt: now.Add(time.Second)}
	active, disabled := waiting, waiting
	active.ConfirmedAt, disabled.ConfirmedAt, disabled.DisabledAt = now, now, now
	for _, tt := range []struct {
		name                    string
		a                       mfa.Authenticator
		handle                  string
		at                      time.Time
		pending, active, usable bool
	}{
		{"waiting", waiting, "h", now, true, false, false},
		{"for another", waiting, "x", now, false, false, false},
		{"over", waiting, "h", now.Add(time.Second), false, false, false},
		{"active", active, "h", now, false, true, true},
		{"disabled", disabled, "h", now, false, true, false},
	} {
		if p, a, u := tt.a.Pending(tt.handle, tt.at), tt.a.Active(), tt.a.Usable(); p != tt.pending || a != tt.active || u != tt.usable {
			t.Errorf("%s: pending %t, active %t, usable %t", tt.name, p, a, u)
		}
	}
}

// TestTransactionExpired has the edge.
func TestTransactionExpired(t *testing.T) {
	tr := mfa.Transaction{ExpiresAt: mfatest.Epoch}
	if tr.Expired(mfatest.Epoch.Add(-1)) || !tr.Expired(mfatest.Epoch) {
		t.Error("a transaction lives until its expiry and no longer")
	}
}
