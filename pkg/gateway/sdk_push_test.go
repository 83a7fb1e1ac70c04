package gateway_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/phone"
)

// An asked is a login of an example that waits for a phone.
type asked struct {
	example

	variables []string
}

// ask plays a step of push.mjs that has a phone asked.
func (e example) ask(t *testing.T, step string) (asked, map[string]any) {
	t.Helper()
	said := e.play(t, "push.mjs "+step)
	return asked{e, []string{"SALLYPORT_MFA_TOKEN=" + text(t, said, "mfaToken"), "SALLYPORT_OOB_CODE=" + text(t, said, "oobCode")}}, said
}

// refused polls, as the library does, and wants this answer.
func (a asked) refused(t *testing.T, status float64, code, description string) {
	t.Helper()
	said := a.play(t, "push.mjs poll", a.variables...)
	equal(t, said, map[string]any{"status": status, "error": code, "description": description})
}

// tokens polls and wants tokens of alice.
func (a asked) tokens(t *testing.T, more ...string) {
	t.Helper()
	said := a.play(t, "push.mjs poll", append(more, a.variables...)...)
	who, _ := said["claims"].(map[string]any)
	equal(t, who, map[string]any{"sub": "auth0|alice", "amr": []any{"pwd", "swk", "pop", "user", "mfa"}})
	text(t, said, "accessToken")
}

// Check A5 with the official client for Node: pending, slow down, approved, rejected,
// expired; and a code that the phone shows.
func TestOfficialNodeClientPushes(t *testing.T) {
	eachExampleWithPhones(t, "auth-js", func(t *testing.T, e example) {
		const pending = "Authorization pending: please repeat the request in a few seconds."
		wind := e.world.Clock.Wind
		login, said := e.ask(t, "enroll")
		login.refused(t, 400, "authorization_pending", pending)
		wind(5 * time.Second)
		mira := e.world.NewPhone(t, phone.Android)
		mira.Scan(t, text(t, said, "barcodeUri"))
		login.tokens(t)

		login, _ = e.ask(t, "challenge")
		n := mira.Next(t)
		login.refused(t, 400, "authorization_pending", pending)
		login.refused(t, 400, "slow_down", "You are polling too fast. Wait as long as Retry-After says, here and from now on.")
		wind(10 * time.Second)
		mira.Approve(t, n)
		login.tokens(t)
		wind(10 * time.Second)
		login.refused(t, 403, "invalid_grant", "Malformed mfa_token")

		login, _ = e.ask(t, "challenge")
		mira.Deny(t, mira.Next(t), "mistake")
		login.refused(t, 403, "invalid_grant", "MFA Authorization rejected.")

		login, said = e.ask(t, "challenge")
		n = mira.Next(t)
		consent, err := mira.App.Consent(t.Context(), mira.Account, n)
		if err != nil || consent == nil || said["bindingMethod"] != "prompt" {
			t.Fatalf("%v, %+v, %v: want a code after the denial", said["bindingMethod"], consent, err)
		}
		mira.Approve(t, n)
		login.tokens(t, "SALLYPORT_BINDING_CODE="+consent.BindingMessage)

		wind(time.Minute)
		login, _ = e.ask(t, "challenge")
		wind(6 * time.Minute)
		login.refused(t, 401, "expired_token", "oob_code is expired")
	})
}

// Check A7, the twins: a phone makes one-time passwords as well, and goes as a whole,
// whichever of the two is removed.
func TestTwinsGoTogether(t *testing.T) {
	eachExampleWithPhones(t, "auth-js", func(t *testing.T, e example) {
		for username, kind := range map[string]string{"alice": "push|", "carol": "totp|"} {
			mira := e.world.EnrollPhone(t, username, phone.Swift)
			env := []string{"SALLYPORT_USERNAME=" + username, "SALLYPORT_SECRET=" + mira.Account.TOTP.Secret.Reveal()}
			second := e.play(t, "manage.mjs add", env...)
			e.world.Clock.Wind(30 * time.Second)
			left := e.play(t, "manage.mjs remove", env[0], "SALLYPORT_SECRET="+text(t, second, "secret"),
				"SALLYPORT_AUTHENTICATOR_ID="+kind+mira.Account.ID)
			if rows, _ := left["rows"].([]any); len(rows) != 2 {
				t.Errorf("%v without %s, want the other app and the recovery code", rows, kind)
			}
			e.world.Clock.Wind(30 * time.Second)
		}
	})
}
