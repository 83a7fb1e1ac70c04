package mfa_test

import (
	"cmp"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
)

// everything is one active authenticator of each channel, by id.
func everything() map[string]mfa.Authenticator {
	all := map[string]mfa.Authenticator{}
	for id, a := range map[string]mfa.Authenticator{
		"email|dev_1": {Type: mfa.OOB, Channel: "email"},
		"totp|dev_1":  {Type: mfa.OTP},
		"voice|dev_1": {Type: mfa.OOB, Channel: "voice"},
		"sms|dev_1":   {Type: mfa.OOB, Channel: "sms"},
		"push|dev_1":  {Type: mfa.OOB, Channel: "auth0"},
		"codes|dev_1": {Type: mfa.RecoveryCode},
	} {
		a.ID, a.Subject, a.ConfirmedAt = id, mira, mfatest.Epoch
		all[id] = a
	}
	return all
}

// named is the id that a word of a table stands for: "sms" is sms|dev_1, "push2" is
// push|dev_2.
func named(word string) string {
	name := strings.TrimRight(word, "0123456789")
	return name + "|dev_" + cmp.Or(word[len(name):], "1")
}

// TestChallengeChooses: the authenticator that is named, else the one that asks least of
// the user, among those of a wanted type (Auth0 MFA API, 4.5).
func TestChallengeChooses(t *testing.T) {
	every := everything()
	disabled, pending := every["push|dev_1"], every["totp|dev_1"]
	disabled.ID, disabled.DisabledAt = "push|dev_2", mfatest.Epoch
	pending.ID, pending.ConfirmedAt, pending.ExpiresAt = "totp|dev_2", pending.DisabledAt, mfatest.Epoch.Add(mfa.Window)
	every[disabled.ID], every[pending.ID] = disabled, pending
	foreign := every["totp|dev_1"]
	foreign.ID, foreign.Subject = "totp|dev_3", noah
	every[foreign.ID] = foreign

	const app = "totp|dev_1"
	for _, tt := range []struct {
		name, has, types, id string
		want                 any // the id that was challenged, or a fault
	}{
		{"everything", "email totp voice sms push", "", "", "push|dev_1"},
		{"no push", "email totp voice sms", "", "", "sms|dev_1"},
		{"no text messages", "email totp voice", "", "", "voice|dev_1"},
		{"no phone", "email totp", "", "", app},
		{"e-mail alone", "email", "", "", "email|dev_1"},
		{"recovery codes are never challenged", "totp codes", "", "", app},
		{"otp alone is wanted", "email totp push", "otp", "", app},
		{"oob alone is wanted", "email totp sms", "oob", "", "sms|dev_1"},
		{"either", "totp sms", "otp oob", "", "sms|dev_1"},
		{"either, the other way round", "totp sms", "oob otp", "", "sms|dev_1"},
		{"one of them is unknown", "totp sms", "webauthn otp", "", app},
		{"named", "totp sms push", "", app, app},
		{"named, of a wanted type", "totp sms push", "otp", app, app},
		{"disabled ones are left out", "push2 sms", "", "", "sms|dev_1"},
		{"pending ones are left out", "totp2 sms", "", "", "sms|dev_1"},

		{"not the wanted type", "totp", "oob", "", "otp"},
		{"nor that", "sms push", "otp", "", "oob"},
		{"an unknown type", "totp sms", "webauthn", "", "otp, oob"},
		{"a recovery code is wanted", "totp codes", "recovery-code", "", "otp"},
		{"case matters", "totp", "OTP", "", "otp"},
		{"named, not of the wanted type", "totp sms", "oob", app, "otp, oob"},
		{"a recovery code is named", "totp codes", "", "codes|dev_1", "otp"},
		{"nothing usable", "push2", "", "", ""},

		{"unknown", "totp", "", "totp|dev_9", fault.NoAuthenticator},
		{"disabled", "totp push2", "", "push|dev_2", fault.NoAuthenticator},
		{"pending", "sms totp2", "", "totp|dev_2", fault.NoAuthenticator},
		{"another user's", "totp totp3", "", "totp|dev_3", fault.NoAuthenticator},
		{"part of an id", "totp", "", "totp|dev_", fault.NoAuthenticator},

		{"nobody", "", "", "", fault.AssociationRequired},
		{"nobody, named", "", "", app, fault.AssociationRequired},
		{"pending alone", "totp2", "", "", fault.AssociationRequired},
		{"recovery codes alone", "codes", "", "", fault.AssociationRequired},
	} {
		w := newWorld(t, func(o *mfa.Options) { o.Factors = append(o.Factors, courier{}) })
		for _, name := range strings.Fields(tt.has) {
			w.store.Put(every[named(name)])
		}
		token := w.password(mira)
		answer, err := w.Challenge(t.Context(), mfa.ChallengeRequest{
			Token: token, Client: web, Allowed: strings.Fields(tt.types), Authenticator: tt.id,
		})
		if kind, ok := tt.want.(fault.Kind); ok {
			if fault.Of(err) != kind || answer != nil {
				t.Errorf("%s: %v, %v, want %s", tt.name, answer, err, kind)
			}
			continue
		}
		want := tt.want.(string)
		h, readErr := w.Handles.Read(token)
		var d *fault.Details
		switch {
		case readErr != nil:
			t.Fatal(readErr)
		case !strings.Contains(want, "|"):
			if !errors.As(err, &d) || d.Kind != fault.UnsupportedType || d.Param != cmp.Or(want, "none") {
				t.Errorf("%s: %v, %v, want unsupported_type and %q named", tt.name, answer, err, want)
			}
		case want == app:
			if err != nil || !reflect.DeepEqual(answer, map[string]any{"challenge_type": "otp"}) {
				t.Errorf("%s: %v, %v, want a challenge for otp", tt.name, answer, err)
			}
		default:
			if err != nil || !reflect.DeepEqual(answer, map[string]any{"challenge_type": "oob", "oob_code": h.ID, "to": want}) {
				t.Errorf("%s: %v, %v, want %s challenged", tt.name, answer, err, want)
			}
		}
	}
}

// TestChallengeAliases: one SDK can only send the names of mfa_requirements (3.3).
func TestChallengeAliases(t *testing.T) {
	w := newWorld(t, func(o *mfa.Options) { o.Factors = append(o.Factors, courier{}) })
	seed, _ := w.enrolled(mira)
	w.store.Put(mfa.Authenticator{ID: "sms|dev_1", Subject: mira, Type: mfa.OOB, Channel: "sms", ConfirmedAt: w.clock.Now()})
	token := w.password(mira)
	for alias, want := range map[string]string{
		"otp": "otp", "totp": "otp", "oob": "oob", "phone": "oob", "sms": "oob", "voice": "oob", "email": "oob", "push": "oob",
		"push-notification": "oob", "recovery-code": "", "webauthn": "", "Phone": "", "": "",
	} {
		answer, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: token, Client: web, Allowed: []string{alias}})
		got, _ := answer["challenge_type"].(string)
		if got != want || want == "" != (fault.Of(err) == fault.UnsupportedType && err != nil) {
			t.Errorf("%q: %q, %v, want %q", alias, got, err, want)
		}
	}
	w.pass(w.otp(token, w.code(seed))) // challenged or not: mfa-otp needs none
}

// TestChallengeServed: what no factor here serves any more is neither chosen nor named.
func TestChallengeServed(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	w.store.Put(mfa.Authenticator{ID: "push|dev_1", Subject: mira, Type: mfa.OOB, Channel: "auth0", ConfirmedAt: w.clock.Now()})
	token := w.password(mira)
	ask := func(r mfa.ChallengeRequest) (map[string]any, error) {
		r.Token, r.Client = token, web
		return w.Challenge(t.Context(), r)
	}
	if answer, err := ask(mfa.ChallengeRequest{}); err != nil || answer["challenge_type"] != "otp" {
		t.Errorf("%v, %v, want otp", answer, err)
	}
	var d *fault.Details
	if _, err := ask(mfa.ChallengeRequest{Allowed: []string{"oob"}}); !errors.As(err, &d) || d.Param != "otp" {
		t.Errorf("%v, want unsupported_type and otp named", err)
	}
	if _, err := ask(mfa.ChallengeRequest{Authenticator: "push|dev_1"}); fault.Of(err) != fault.NoAuthenticator {
		t.Errorf("%v, want no_authenticator", err)
	}
}

func TestChallengeInTrouble(t *testing.T) {
	w := newWorld(t, func(o *mfa.Options) { o.Factors = append(o.Factors, courier{err: fault.TooManyAttempts}) })
	w.enrolled(mira)
	token := w.password(mira)
	for name, change := range map[string]func(*mfa.Options, mfatest.Down){
		"authenticators": func(o *mfa.Options, d mfatest.Down) { o.Authenticators = d },
		"transactions":   func(o *mfa.Options, d mfatest.Down) { o.Transactions = d },
	} {
		_, err := w.broken(change).Challenge(t.Context(), mfa.ChallengeRequest{Token: token, Client: web})
		if fault.Of(err) != fault.Unavailable || !errors.Is(err, errDown) {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
	w.store.Put(mfa.Authenticator{ID: "sms|dev_1", Subject: mira, Type: mfa.OOB, Channel: "sms", ConfirmedAt: w.clock.Now()})
	answer, err := w.Challenge(t.Context(), mfa.ChallengeRequest{Token: token, Client: web})
	if fault.Of(err) != fault.TooManyAttempts || answer != nil {
		t.Errorf("the factor's own refusal: %v, %v", answer, err)
	}
}
