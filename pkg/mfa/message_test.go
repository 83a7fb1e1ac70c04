package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/record"
)

// post is an enroller whose authenticators are told of, and that serves mail alone.
type post struct {
	phone
	sent  *int
	lost  error
	while func() // it is under way
}

var _ mfa.Selective = post{}

func (post) Kinds() []string                 { return []string{"phone", "email"} }
func (post) Serves(a mfa.Authenticator) bool { return a.Channel == "email" }

func (p post) Enroll(ctx context.Context, r mfa.Enrolling) (mfa.Enrollment, error) {
	made, err := p.phone.Enroll(ctx, r)
	made.Send = func(context.Context) error {
		*p.sent++
		if p.while != nil {
			p.while()
		}
		return p.lost
	}
	return made, err
}

// S-6: a message that did not go out looks like no success. What waited for its code is
// gone, and the recovery codes that the client never saw come with the next association.
func TestMessageIsNotSent(t *testing.T) {
	var asked mfa.Enrolling
	lost := &fault.Details{Kind: fault.Unavailable, Err: errors.New("the provider does not answer")}
	p := &post{phone: phone{asked: &asked}, sent: new(int), lost: lost}
	w := newWorld(t, func(o *mfa.Options) { o.Factors = append(o.Factors, p) })
	c, err := w.registrar.Credential(t.Context(), w.password(mira))
	if err != nil {
		t.Fatal(err)
	}
	by := enrollment.Association{Wanted: []string{"oob"}, Channels: []string{"sms"}, Address: "203.0.113.9"}
	if answer, err := w.registrar.Associate(t.Context(), c, by); fault.Of(err) != fault.Unavailable || answer != nil || *p.sent != 1 {
		t.Fatalf("%v, %v after %d messages", answer, err, *p.sent)
	}
	if all := w.all(mira); len(all) != 0 {
		t.Errorf("left %+v", all)
	}
	if e := w.last(); e.Type != audit.Removed || e.Reason != "unavailable" || e.Grant != "associate" || len(e.Authenticators) != 2 {
		t.Errorf("recorded %+v", e)
	}
	p.lost = nil
	answer, err := w.registrar.Associate(t.Context(), c, by)
	if err != nil || answer["recovery_codes"] == nil || len(w.all(mira)) != 3 {
		t.Errorf("the next: %v, %v", answer, err)
	}
	if !asked.OwnAddress || asked.Client != web || asked.Address != "203.0.113.9" {
		t.Errorf("asked for %+v", asked)
	}
}

// Recovery codes come with an answer that somebody gets, whatever is associated while a
// message is under way that does not arrive; and what was confirmed meanwhile stays.
func TestMessageIsNotSentMeanwhile(t *testing.T) {
	var asked mfa.Enrolling
	p := &post{phone: phone{asked: &asked}, sent: new(int), lost: errors.New("the provider does not answer")}
	w := newWorld(t, func(o *mfa.Options) { o.Factors = append(o.Factors, p) })
	token := w.password(mira)
	c, err := w.registrar.Credential(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	p.while = func() {
		seed, answer := w.associate(token)
		if answer["recovery_codes"] == nil {
			t.Error("nobody gets recovery codes")
		}
		w.pass(w.otp(token, w.code(seed)))
	}
	by := enrollment.Association{Wanted: []string{"oob"}, Channels: []string{"sms"}}
	if answer, err := w.registrar.Associate(t.Context(), c, by); err == nil || answer != nil {
		t.Errorf("%v, %v", answer, err)
	}
	active := 0
	for _, a := range w.all(mira) {
		if a.Active() {
			active++
		}
	}
	if active != 2 {
		t.Errorf("%d are active, want the app and its recovery codes: %+v", active, w.all(mira))
	}
	w.only(mira, mfa.RecoveryCode)
}

// mailbox is the one that a subject is known to have.
func mailbox(subject string) mfa.Authenticator {
	return mfa.Authenticator{ID: "email|dev_" + subject, Subject: subject, Type: mfa.OOB, Channel: "email", Automatic: true,
		Name: "****@exam*******", ConfirmedAt: time.Unix(1, 0), CreatedAt: time.Unix(1<<40, 0)}
}

// A verified address is listed, enrolls nobody, and cannot be taken away; who has a factor
// may be asked by it (Auth0 MFA API, 4.1 to 4.3; fixtures, settled points).
func TestAutomaticAddress(t *testing.T) {
	var asked mfa.Enrolling
	w := newWorld(t, func(o *mfa.Options) {
		o.Factors = append(o.Factors, &post{phone: phone{asked: &asked}, sent: new(int)})
	})
	w.store.Put(mailbox(mira))
	_, err := w.Begin(t.Context(), w.login(mira), mfa.Demand{Mode: record.MFARequired})
	if got, want := w.members(err)["mfa_requirements"], `map[enroll:[{otp} {phone}]]`; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	if _, err := w.Begin(t.Context(), w.login(mira), mfa.Demand{Mode: record.MFAEnrolled}); err != nil {
		t.Errorf("who has nothing else is asked: %v", err)
	}
	token := w.password(mira)
	if _, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: token, Client: web}); fault.Of(err) != fault.AssociationRequired {
		t.Errorf("challenge: %v", err)
	}
	w.associate(token)
	w.enrolled(mira)
	c := strong(w)
	for _, by := range []mfa.Credential{c, just(mira, "jti")} {
		if err := w.registrar.Remove(t.Context(), by, mailbox(mira).ID, ""); fault.Of(err) != fault.NotRemovable {
			t.Errorf("remove: %v", err)
		}
	}
	_, err = w.Begin(t.Context(), w.login(mira), mfa.Demand{Mode: record.MFARequired})
	if got, want := w.members(err)["mfa_requirements"], `map[challenge:[{otp} {recovery-code} {email}]]`; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	answer, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: w.password(mira), Client: web, Authenticator: mailbox(mira).ID})
	if err != nil || answer["to"] != mailbox(mira).ID {
		t.Errorf("by its id: %v, %v", answer, err)
	}
	if answer, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: w.password(mira), Client: web}); err != nil || answer["challenge_type"] != "otp" {
		t.Errorf("mail comes last: %v, %v", answer, err)
	}
}

// Where no codes go by mail, the address is not listed, and nobody is asked by it.
func TestAutomaticAddressIsNotServed(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	w.store.Put(mailbox(mira))
	all, err := w.registrar.List(t.Context(), strong(w))
	if err != nil || len(all) != 2 {
		t.Errorf("listed %+v, %v", all, err)
	}
	_, err = w.Begin(t.Context(), w.login(mira), mfa.Demand{Mode: record.MFARequired})
	if got, want := w.members(err)["mfa_requirements"], `map[challenge:[{otp} {recovery-code}]]`; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	asked := mfa.ChallengeRequest{Token: w.password(mira), Client: web, Authenticator: mailbox(mira).ID}
	if _, err := w.Challenge(t.Context(), asked); fault.Of(err) != fault.NoAuthenticator {
		t.Errorf("challenge: %v", err)
	}
}

// A mailbox is a second factor like others, until something better is there: it satisfies
// a demand for one and no acr_values, and changes no better one (N-OB-1).
func TestMailProves(t *testing.T) {
	w := newWorld(t)
	mail := mfa.Authenticator{ID: "email|dev_2", Subject: mira, Type: mfa.OOB, Channel: "email", ConfirmedAt: mfatest.Epoch}
	w.store.Put(mail)
	l := w.session(mira, time.Minute)
	l.Proofs = append(l.Proofs, record.Proof{Methods: []string{"email"}, Authenticator: mail.ID, At: w.clock.Now()})
	begin := func(d mfa.Demand) error {
		_, err := w.Begin(t.Context(), l, d)
		return err
	}
	if err := begin(mfa.Demand{Mode: record.MFARequired, Scopes: true}); err != nil {
		t.Errorf("a scope: %v", err)
	}
	if err := begin(mfa.Demand{Mode: record.MFARequired, ACR: true}); fault.Of(err) != fault.MFARequired {
		t.Errorf("acr_values: %v", err)
	}
	c := mfa.Credential{Subject: mira, Client: web, Handle: "jti-1", Session: record.Session{ID: "s-1", Proofs: l.Proofs}}
	if !c.Strong(w.all(mira)) {
		t.Error("who has nothing else can enroll nothing better")
	}
	w.store.Put(mfa.Authenticator{ID: "totp|dev_3", Subject: mira, Type: mfa.OTP, ConfirmedAt: mfatest.Epoch})
	if c.Strong(w.all(mira)) {
		t.Error("a mailbox is enough to change what is better")
	}
	if err := begin(mfa.Demand{Mode: record.MFARequired}); err != nil {
		t.Errorf("a login: %v", err)
	}
}
