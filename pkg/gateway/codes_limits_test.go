package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
)

// C-09, S-1: who asks for messages all at once, at two gateways, gets no more of them than
// one after the other, and nobody who comes later pays for it.
func TestMessagesAtOnce(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		token := ask(t, w, "spa", "alice")
		var asked []coded
		for _, r := range gatewaytest.Race(30, func(int) gatewaytest.Reply { return w.Challenge(t, token, "authenticator_id", sms) }) {
			switch r.Status {
			case http.StatusOK:
				asked = append(asked, coded{client: "spa", token: token, challenge: r.Text("oob_code")})
			default:
				overrun(t, r)
			}
		}
		sent := w.Webhook.Messages()[1:]
		if len(asked) != 9 || len(sent) != 9 {
			t.Fatalf("%d answers and %d messages, want 9", len(asked), len(sent))
		}
		// An hour later there is room for one, whose code is good; those of before are not.
		w.Clock.Wind(time.Hour)
		c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		for _, before := range asked[:3] {
			tokenless(t, "a challenge of before", coded{c.client, c.token, before.challenge, ""}.redeem(t, w, c.code))
		}
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
	})
}

// S-12: five wrong codes end a challenge also when fifty arrive at once, at two gateways.
func TestWrongCodesAtOnce(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		looked := 0
		for _, r := range gatewaytest.Race(50, func(int) gatewaytest.Reply { return c.redeem(t, w, c.wrong()) }) {
			if r.Status == http.StatusForbidden {
				r.Say(t, wrongBinding)
				looked++
			} else {
				r.Want(t, http.StatusTooManyRequests, "too_many_attempts")
			}
		}
		if looked < 5 || looked > 10 {
			t.Errorf("%d were answered as wrong, want ten at most", looked)
		}
		w.Clock.Wind(2 * time.Minute)
		refused(t, c.redeem(t, w, c.code), http.StatusForbidden, "invalid_grant", wrongBinding)
		w.Clock.Wind(time.Hour)
		next := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		next.redeem(t, w, next.code).Want(t, http.StatusOK, "")
	}, "throttle: {free_attempts: 10}")
}

// A code that was sent to what its owner has removed since is worth nothing.
func TestCodeOfWhatIsGone(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		scopes := "enroll read:authenticators remove:authenticators"
		access := manage(t, w, "alice", alice, scopes)
		c, made := coded{client: "spa", token: access}.associate(t, w, "sms", aNumber)
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
		open := challenged(t, w, "spa", ask(t, w, "spa", "alice"), made.Text("id"))
		remove(t, w, manage(t, w, "alice", alice, scopes), strings.Replace(made.Text("id"), "sms|", "voice|", 1)).Want(t, http.StatusNoContent, "")
		r := open.redeem(t, w, open.code)
		tokenless(t, "a code of what is gone", r)
		if r.Status < 400 || r.Status >= 500 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		refused(t, w.Challenge(t, ask(t, w, "spa", "alice"), "authenticator_id", made.Text("id")), http.StatusNotFound, "invalid_authenticator", "")

		// Half enrolled, removed, and the code comes back.
		access = manage(t, w, "alice", alice, scopes)
		c, made = coded{client: "spa", token: access}.associate(t, w, "voice", aNumber)
		remove(t, w, access, made.Text("id")).Want(t, http.StatusNoContent, "")
		tokenless(t, "an enrollment that is gone", c.redeem(t, w, c.code))
		for _, row := range w.Authenticators(t, access).Want(t, http.StatusOK, "").List {
			if row["type"] == "phone" {
				t.Errorf("it came back: %v", row)
			}
		}
	})
}

// 4.5: a mailbox is what is chosen last; and a mail server that hangs is none, in time.
func TestMailboxIsLast(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		w.Enroll(t, "alice")
		token := ask(t, w, "spa", "alice")
		if r := w.Challenge(t, token).Want(t, http.StatusOK, ""); r.Text("challenge_type") != "otp" {
			t.Errorf("chosen: %s", r.Body)
		}
		for _, kind := range []string{"oob", "email"} {
			r := w.Challenge(t, token, "challenge_type", kind).Want(t, http.StatusOK, "")
			c := coded{"spa", token, r.Text("oob_code"), w.Message(t, "email")}
			refused(t, c.redeem(t, w, c.wrong()), http.StatusForbidden, "invalid_grant", wrongBinding)
		}
		w.Mail.Has(mailtest.Trouble{At: mailtest.AtMessage})
		undelivered(t, "a mail server that hangs", func() gatewaytest.Reply { return w.Challenge(t, token, "challenge_type", "email") })
	})
}
