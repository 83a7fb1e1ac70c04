package phone_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	receiptURL = "https://login.example.com/receipts/sms/0"
	authToken  = "12345"
)

var (
	receiptSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef01234567"))
	receiptTime   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// reporting is a line of four services, the last of which has an API key.
func reporting(t testing.TB) *phone.Line {
	t.Helper()
	account := phone.Service{Driver: "twilio", AccountSID: "AC00000000000000000000000000000000", AuthToken: secret.New(authToken), From: "+4915550100000"}
	keyed := account
	keyed.APIKey = "SK00000000000000000000000000000000"
	hook := phone.Service{Driver: "webhook", URL: "https://messages.example.com/send", Secret: secret.New(receiptSecret)}
	l, err := phone.NewLine(phone.SMS, "sms", phone.Config{Service: account, Fallback: []phone.Service{hook, keyed}}, phone.Rules{}, func() time.Time { return receiptTime })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// posted is a receipt as the gateway sees it, that was asked for at a URL.
func posted(r phonetest.Receipt) oob.Callback {
	at, query, _ := strings.Cut(r.URL, "?")
	return oob.Callback{URL: at, Query: query, Body: []byte(r.Body), Header: func(name string) string { return r.Header[name] }}
}

// Twilio's own example of a signature.
func TestTwilioSignature(t *testing.T) {
	form := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"}}
	made := phonetest.TwilioReceipt("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form)
	if got := made.Header["X-Twilio-Signature"]; got != "RSOYDt4T1cUTdK1PDd93/VVr8B8=" {
		t.Fatalf("the tests sign otherwise than Twilio: %s", got)
	}
	// Signed right, and no receipt.
	if _, err := reporting(t).Receipt(0, posted(made)); !errors.Is(err, fault.BadRequest) {
		t.Errorf("%v", err)
	}
}

// What Twilio says of messages and calls, and what of it is final.
func TestTwilioReceipts(t *testing.T) {
	l := reporting(t)
	for _, c := range []struct {
		form url.Values
		want oob.Receipt
	}{
		{url.Values{"MessageStatus": {"sent"}}, oob.Receipt{ID: "m1", Reason: "sent"}},
		{url.Values{"MessageStatus": {"delivered"}, "To": {"+4915550100042"}}, oob.Receipt{ID: "m1", Outcome: oob.Delivered, Reason: "delivered"}},
		{url.Values{"MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}, oob.Receipt{ID: "m1", Outcome: oob.Undelivered, Reason: "30003"}},
		{url.Values{"MessageStatus": {"failed"}}, oob.Receipt{ID: "m1", Outcome: oob.Undelivered, Reason: "failed"}},
		{url.Values{"CallStatus": {"in-progress"}}, oob.Receipt{ID: "m1", Reason: "in-progress"}},
		{url.Values{"CallStatus": {"completed"}}, oob.Receipt{ID: "m1", Outcome: oob.Delivered, Reason: "completed"}},
		{url.Values{"CallStatus": {"busy"}}, oob.Receipt{ID: "m1", Outcome: oob.Undelivered, Reason: "busy"}},
		{url.Values{"CallStatus": {"no-answer"}}, oob.Receipt{ID: "m1", Outcome: oob.Undelivered, Reason: "no-answer"}},
	} {
		for _, at := range []string{receiptURL, strings.Replace(receiptURL, ".com", ".com:8443", 1)} {
			r := phonetest.TwilioReceipt(authToken, at+"?id=m1", c.form)
			if got, err := l.Receipt(0, posted(r)); err != nil || got != c.want {
				t.Errorf("%v: %+v, %v", c.form, got, err)
			}
		}
	}
}

// Twilio may sign a URL without its port, or with the usual one: both are the one that it was
// given, and no other is.
func TestTwilioPorts(t *testing.T) {
	l := reporting(t)
	form := url.Values{"MessageStatus": {"delivered"}}
	for given, others := range map[string]map[string]bool{
		"https://login.example.com/x": {"https://login.example.com:443/x": true, "https://login.example.com:8443/x": false, "http://login.example.com/x": false,
			"https://login.example.com:80/x": false, "https://login.example.org/x": false},
		"https://login.example.com:8443/x": {"https://login.example.com/x": true, "https://login.example.com:443/x": false},
		"http://[::1]/x":                   {"http://[::1]:80/x": true, "http://[::1]:443/x": false},
		"https://[::1]:8443/x":             {"https://[::1]/x": true, "https://::1/x": false},
	} {
		for signed, good := range others {
			c := posted(phonetest.TwilioReceipt(authToken, signed+"?id=m1", form))
			c.URL = given
			if _, err := l.Receipt(0, c); (err == nil) != good {
				t.Errorf("%s for %s: %v", signed, given, err)
			}
		}
	}
}

// What a webhook's service says.
func TestWebhookReceipts(t *testing.T) {
	l := reporting(t)
	for body, want := range map[string]oob.Receipt{
		`{"id":"m1","status":"delivered"}`:                                 {ID: "m1", Outcome: oob.Delivered},
		`{"id":"m1","status":"undelivered","reason":"absent"}`:             {ID: "m1", Outcome: oob.Undelivered, Reason: "absent"},
		` { "status" : "undelivered" , "reason":30003, "id" : "m1" } `:     {ID: "m1", Outcome: oob.Undelivered, Reason: "30003"},
		`{"id":"m1","status":"delivered","at":"2026-03-01","try":{"n":1}}`: {ID: "m1", Outcome: oob.Delivered},
		`{"id":"m1","status":"delivered","reason":null}`:                   {ID: "m1", Outcome: oob.Delivered},
	} {
		for _, at := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute} {
			got, err := l.Receipt(1, posted(phonetest.WebhookReceipt(receiptSecret, receiptURL, body, receiptTime.Add(at))))
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v", body, got, err)
			}
		}
	}
	r := phonetest.WebhookReceipt(receiptSecret, receiptURL, `{"id":"m1","status":"delivered"}`, receiptTime)
	r.Header["Webhook-Signature"] = "v1a,x v1," + base64.StdEncoding.EncodeToString(make([]byte, 32)) + " " + r.Header["Webhook-Signature"]
	if _, err := l.Receipt(1, posted(r)); err != nil {
		t.Errorf("several signatures: %v", err)
	}
}

// what is not signed, signed by somebody else, for something else or long ago is
// refused, and so is what is signed and says nothing.
func TestX32Forged(t *testing.T) {
	l := reporting(t)
	form, body := url.Values{"MessageStatus": {"undelivered"}, "To": {"+4915550100042"}}, `{"id":"m1","status":"undelivered"}`
	twilio := func(change func(*phonetest.Receipt)) phonetest.Receipt {
		r := phonetest.TwilioReceipt(authToken, receiptURL+"?id=m1", form)
		change(&r)
		return r
	}
	hook := func(at time.Duration, change func(*phonetest.Receipt)) phonetest.Receipt {
		r := phonetest.WebhookReceipt(receiptSecret, receiptURL, body, receiptTime.Add(at))
		change(&r)
		return r
	}
	header := func(name, value string) func(*phonetest.Receipt) {
		return func(r *phonetest.Receipt) { r.Header[name] = value }
	}
	for name, c := range map[string]struct {
		provider int
		r        phonetest.Receipt
		want     fault.Kind
	}{
		"no signature":             {0, twilio(header("X-Twilio-Signature", "")), fault.BadReceipt},
		"no base64":                {0, twilio(header("X-Twilio-Signature", "*")), fault.BadReceipt},
		"another token":            {0, phonetest.TwilioReceipt("12346", receiptURL+"?id=m1", form), fault.BadReceipt},
		"another status":           {0, twilio(func(r *phonetest.Receipt) { r.Body = strings.Replace(r.Body, "undelivered", "delivered", 1) }), fault.BadReceipt},
		"another message":          {0, twilio(func(r *phonetest.Receipt) { r.URL = receiptURL + "?id=m2" }), fault.BadReceipt},
		"another channel":          {0, twilio(func(r *phonetest.Receipt) { r.URL = strings.Replace(r.URL, "sms", "voice", 1) }), fault.BadReceipt},
		"a parameter more":         {0, twilio(func(r *phonetest.Receipt) { r.Body += "&x=1" }), fault.BadReceipt},
		"no form":                  {0, twilio(func(r *phonetest.Receipt) { r.Body = "%zz" }), fault.BadRequest},
		"two statuses":             {0, phonetest.TwilioReceipt(authToken, receiptURL+"?id=m1", url.Values{"MessageStatus": {"delivered", "undelivered"}}), fault.BadRequest},
		"no message":               {0, phonetest.TwilioReceipt(authToken, receiptURL, form), fault.BadReceipt},
		"an empty message":         {0, phonetest.TwilioReceipt(authToken, receiptURL+"?id=", form), fault.BadRequest},
		"two messages":             {0, phonetest.TwilioReceipt(authToken, receiptURL+"?id=m1&id=m2", form), fault.BadRequest},
		"a webhook's at Twilio":    {0, hook(0, func(*phonetest.Receipt) {}), fault.BadReceipt},
		"Twilio's at a webhook":    {1, twilio(func(*phonetest.Receipt) {}), fault.BadReceipt},
		"Twilio with an API key":   {2, twilio(func(*phonetest.Receipt) {}), fault.NotFound},
		"no such provider":         {3, twilio(func(*phonetest.Receipt) {}), fault.NotFound},
		"a provider below none":    {-1, twilio(func(*phonetest.Receipt) {}), fault.NotFound},
		"unsigned":                 {1, hook(0, header("Webhook-Signature", "")), fault.BadReceipt},
		"another version":          {1, hook(0, func(r *phonetest.Receipt) { r.Header["Webhook-Signature"] = "v1a" + r.Header["Webhook-Signature"][2:] }), fault.BadReceipt},
		"another id":               {1, hook(0, header("Webhook-Id", "rcpt_2")), fault.BadReceipt},
		"no id":                    {1, hook(0, header("Webhook-Id", "")), fault.BadReceipt},
		"another time":             {1, hook(0, header("Webhook-Timestamp", "1772366401")), fault.BadReceipt},
		"no time":                  {1, hook(0, header("Webhook-Timestamp", "now")), fault.BadReceipt},
		"the end of time":          {1, hook(0, header("Webhook-Timestamp", "9223372036854775807")), fault.BadReceipt},
		"old":                      {1, hook(-5*time.Minute-time.Second, func(*phonetest.Receipt) {}), fault.BadReceipt},
		"of tomorrow":              {1, hook(5*time.Minute+time.Second, func(*phonetest.Receipt) {}), fault.BadReceipt},
		"another body":             {1, hook(0, func(r *phonetest.Receipt) { r.Body += " " }), fault.BadReceipt},
		"another key":              {1, phonetest.WebhookReceipt("whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 24)), receiptURL, body, receiptTime), fault.BadReceipt},
		"a message that came back": {1, phonetest.WebhookReceipt(receiptSecret, receiptURL, `{"channel":"sms","to":"+4915550100042","code":"123456","text":"…","expires_in":300,"client_id":"spa","locale":"en"}`, receiptTime), fault.BadRequest},
		"a status of nobody's":     {1, phonetest.WebhookReceipt(receiptSecret, receiptURL, `{"id":"m1","status":"accepted"}`, receiptTime), fault.BadRequest},
		"a receipt of none":        {1, phonetest.WebhookReceipt(receiptSecret, receiptURL, `{"status":"delivered"}`, receiptTime), fault.BadRequest},
		"said twice":               {1, phonetest.WebhookReceipt(receiptSecret, receiptURL, `{"id":"m1","status":"delivered","status":"undelivered"}`, receiptTime), fault.BadRequest},
		"no JSON":                  {1, phonetest.WebhookReceipt(receiptSecret, receiptURL, `id=m1&status=delivered`, receiptTime), fault.BadRequest},
	} {
		if got, err := l.Receipt(c.provider, posted(c.r)); !errors.Is(err, c.want) || got != (oob.Receipt{}) {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
}

// FuzzReceipt: whatever is signed is read as one receipt with an ID, or refused; and what is
// read with one signature is refused with another one.
func FuzzReceipt(f *testing.F) {
	f.Add("id=m1", "MessageStatus=undelivered&ErrorCode=30003&To=%2B4915550100042")
	f.Add("id=m1", "CallStatus=busy&CallStatus=completed")
	f.Add("id=m1&id=m2", "MessageStatus=read&MessageStatus")
	f.Add("", `{"id":"m1","status":"delivered"}`)
	f.Add("id=%", `{"id":"m1","status":"undelivered","reason":30003,"id":"m2"}`)
	f.Add("i;d=m1", `{"ID":"m1","status":["delivered"]}`)
	l := reporting(f)
	f.Fuzz(func(t *testing.T, query, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			form = nil
		}
		signed := phonetest.TwilioReceipt(authToken, receiptURL+"?"+query, form)
		signed.Body = body
		for provider, r := range []phonetest.Receipt{signed, phonetest.WebhookReceipt(receiptSecret, receiptURL, body, receiptTime)} {
			c := posted(r)
			c.Query = query
			got, err := l.Receipt(provider, c)
			if kind := fault.Of(err); err != nil && kind != fault.BadRequest && kind != fault.BadReceipt || (err == nil) == (got.ID == "") {
				t.Fatalf("%d: %+v, %v", provider, got, err)
			}
			c.Body = append(c.Body, "&x=1"...)
			if got, err := l.Receipt(provider, c); err == nil {
				t.Fatalf("%d: %+v of what nobody signed", provider, got)
			}
		}
	})
}
