package gateway_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/secret"
)

const twilioToken = "0123456789abcdef0123456789abcdef"

var hookSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567"))

// withProviders has Twilio and a webhook deliver text messages and calls, all with the same
// secrets.
func withProviders() string {
	channel := fmt.Sprintf(`{driver: twilio, account_sid: AC00000000000000000000000000000000, auth_token: %s, from: "+4915550100000",
  fallback: [{driver: webhook, url: "http://127.0.0.1:9/", secret: %s}]}`, twilioToken, hookSecret)
	return fmt.Sprintf("delivery: {sms: %s,\n voice: %s}", channel, channel)
}

// A mailroom posts receipts to a world.
type mailroom struct {
	*gatewaytest.World
	ring *secret.Ring
}

func newMailroom(t *testing.T, w *gatewaytest.World) mailroom {
	t.Helper()
	ring, err := secret.LoadRing(w.Options(t).Config.Secrets.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return mailroom{w, ring}
}

// message is the ID of one that was sent now.
func (m mailroom) message(t *testing.T, channel, transaction string) string {
	t.Helper()
	id, err := oob.Reference{Transaction: transaction, Until: m.Clock.Now().Add(24 * time.Hour)}.Seal(m.ring, channel)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// at is where a provider posts.
func (m mailroom) at(place string) string { return m.URL + "receipts/" + place }

// twilio says that a message was not delivered, or was.
func (m mailroom) twilio(place, id, status string) phonetest.Receipt {
	return phonetest.TwilioReceipt(twilioToken, m.at(place)+"?id="+id,
		url.Values{"MessageSid": {"SM0"}, "MessageStatus": {status}, "ErrorCode": {"30003"}, "To": {"+4915550100042"}})
}

// hook says the same as the webhook's service.
func (m mailroom) hook(place, id, status string) phonetest.Receipt {
	body := fmt.Sprintf(`{"id":%q,"status":%q,"reason":"absent"}`, id, status)
	return phonetest.WebhookReceipt(hookSecret, m.at(place), body, m.Clock.Now())
}

// post posts a receipt to the next gateway.
func (m mailroom) post(t *testing.T, r phonetest.Receipt) gatewaytest.Reply {
	t.Helper()
	return m.Do(t, gatewaytest.Request{Method: http.MethodPost, Path: "/" + strings.TrimPrefix(r.URL, m.URL), Header: r.Header, Body: r.Body})
}

// undelivered are the reasons of what is recorded.
func (m mailroom) undelivered(t *testing.T) (reasons []string) {
	t.Helper()
	events, err := m.Administer(t).AuditEvents(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Type == audit.Undelivered {
			reasons = append(reasons, e.Transaction+" "+e.Reason)
			if e.Success || e.Subject != "" || e.Address != "" || !e.At.Equal(m.Clock.Now()) {
				t.Errorf("%+v", e)
			}
		}
	}
	return reasons
}

// counted is the metric of an outcome, of all channels and providers.
func (m mailroom) counted(t *testing.T, outcome oob.Outcome) (n float64) {
	t.Helper()
	series, _ := scrape(t, m.World)
	for name, value := range series {
		if strings.HasPrefix(name, "sallyport_messages_total{") && strings.Contains(name, fmt.Sprintf("outcome=%q", outcome)) {
			n += value
		}
	}
	return n
}

// however often a provider says so, on however many nodes, a message was not delivered
// once; and each provider says so for itself.
func TestX32RepeatedReceipts(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		m := newMailroom(t, w)
		id := m.message(t, "sms", "t1")
		for _, r := range []phonetest.Receipt{
			m.twilio("sms/0", id, "undelivered"), m.hook("sms/1", id, "undelivered"), m.twilio("sms/0", id, "delivered"), m.twilio("sms/0", id, "sent"),
		} {
			for _, reply := range gatewaytest.Race(50, func(int) gatewaytest.Reply { return m.post(t, r) }) {
				if reply.Status != http.StatusNoContent || reply.Body != "" {
					t.Errorf("%d %s", reply.Status, reply.Body)
				}
			}
		}
		if got := strings.Join(m.undelivered(t), ", "); got != "t1 sms.fallback[0]: absent, t1 sms: 30003" && got != "t1 sms: 30003, t1 sms.fallback[0]: absent" {
			t.Errorf("recorded %q", got)
		}
		if u, d := m.counted(t, oob.Undelivered), m.counted(t, oob.Delivered); u != 2 || d != 1 {
			t.Errorf("counted %v and %v", u, d)
		}
		// The same a day later, by when nobody remembers that it came.
		w.Clock.Wind(24 * time.Hour)
		m.post(t, m.twilio("sms/0", id, "undelivered")).Want(t, http.StatusNoContent, "")
		m.post(t, m.hook("sms/1", id, "undelivered")).Want(t, http.StatusNoContent, "")
		if got := m.counted(t, oob.Undelivered); got != 2 {
			t.Errorf("counted %v after a day", got)
		}
	}, withProviders())
}

// what a provider did not sign, or signed for another URL, changes nothing; nor does
// what it signed about a message that was never sent.
func TestX32ForgedReceipts(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		m := newMailroom(t, w)
		id := m.message(t, "sms", "t1")
		moved := func(r phonetest.Receipt, place string) phonetest.Receipt {
			_, query, found := strings.Cut(r.URL, "?")
			if r.URL = m.at(place); found {
				r.URL += "?" + query
			}
			return r
		}
		without := func(r phonetest.Receipt, header string) phonetest.Receipt {
			delete(r.Header, header)
			return r
		}
		before := m.twilio("sms/0", id, "undelivered")
		before.URL = strings.Replace(before.URL, m.URL, "https://other.example.test/", 1)
		elsewhere := phonetest.TwilioReceipt(twilioToken, before.URL, url.Values{"MessageStatus": {"undelivered"}})
		elsewhere.URL = m.at("sms/0?id=") + id
		elsewhere.Header["X-Forwarded-Host"], elsewhere.Header["X-Forwarded-Proto"] = "other.example.test", "https"
		long := m.hook("sms/1", id, "undelivered")
		long.Body += strings.Repeat(" ", 64<<10)
		late := m.hook("sms/1", id, "undelivered")
		w.Clock.Wind(5*time.Minute + time.Second)
		for name, c := range map[string]struct {
			r      phonetest.Receipt
			status int
			error  string
		}{
			"no signature":                {without(m.twilio("sms/0", id, "undelivered"), "X-Twilio-Signature"), 403, "bad_receipt"},
			"no signature of a webhook":   {without(m.hook("sms/1", id, "undelivered"), "Webhook-Signature"), 403, "bad_receipt"},
			"another channel":             {moved(m.twilio("voice/0", id, "undelivered"), "sms/0"), 403, "bad_receipt"},
			"another provider":            {moved(m.twilio("sms/1", id, "undelivered"), "sms/0"), 403, "bad_receipt"},
			"Twilio's, at the webhook's":  {m.twilio("sms/1", id, "undelivered"), 403, "bad_receipt"},
			"the webhook's, at Twilio's":  {m.hook("sms/0", id, "undelivered"), 403, "bad_receipt"},
			"another host":                {elsewhere, 403, "bad_receipt"},
			"a webhook's, too late":       {late, 403, "bad_receipt"},
			"a webhook's, too long":       {long, 413, "body_too_large"},
			"signed, and no receipt":      {m.hook("sms/1", id, "sent"), 400, "bad_request"},
			"no such channel":             {m.twilio("email/0", id, "undelivered"), 404, "not_found"},
			"no such provider":            {m.twilio("sms/2", id, "undelivered"), 404, "not_found"},
			"another spelling of it":      {m.twilio("sms/00", id, "undelivered"), 404, "not_found"},
			"signed, of no message":       {m.twilio("sms/0", "msg_1", "undelivered"), 204, ""},
			"signed, of a call":           {m.twilio("voice/0", id, "undelivered"), 204, ""},
			"the webhook's, of a call":    {m.hook("voice/1", id, "undelivered"), 204, ""},
			"signed, of half a message":   {m.twilio("sms/0", id[:len(id)-4], "undelivered"), 204, ""},
			"signed, in another spelling": {m.hook("sms/1", strings.ReplaceAll(id, "~", "."), "undelivered"), 204, ""},
		} {
			t.Run(name, func(t *testing.T) {
				m.post(t, c.r).Want(t, c.status, c.error)
			})
		}
		if got := m.undelivered(t); len(got) != 0 || m.counted(t, oob.Undelivered) != 0 {
			t.Errorf("recorded %q", got)
		}
	}, withProviders())
}

// A receipt that says that a message was delivered, or that it was not, finishes no login and
// ends none.
func TestReceiptsDecideNothing(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		m := newMailroom(t, w)
		alice := w.Enroll(t, "alice")
		w.Clock.Wind(time.Minute)
		token := ask(t, w, "spa", "alice")
		events, err := w.Administer(t).AuditEvents(t.Context(), 1)
		if err != nil || events[0].Type != audit.FactorDemanded {
			t.Fatalf("%+v, %v", events, err)
		}
		id := m.message(t, "sms", events[0].Transaction)
		for _, status := range []string{"delivered", "undelivered"} {
			m.post(t, m.twilio("sms/0", id, status)).Want(t, http.StatusNoContent, "")
			m.post(t, m.hook("sms/1", id, status)).Want(t, http.StatusNoContent, "")
		}
		tokenless(t, "no code", w.OTP(t, token, ""))
		tokenless(t, "the message", w.Token(t, "grant_type", gatewaytest.GrantOOB, "client_id", "spa", "mfa_token", token, "oob_code", id))
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	}, withProviders())
}
