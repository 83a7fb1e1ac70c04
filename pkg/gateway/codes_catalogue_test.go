package gateway_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

const tooManyMessages = "Too many SMS sent by the user. Wait for some minutes before retrying."

// Section 3.6 of the Auth0 MFA API: what a code that comes back is refused with.
func TestCatalogueCodes(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		redeem := func(client, token, challenge, code string) gatewaytest.Reply {
			return coded{client, token, challenge, ""}.redeem(t, w, code)
		}
		missing(t, redeem("spa", c.token, c.challenge, ""), "binding_code")
		missing(t, redeem("spa", c.token, "", c.code), "oob_code")
		refused(t, redeem("spa", c.token, c.challenge, c.wrong()), http.StatusForbidden, "invalid_grant", wrongBinding)
		for _, challenge := range []string{"x", c.challenge[:len(c.challenge)-3], flip(c.challenge), c.token} {
			refused(t, redeem("spa", c.token, challenge, c.code), http.StatusForbidden, "invalid_grant", malformedOOB)
		}
		refused(t, redeem("spa", flip(c.token), c.challenge, c.code), http.StatusForbidden, "invalid_grant", malformedToken)
		refused(t, redeem("kiosk", c.token, c.challenge, c.code), http.StatusBadRequest, "invalid_request", foreignToken)
		refused(t, redeem("legacy", c.token, c.challenge, c.code), http.StatusForbidden, "unauthorized_client", "")
		other := ask(t, w, "spa", "alice")
		refused(t, redeem("spa", other, c.challenge, c.code), http.StatusBadRequest, "invalid_request", foreignOOB)
		w.Clock.Wind(299 * time.Second)
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")

		late := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		w.Clock.Wind(301 * time.Second)
		refused(t, late.redeem(t, w, late.code), http.StatusUnauthorized, "expired_token", expiredOOB)
		w.Clock.Wind(300 * time.Second)
		refused(t, late.redeem(t, w, late.code), http.StatusUnauthorized, "expired_token", expiredToken)
	})
}

// Sections 4.4 and 4.5: numbers that nothing is sent to, and channels that there are not.
func TestCatalogueNumbers(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "web", "alice")
		for _, number := range []string{
			"4915550100042", "015550100042", "+49", "+4915550100042x7", "+49 (1555) 0100042", "+99915550100042", "+١٥٥٥٠١٠٠٠٤٢",
			strings.Repeat("+4915550100042", 9), "+49155501000420000", "tel:+4915550100042",
			"+499001234567", "+498001234567", "+19005550123", "+881612345678", "+4970012345678", // they cost whoever calls
		} {
			for _, channel := range []string{"sms", "voice"} {
				refused(t, w.Associate(t, token, reach(channel, number)), http.StatusBadRequest, "invalid_request", "The phone number is invalid.")
			}
		}
		missing(t, w.Associate(t, token, reach("sms", "")), "phone_number")
		missing(t, w.Associate(t, token, map[string]any{"authenticator_types": []string{"oob"}, "phone_number": aNumber}), "oob_channels")
		missing(t, w.Associate(t, token, map[string]any{"oob_channels": []string{"sms"}, "phone_number": aNumber}), "authenticator_types")
		for _, channel := range []string{"auth0", "pigeon"} {
			refused(t, w.Associate(t, token, reach(channel, aNumber)), http.StatusBadRequest, "unsupported_challenge_type", "")
		}
		for _, to := range []string{"alice", "alice@example.test, mallory@example.test", "alice@example.test\r\nBcc: mallory@example.test", "@", "a@b@c"} {
			if r := w.Associate(t, token, reach("email", to)); r.Status != http.StatusBadRequest && r.Status != http.StatusForbidden {
				t.Errorf("%q: %d %s", to, r.Status, r.Body)
			}
		}
		if n := w.Webhook.Tries() + w.Fallback.Tries() + len(w.Mail.Mails()); n != 0 {
			t.Errorf("%d messages went out", n)
		}
		for _, row := range w.Authenticators(t, token).Want(t, http.StatusOK, "").List {
			if row["active"] != true {
				t.Errorf("left behind: %v", row)
			}
		}
	})
}

// Section 4.4: a channel that is not configured is none.
func TestCatalogueChannelsThatAreOff(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "web", "alice")
		for _, channel := range []string{"sms", "voice", "email", "auth0"} {
			refused(t, w.Associate(t, token, reach(channel, aNumber)), http.StatusBadRequest, "unsupported_challenge_type", "")
		}
	})
}

// overrun checks the answer to a message that is one too many.
func overrun(t *testing.T, r gatewaytest.Reply) {
	t.Helper()
	refused(t, r, http.StatusTooManyRequests, "too_many_attempts", tooManyMessages)
	if wait, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 3600 {
		t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
	}
	for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		if _, err := strconv.Atoi(r.Header.Get(name)); err != nil {
			t.Errorf("%s %q", name, r.Header.Get(name))
		}
	}
}

// C-09, 3.6: ten messages to a user, one more an hour; nobody else waits for that.
func TestCatalogueTooManyMessages(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		voice := strings.Replace(sms, "sms|", "voice|", 1)
		token := ask(t, w, "spa", "alice")
		for i := range 9 {
			challenged(t, w, "spa", token, []string{sms, voice}[i%2])
		}
		sent := len(w.Webhook.Messages())
		for _, id := range []string{sms, voice} {
			overrun(t, w.Challenge(t, token, "authenticator_id", id))
		}
		if n := len(w.Webhook.Messages()); sent != 10 || n != 10 {
			t.Errorf("%d messages, then %d", sent, n)
		}
		carol := ask(t, w, "web", "carol")
		for range 10 {
			coded{client: "web", token: carol}.associate(t, w, "sms", "+4915550100043")
		}
		overrun(t, w.Associate(t, carol, reach("voice", "+4915112345678")))
		if n := len(w.Webhook.Messages()); n != 20 {
			t.Errorf("%d messages", n)
		}
		w.Clock.Wind(time.Hour)
		again := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		again.redeem(t, w, again.code).Want(t, http.StatusOK, "")
		overrun(t, w.Challenge(t, ask(t, w, "spa", "alice"), "authenticator_id", sms))
	})
}

// Standards, S-12: five wrong codes end a challenge, however it is asked; the right one
// comes too late then, and a further challenge begins anew, which gives its user no more guesses.
func TestFiveWrongCodes(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		sms := phoned(t, w, "alice", aNumber)
		c := challenged(t, w, "spa", ask(t, w, "spa", "alice"), sms)
		for range 5 {
			refused(t, c.redeem(t, w, c.wrong()), http.StatusForbidden, "invalid_grant", wrongBinding)
		}
		for range 2 {
			refused(t, c.redeem(t, w, c.code), http.StatusForbidden, "invalid_grant", wrongBinding)
		}
		next := challenged(t, w, "spa", c.token, sms)
		refused(t, c.redeem(t, w, c.code), http.StatusForbidden, "invalid_grant", wrongBinding)
		refused(t, c.redeem(t, w, next.code), http.StatusForbidden, "invalid_grant", wrongBinding)
		next.redeem(t, w, next.code).Want(t, http.StatusOK, "")
	}, "throttle: {free_attempts: 10}")
}

// 4.5: a code supersedes the one before it, and no count begins anew: text messages, calls
// and one-time passwords share that of their user.
func TestNewCodesGiveNoGuesses(t *testing.T) {
	gatewaytest.EachWithMessages(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		access := manage(t, w, "alice", alice, "enroll read:authenticators")
		c, made := coded{client: "spa", token: access}.associate(t, w, "sms", aNumber)
		c.redeem(t, w, c.code).Want(t, http.StatusOK, "")
		sms := made.Text("id")
		token := ask(t, w, "spa", "alice")
		for range 2 {
			refused(t, w.OTP(t, token, otherCode(w.Code(t, alice.Seed, 0))), http.StatusForbidden, "invalid_grant", invalidOTP)
		}
		first := challenged(t, w, "spa", token, sms)
		refused(t, first.redeem(t, w, first.wrong()), http.StatusForbidden, "invalid_grant", wrongBinding)
		second := challenged(t, w, "spa", token, sms)
		refused(t, first.redeem(t, w, first.code), http.StatusForbidden, "invalid_grant", wrongBinding) // superseded, and wrong
		if r := second.redeem(t, w, second.wrong()); r.Status != http.StatusForbidden {
			r.Want(t, http.StatusTooManyRequests, "too_many_attempts")
		}
		third := challenged(t, w, "spa", token, sms)
		r := refused(t, third.redeem(t, w, third.code), http.StatusTooManyRequests, "too_many_attempts", "Too many failed codes. Wait for some minutes before retrying.")
		refused(t, w.OTP(t, token, w.Code(t, alice.Seed, 0)), http.StatusTooManyRequests, "too_many_attempts", "")
		wait, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 290 {
			t.Fatalf("Retry-After %q", r.Header.Get("Retry-After"))
		}
		w.Clock.Wind(time.Duration(wait) * time.Second)
		third.redeem(t, w, third.code).Want(t, http.StatusOK, "")
	})
}
