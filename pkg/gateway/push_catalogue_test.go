package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/guardian/provider"
	"github.com/sallyport/sallyport/pkg/secret"
)

// What section 3.6 has of oob_code, and 3.5 of its end.
const (
	malformedOOB = "Malformed oob_code"
	expiredOOB   = "oob_code is expired"
	foreignOOB   = "The oob_code doesn't match the mfa_token"
	wrongBinding = "Invalid binding_code."
)

// Sections 3.5 and 3.6 of the Auth0 MFA API: what a poll is refused with.
func TestCataloguePolls(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		p := w.AskPhone(t, "alice")
		n := mira.Next(t)
		token := w.Login(t, "alice", gatewaytest.Password).Text("mfa_token")
		poll := func(client, token, code string) gatewaytest.Reply {
			return w.Token(t, with(client, "grant_type", gatewaytest.GrantOOB, "mfa_token", token, "oob_code", code)...)
		}
		for name, code := range map[string]string{
			"no code of ours": "x", "not even text": "\x00é", "cut short": p.OOBCode[:len(p.OOBCode)-3], "longer": p.OOBCode + "AAAA",
			"another letter": flip(p.OOBCode), "the mfa_token": p.MFAToken, "long": strings.Repeat("A", 4000),
		} {
			t.Log(name)
			if r := poll("spa", p.MFAToken, code); r.Text("error") != "invalid_request" || name == "the mfa_token" {
				refused(t, r, http.StatusForbidden, "invalid_grant", malformedOOB)
			}
		}
		missing := w.Token(t, with("spa", "grant_type", gatewaytest.GrantOOB, "mfa_token", p.MFAToken)...)
		refused(t, missing, http.StatusBadRequest, "invalid_request", "Missing required parameter: oob_code")
		refused(t, poll("spa", token, p.OOBCode), http.StatusBadRequest, "invalid_request", foreignOOB)
		refused(t, poll("kiosk", p.MFAToken, p.OOBCode), http.StatusBadRequest, "invalid_request", foreignToken)
		refused(t, poll("spa", flip(p.MFAToken), p.OOBCode), http.StatusForbidden, "invalid_grant", malformedToken)
		refused(t, poll("legacy", p.MFAToken, p.OOBCode), http.StatusForbidden, "unauthorized_client", "")
		refused(t, w.OTP(t, token, p.OOBCode), http.StatusForbidden, "invalid_grant", invalidOTP)

		// None of that was a poll: the first one is free.
		w.Poll(t, p).Want(t, http.StatusBadRequest, "authorization_pending")
		mira.Approve(t, n)
		w.Clock.Wind(10 * time.Second)
		w.Poll(t, p).Want(t, http.StatusOK, "")
		w.Clock.Wind(10 * time.Second)
		refused(t, w.Poll(t, p), http.StatusForbidden, "invalid_grant", malformedToken)
		refused(t, poll("spa", token, p.OOBCode), http.StatusBadRequest, "invalid_request", foreignOOB)

		late := w.AskPhone(t, "alice")
		yes := mira.Next(t)
		w.Clock.Wind(5*time.Minute - time.Second)
		mira.Approve(t, yes) // in the last moment, and what it is told is true
		w.Clock.Wind(20 * time.Second)
		w.Poll(t, late).Want(t, http.StatusOK, "")
		late = w.AskPhone(t, "alice")
		w.Clock.Wind(5*time.Minute + 31*time.Second)
		refused(t, w.Poll(t, late), http.StatusUnauthorized, "expired_token", expiredOOB)
		w.Clock.Wind(time.Hour)
		refused(t, w.Poll(t, late), http.StatusUnauthorized, "expired_token", expiredToken)
	})
}

// otherCode is a code that people carry over, and not this one.
func otherCode(code string) string {
	if other := strings.Repeat("1", len(code)); other != code {
		return other
	}
	return strings.Repeat("2", len(code))
}

// A factor that somebody does not have, and one that nobody asked for.
func TestCataloguePushNotEnrolled(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		w.Enroll(t, "carol")
		token := w.Login(t, "carol", gatewaytest.Password).Text("mfa_token")
		refused(t, w.Challenge(t, token, "challenge_type", "oob"), http.StatusUnauthorized, "unsupported_challenge_type", "")
		w.EnrollPhone(t, "alice", phone.Android)
		p := w.AskPhone(t, "alice")
		r := w.Token(t, "grant_type", gatewaytest.GrantOOB, "client_id", "spa", "mfa_token", token, "oob_code", p.OOBCode)
		refused(t, r, http.StatusBadRequest, "invalid_request", foreignOOB)
		bare := w.Token(t, with("web", "grant_type", "password", "username", "bob", "password", "bob's imported password")...).Text("mfa_token")
		r = w.Token(t, with("web", "grant_type", gatewaytest.GrantOOB, "mfa_token", bare, "oob_code", p.OOBCode)...)
		if r.Status < 400 || r.Status >= 500 || r.Text("access_token") != "" {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	})
}

// A wrong code of the page is a guess: counted with all others, recorded, and bounded.
func TestCatalogueBindingCode(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Swift)
		p := w.AskPhone(t, "alice")
		n := mira.Next(t)
		phoneRefused(t, "no proof of possession", consent(t, w, n.Link, n.Transaction.Reveal()), http.StatusForbidden, "invalid_dpop_assertion")
		shown, err := mira.App.Consent(t.Context(), mira.Account, n)
		if err != nil {
			t.Fatal(err)
		}
		right := shown.BindingMessage
		wrong := otherCode(right)
		w.Poll(t, p, "binding_code", right).Want(t, http.StatusBadRequest, "authorization_pending")
		w.Clock.Wind(10 * time.Second)
		mira.Approve(t, n)
		w.Poll(t, p).Want(t, http.StatusBadRequest, "authorization_pending")
		w.Clock.Wind(20 * time.Second)
		refused(t, w.Poll(t, p, "binding_code", wrong), http.StatusForbidden, "invalid_grant", wrongBinding)
		if got := recorded(t, w, "auth0|alice", audit.FactorRefused); got["wrong_binding_code"] != 1 {
			t.Errorf("recorded %v", got)
		}
		if failures, _, err := w.Administer(t).UserFailures(t.Context(), "auth0|alice"); err != nil || failures != 1 {
			t.Errorf("%d failures are counted: %v", failures, err)
		}
		w.Clock.Wind(20 * time.Second)
		w.Poll(t, p, "binding_code", right).Want(t, http.StatusOK, "")
	}, "push: {binding: code_to_page}")
}

// recorded counts what is on record of a subject by its reason.
func recorded(t *testing.T, w *gatewaytest.World, subject string, kind audit.Type) map[string]int {
	t.Helper()
	events, err := w.Administer(t).AuditEvents(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, e := range events {
		if e.Type == kind && e.Subject == subject {
			got[e.Reason]++
		}
	}
	return got
}

// A wrongAnswer is one that a phone must not be believed.
type wrongAnswer struct {
	name   string
	send   func(t *testing.T) error
	status int
	code   string
}

// refuses sends wrong answers. Each is refused and is on record of the subject.
func refusesAnswers(t *testing.T, w *gatewaytest.World, subject string, answers []wrongAnswer) {
	t.Helper()
	for _, a := range answers {
		before := recorded(t, w, subject, audit.AnswerRefused)
		if status, code := outcome(t, a.send(t)); status != a.status || code != a.code {
			t.Errorf("%s: %d %s, want %d %s", a.name, status, code, a.status, a.code)
		}
		added := 0
		for reason, n := range recorded(t, w, subject, audit.AnswerRefused) {
			added += n - before[reason]
		}
		if added != 1 {
			t.Errorf("%s: %d events are recorded, want one", a.name, added)
		}
	}
}

// Section 8.1 of the Guardian contract: an answer by another key, for another audience or
// another login, of another time. None changes anything.
func TestCatalogueWrongAnswers(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira, otto := w.EnrollPhone(t, "alice", phone.Android), w.EnrollPhone(t, "carol", phone.Web)
		old := w.AskPhone(t, "alice")
		first := mira.Next(t)
		mira.Approve(t, first)
		w.Poll(t, old).Want(t, http.StatusOK, "")
		w.Clock.Wind(10 * time.Second)
		p, q := w.AskPhone(t, "alice"), w.AskPhone(t, "carol")
		n, theirs := mira.Next(t), otto.Next(t)
		allow := func(by *gatewaytest.Phone, account phone.Account, n phone.Notification) func(*testing.T) error {
			return func(t *testing.T) error {
				t.Helper()
				n.Account = account.ID
				return by.App.Allow(t.Context(), account, n, secret.Text{})
			}
		}
		key, err := phone.NewKey(phone.Android)
		if err != nil {
			t.Fatal(err)
		}
		stranger, elsewhere, borrowed := mira.Account, mira.Account, otto.Account
		stranger.Key, elsewhere.URL = key, "https://elsewhere.example.test/"
		borrowed.ID, borrowed.Identifier = mira.Account.ID, mira.Account.Identifier
		at := func(d time.Duration) *gatewaytest.Phone {
			return mira.At(t, w, func() time.Time { return w.Clock.Now().Add(d) })
		}
		replayed, swapped := n, first
		replayed.Challenge = first.Challenge // the signed part of an answer before, with today's token
		swapped.Challenge = n.Challenge      // and the other way around
		refusesAnswers(t, w, "auth0|alice", []wrongAnswer{
			{"by another key", allow(mira, stranger, n), 401, "invalid_challenge"},
			{"by somebody else's phone", allow(otto, borrowed, n), 401, "invalid_challenge"},
			{"for another audience", allow(mira, elsewhere, n), 401, "invalid_challenge"},
			{"of another login", allow(mira, mira.Account, replayed), 401, "invalid_challenge"},
			{"to a login that is over", allow(mira, mira.Account, swapped), 401, "invalid_challenge"},
			{"signed an hour ago", allow(at(-time.Hour), mira.Account, n), 401, "invalid_challenge"},
			{"signed in an hour", allow(at(time.Hour), mira.Account, n), 401, "invalid_challenge"},
		})
		crossed := theirs
		crossed.Challenge = n.Challenge
		refusesAnswers(t, w, "auth0|carol", []wrongAnswer{
			{"to somebody else's login", allow(mira, mira.Account, theirs), 401, "invalid_challenge"},
			{"about somebody else's login", allow(otto, otto.Account, crossed), 401, "invalid_challenge"},
		})
		w.Poll(t, p).Want(t, http.StatusBadRequest, "authorization_pending")
		w.Poll(t, q).Want(t, http.StatusBadRequest, "authorization_pending")
		w.Clock.Wind(10 * time.Second)

		mira.Deny(t, n, "")
		mira.Deny(t, n, "") // a phone may repeat what got no reply
		refusesAnswers(t, w, "auth0|alice", []wrongAnswer{
			{"after another decision", allow(mira, mira.Account, n), 404, "login_transaction_not_found"},
			{"and again", allow(mira, mira.Account, n), 404, "login_transaction_not_found"},
		})
		refused(t, w.Poll(t, p), http.StatusForbidden, "invalid_grant", rejected)
		w.Clock.Wind(10 * time.Second)
		if r := w.Poll(t, p); r.Status < 400 || r.Status >= 500 {
			t.Errorf("a denied login is polled again: %d %s", r.Status, r.Body)
		}

		w.Clock.Wind(5 * time.Minute)
		refusesAnswers(t, w, "auth0|carol", []wrongAnswer{
			{"late", allow(otto, otto.Account, theirs), 404, "login_transaction_not_found"},
		})
		w.Clock.Wind(time.Hour)
		refusesAnswers(t, w, "auth0|carol", []wrongAnswer{
			{"too late", allow(otto, otto.Account, theirs), 401, "invalid_token"},
		})
	})
}

// A code that the page shows is asked for by the phone: without it, or with a wrong one,
// nobody gets in.
func TestCatalogueCodeToPhone(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		w.Restart(t, "  - id: spa\n", "  - id: spa\n    push_binding: code_to_phone\n")
		mira := w.EnrollPhone(t, "alice", phone.Web)
		token := w.Login(t, "alice", gatewaytest.Password).Text("mfa_token")
		c := w.Challenge(t, token, "challenge_type", "oob").Want(t, http.StatusOK, "")
		n := mira.Next(t)
		right := c.Text("binding_code")
		if c.Text("binding_method") != "display" || len(right) != 6 || strings.Contains(fmt.Sprint(n), right) {
			t.Fatalf("%s", c.Body)
		}
		with := func(code string) func(*testing.T) error {
			return func(t *testing.T) error {
				t.Helper()
				return mira.App.Allow(t.Context(), mira.Account, n, secret.New(code))
			}
		}
		refusesAnswers(t, w, "auth0|alice", []wrongAnswer{
			{"without the code", with(""), 401, "invalid_challenge"},
			{"with a wrong code", with(otherCode(right)), 401, "invalid_otp"},
		})
		p := gatewaytest.Push{MFAToken: token, OOBCode: c.Text("oob_code")}
		w.Poll(t, p).Want(t, http.StatusBadRequest, "authorization_pending")
		w.Clock.Wind(10 * time.Second)
		if err := with(right)(t); err != nil {
			t.Fatal(err)
		}
		w.Poll(t, p).Want(t, http.StatusOK, "")
	})
}

// Section 3.3: what phones are refused with that prove nothing, or too little. The body is
// what all three SDKs read.
func TestCataloguePhones(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		mira := w.EnrollPhone(t, "alice", phone.Android)
		w.AskPhone(t, "alice")
		live := "Bearer " + mira.Next(t).Transaction.Reveal()
		const base, answer, device = "/appliance-mfa/api/", `{"challenge_response":"x.y.z"}`, "device-accounts/"
		account := device + mira.Account.ID
		for _, row := range []struct {
			name, method, path, authorization, body string
			status                                  int
			code                                    string
		}{
			{"no bearer", "POST", "resolve-transaction", "", answer, 401, "invalid_bearer_format"},
			{"an empty bearer", "POST", "resolve-transaction", "Bearer ", answer, 401, "invalid_bearer_format"},
			{"another scheme", "POST", "resolve-transaction", "Basic eDp5", answer, 401, "invalid_bearer_format"},
			{"no token", "POST", "resolve-transaction", "Bearer x", answer, 401, "invalid_token"},
			{"a forged token", "POST", "resolve-transaction", "Bearer " + flip(strings.TrimPrefix(live, "Bearer ")), answer, 401, "invalid_token"},
			{"no JSON", "POST", "resolve-transaction", live, `{"challenge_response":`, 400, "invalid_body"},
			{"no answer", "POST", "resolve-transaction", live, `{}`, 400, "invalid_body"},
			{"no signed answer", "POST", "resolve-transaction", live, answer, 401, "invalid_challenge"},
			{"no ticket", "POST", "enroll", "", `{}`, 401, "invalid_bearer_format"},
			{"an unknown ticket", "POST", "enroll", `Ticket id="unknown"`, `{}`, 404, "enrollment_transaction_not_found"},
			{"an unknown account", "DELETE", device + "dev_0000000000000000", "Bearer " + mira.Account.Token.Reveal(), "", 404, "enrollment_not_found"},
			{"an account without its token", "DELETE", account, "Bearer x", "", 401, "invalid_token"},
			{"an account with the token of a login", "DELETE", account, live, "", 401, "invalid_token"},
			{"a change that is none", "PATCH", account, "Bearer " + mira.Account.Token.Reveal(), `[]`, 400, "invalid_body"},
		} {
			header := map[string]string{}
			if row.authorization != "" {
				header["Authorization"] = row.authorization
			}
			r := w.Do(t, gatewaytest.Request{Method: row.method, Path: base + row.path, ContentType: "application/json", Body: row.body, Header: header})
			phoneRefused(t, row.name, r, row.status, row.code)
		}
		r := consent(t, w, "cns_x", strings.TrimPrefix(live, "Bearer "))
		phoneRefused(t, "no such consent", r, http.StatusNotFound, "consent_not_found")
		mira.None(t)
	})
}

// consent asks to read one without a proof of possession that would do.
func consent(t *testing.T, w *gatewaytest.World, id, transaction string) gatewaytest.Reply {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/rich-consents/" + id,
		Header: map[string]string{"Authorization": "MFA-DPoP " + transaction, "MFA-DPoP": "x"}})
}

// phoneRefused checks a refusal whole.
func phoneRefused(t *testing.T, name string, r gatewaytest.Reply, status int, code string) {
	t.Helper()
	if r.Status != status || r.Text("errorCode") != code || r.JSON["statusCode"] != float64(status) || r.Text("error") != http.StatusText(status) ||
		r.Text("message") == "" || r.Text("description") != r.Text("message") || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d %s, want %d %s", name, r.Status, r.Body, status, code)
	}
}

// A ticket is good for one phone, and for a service that is there.
func TestCatalogueTickets(t *testing.T) {
	gatewaytest.EachWithPhones(t, func(t *testing.T, w *gatewaytest.World) {
		first := w.Token(t, with("web", "grant_type", "password", "username", "alice", "password", gatewaytest.Password)...).Text("mfa_token")
		mira, eve := w.NewPhone(t, phone.Android), w.NewPhone(t, phone.Android)
		made := w.AssociatePush(t, first)
		ticket, err := mira.App.Scan(made.Text("barcode_uri"))
		if err != nil {
			t.Fatal(err)
		}
		enroll := func(p *gatewaytest.Phone, service string) (int, string) {
			account, err := p.App.Enroll(t.Context(), phone.Enrollment{URL: w.URL, Ticket: ticket, Name: "A phone",
				Push: phone.PushCredentials{Service: service, Token: secret.New("registration")}})
			if err == nil {
				p.Account = account
			}
			return outcome(t, err)
		}
		if status, code := enroll(mira, "WEBPUSH"); status != http.StatusForbidden || code != "feature_disabled" {
			t.Errorf("a service that is not there: %d %s", status, code)
		}
		if status, code := enroll(mira, provider.FCM); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, code)
		}
		if status, code := enroll(eve, provider.FCM); status != http.StatusConflict || code != "enrollment_conflict" {
			t.Errorf("a second phone: %d %s", status, code)
		}
		w.Clock.Wind(time.Hour)
		if status, code := enroll(eve, provider.FCM); status != http.StatusNotFound || code != "enrollment_transaction_not_found" {
			t.Errorf("an hour later: %d %s", status, code)
		}
		if kept, err := mira.Account.Keep(); err != nil || !json.Valid(kept) {
			t.Errorf("%s %v", kept, err)
		}
	})
}
