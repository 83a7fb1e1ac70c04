package phone_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/secret"
)

const code = "012345"

// message is one as the factor has it sent.
func message() oob.Message {
	return oob.Message{
		ID: "chl_1", To: secret.New(fixture), Code: secret.New(code), Service: "Example", Host: "app.example.com",
		Client: "spa", Locale: "en", ExpiresIn: 5 * time.Minute,
	}
}

var words = phone.Words{Text: "012345 is your <Example> code & no more.\n\n@app.example.com #012345", Language: "en"}

// line has services deliver, one after the other.
func line(t *testing.T, channel string, services ...phone.Service) *phone.Line {
	t.Helper()
	l, err := phone.NewLine(channel, channel, phone.Config{Service: services[0], Fallback: services[1:]}, rules(), func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// deliver has a message delivered, within the patience of a request.
func deliver(t *testing.T, l *phone.Line, w phone.Words) error {
	t.Helper()
	begun := time.Now()
	err := l.Deliver(t.Context(), message(), w)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	return discreet(t, err)
}

// discreet: no failure quotes number, code or text, nor what a service said.
func discreet(t *testing.T, err error) error {
	t.Helper()
	for _, s := range []string{"15550100042", code, "Example", "chl_1", "echo", "http://", "tenant=", "127.0.0.1"} {
		if err != nil && strings.Contains(err.Error(), s) {
			t.Errorf("%q is quoted: %v", s, err)
		}
	}
	return err
}

func hook(t *testing.T) *phonetest.Webhook {
	t.Helper()
	return phonetest.NewWebhook(t, func() time.Time { return noon })
}

// TestWebhook: the fixtures' body under the signature of Standard Webhooks, which the
// receiver checks. The id is the same with each try of a message, and another with another.
func TestWebhook(t *testing.T) {
	w := hook(t)
	l := line(t, "sms", w.Service())
	for range 2 {
		if err := deliver(t, l, words); err != nil {
			t.Fatal(err)
		}
	}
	got := w.Next(t)
	want := phonetest.Message{ID: got.ID, Channel: "sms", To: fixture, Code: code, Text: words.Text, ExpiresIn: 300, Client: "spa", Language: "en"}
	if got != want || got.ID != message().ID {
		t.Errorf("%+v, want %+v", got, want)
	}
	if len(w.Messages()) != 1 || w.Tries() != 2 {
		t.Errorf("%d messages in %d tries", len(w.Messages()), w.Tries())
	}
	other := message()
	other.ID = "chl_2"
	if err := l.Deliver(t.Context(), other, words); err != nil || w.Next(t).ID == got.ID {
		t.Errorf("another message has the same id: %v", err)
	}
	other.ID = "chl_3"
	if err := line(t, "voice", w.Service()).Deliver(t.Context(), other, words); err != nil || w.Next(t).Channel != "voice" {
		t.Errorf("a call: %v", err)
	}
}

// TestWebhookBytes is the example of the fixtures, byte for byte.
func TestWebhookBytes(t *testing.T) {
	var body, signature string
	w := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(content)
		body, signature = string(content), r.Header.Get("webhook-signature")
	}))
	defer w.Close()
	s := phone.Service{Driver: "webhook", URL: w.URL, Secret: secret.New(key)}
	m := message()
	m.Code = secret.New("123456")
	if err := line(t, "sms", s).Deliver(t.Context(), m, phone.Words{Text: "<…>", Language: "en"}); err != nil {
		t.Fatal(err)
	}
	const want = `{"channel":"sms","to":"+4915550100042","code":"123456","text":"<…>","expires_in":300,"client_id":"spa","locale":"en"}`
	if body != want || !strings.HasPrefix(signature, "v1,") {
		t.Errorf("%s with %s\nwant %s", body, signature, want)
	}
}

// TestWrongSecret: a receiver that does not know the key refuses, and is not asked again.
func TestWrongSecret(t *testing.T) {
	w := hook(t)
	s := w.Service()
	s.Secret = secret.New(key)
	if err := deliver(t, line(t, "sms", s), words); fault.Of(err) != fault.Undeliverable || w.Tries() != 1 || len(w.Messages()) != 0 {
		t.Errorf("%v after %d tries", err, w.Tries())
	}
}

// TestTwilio: form and authentication are checked by the fake, which takes no parameter
// that it does not know.
func TestTwilio(t *testing.T) {
	w := phonetest.NewTwilio(t)
	byKey, byService := w.Service(), w.Service()
	byKey.APIKey, byKey.AuthToken = w.Key, secret.New(w.Secret)
	byService.From, byService.MessagingService = "", w.MessagingService
	byService.Endpoint += "/"
	for name, s := range map[string]phone.Service{"number": w.Service(), "API key": byKey, "messaging service": byService} {
		if err := deliver(t, line(t, "sms", s), words); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := w.Next(t)
		if want := (phonetest.Message{ID: got.ID, Channel: "sms", To: fixture, Code: code, Text: words.Text, ExpiresIn: 300}); got != want || got.ID == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for language, want := range map[string]string{"en": "en-US", "de": "de-DE", "pt-BR": "pt-BR"} {
		spoken := phone.Words{Text: `Hello & "welcome" <you>: 0, 1, 2, 3, 4, 5. Again: 0, 1, 2, 3, 4, 5.`, Language: language}
		if err := deliver(t, line(t, "voice", byKey), spoken); err != nil {
			t.Fatal(err)
		}
		if got := w.Next(t); got.Channel != "voice" || got.Code != code || got.Text != spoken.Text || got.Language != want {
			t.Errorf("%+v", got)
		}
	}
}

// TestTwilioIsAskedForReceipts: at the URL of the service's place, with the message, where
// Twilio can sign them and call; each service is told apart by what came of the message.
func TestTwilioIsAskedForReceipts(t *testing.T) {
	down, w := phonetest.NewTwilio(t), phonetest.NewTwilio(t)
	down.Always(&phonetest.Failure{Status: http.StatusBadRequest})
	byKey := w.Service()
	byKey.APIKey, byKey.AuthToken = w.Key, secret.New(w.Secret)
	for _, c := range []struct {
		channel, url string
		service      phone.Service
		want         string
	}{
		{"sms", "https://login.example.com/tenant/", w.Service(), "https://login.example.com/tenant/receipts/sms/1?id=chl_1"},
		{"voice", "https://login.example.com/", w.Service(), "https://login.example.com/receipts/voice/1?id=chl_1"},
		{"sms", "http://localhost:8080/", w.Service(), ""},
		{"sms", "https://login.example.com/", byKey, ""},
	} {
		told := ""
		m, spoken := message(), phone.Words{Text: "0, 1, 2, 3, 4, 5.", Language: "en"}
		m.URL, m.Told = c.url, func(provider string, o oob.Outcome) { told += provider + " " + string(o) + ";" }
		if err := line(t, c.channel, down.Service(), c.service).Deliver(t.Context(), m, spoken); err != nil {
			t.Fatal(err)
		}
		if got := w.Next(t).Callback; got != c.want {
			t.Errorf("asked for receipts at %q, want %q", got, c.want)
		}
		if want := c.channel + " refused;" + c.channel + ".fallback[0] accepted;"; told != want {
			t.Errorf("told %q, want %q", told, want)
		}
	}
}

// TestTwilioRefusals: what Twilio refuses it would refuse again; its code is for the log.
func TestTwilioRefusals(t *testing.T) {
	t.Parallel()
	w := phonetest.NewTwilio(t)
	wrongToken, wrongAccount, wrongFrom := w.Service(), w.Service(), w.Service()
	wrongToken.AuthToken = secret.New("wrong")
	wrongAccount.AccountSID, wrongAccount.APIKey, wrongAccount.AuthToken = account, w.Key, secret.New(w.Secret)
	wrongFrom.From = "+4915550100099"
	for want, s := range map[string]phone.Service{"401, with Twilio's code 20003": wrongToken, "404, with Twilio's code 20404": wrongAccount, "400, with Twilio's code 21212": wrongFrom} {
		before := w.Tries()
		err := deliver(t, line(t, "sms", s), words)
		if fault.Of(err) != fault.Undeliverable || !strings.Contains(err.Error(), want) || w.Tries() != before+1 {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for body, want := range map[string]fault.Kind{
		`{"sid":"SM1","status":"failed"}`: fault.Undeliverable, `{"sid":"SM1","status":"accepted"}`: "",
		`<html>echo 012345`: fault.Unavailable, `{"sid":""}`: fault.Unavailable, `{}`: fault.Unavailable,
	} {
		w.Always(&phonetest.Failure{Status: 201, Body: body})
		if err := deliver(t, line(t, "sms", w.Service()), words); (want == "") != (err == nil) || err != nil && fault.Of(err) != want {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// both are a service of each driver, and what its fake does.
func both(t *testing.T) map[string]struct {
	phone.Service
	fail  func(*phonetest.Failure)
	tries func() int
} {
	t.Helper()
	w, tw := hook(t), phonetest.NewTwilio(t)
	return map[string]struct {
		phone.Service
		fail  func(*phonetest.Failure)
		tries func() int
	}{"webhook": {w.Service(), w.Always, w.Tries}, "twilio": {tw.Service(), tw.Always, tw.Tries}}
}

// TestTrouble: what a status says of the message, and how often it was tried.
func TestTrouble(t *testing.T) {
	t.Parallel()
	elsewhere := hook(t)
	for name, s := range both(t) {
		for _, tt := range []struct {
			failure phonetest.Failure
			want    fault.Kind
			tries   int
		}{
			{phonetest.Failure{Status: 400}, fault.Undeliverable, 1},
			{phonetest.Failure{Status: 401}, fault.Undeliverable, 1},
			{phonetest.Failure{Status: 404}, fault.Undeliverable, 1},
			{phonetest.Failure{Status: 408}, fault.Unavailable, 3},
			{phonetest.Failure{Status: 429}, fault.Unavailable, 3},
			{phonetest.Failure{Status: 429, RetryAfter: "60"}, fault.Unavailable, 1}, // later than anybody waits
			{phonetest.Failure{Status: 500, Body: "echo " + fixture + " " + code}, fault.Unavailable, 3},
			{phonetest.Failure{Status: 503, RetryAfter: "Sun, 01 Mar 2026 13:00:00 GMT"}, fault.Unavailable, 1},
			{phonetest.Failure{Status: 302, Location: elsewhere.URL}, fault.Unavailable, 3},
			{phonetest.Failure{Status: 307, Location: elsewhere.URL}, fault.Unavailable, 3},
			{phonetest.Failure{Status: 308, Location: "file:///etc/passwd"}, fault.Unavailable, 3},
		} {
			before := s.tries()
			s.fail(&tt.failure)
			err := deliver(t, line(t, "sms", s.Service), words)
			if fault.Of(err) != tt.want || s.tries()-before != tt.tries {
				t.Errorf("%s, %d: %v after %d tries, want %s after %d", name, tt.failure.Status, err, s.tries()-before, tt.want, tt.tries)
			}
		}
	}
	if elsewhere.Tries() != 0 {
		t.Error("a redirect was followed")
	}
}

// TestHanging: a service that never answers costs a request no more than its patience.
func TestHanging(t *testing.T) {
	for name, s := range both(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.fail(&phonetest.Failure{Hang: true})
			if err := deliver(t, line(t, "sms", s.Service), words); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "did not answer in time") {
				t.Error(err)
			}
			s.fail(nil)
		})
	}
}

// TestUnreachable: a name that does not resolve, a port that nobody listens at, what speaks
// no HTTP, a certificate of a stranger.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0) // of those that do not trust it
	stranger.StartTLS()
	defer stranger.Close()
	talker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = talker.Close() })
	go func() {
		for {
			c, err := talker.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("echo " + fixture + " " + code + "\r\n\r\n"))
			_ = c.Close()
		}
	}()
	for url, want := range map[string]string{
		"https://messages.invalid/?tenant=1":   "has a name that cannot be resolved",
		"http://127.0.0.1:1/send":              "cannot be reached: connection refused",
		"http://" + talker.Addr().String():     "does not speak HTTP, or broke off",
		stranger.URL:                           "has a certificate that is not to be trusted",
		"http://messages.localhost.invalid:1/": "has a name that cannot be resolved",
	} {
		s := phone.Service{Driver: "webhook", URL: url, Secret: secret.New(key)}
		if err := deliver(t, line(t, "sms", s), words); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

// TestFailover: the next service has the same message under the same id, so that whoever
// took it although the answer was lost does no harm (S-6, X-31).
func TestFailover(t *testing.T) {
	t.Parallel()
	first, second := hook(t), phonetest.NewTwilio(t)
	l := line(t, "sms", first.Service(), second.Service())
	for name, f := range map[string]phonetest.Failure{
		"refuses": {Status: 403}, "is busy": {Status: 429, RetryAfter: "60"}, "is broken": {Status: 500}, "hangs": {Hang: true}, "is late": {Late: true},
	} {
		first.Fail(f)
		if err := deliver(t, l, words); err != nil {
			t.Fatalf("the first one %s: %v", name, err)
		}
		got := second.Next(t)
		if got.Code != code || got.To != fixture || got.Text != words.Text {
			t.Errorf("the first one %s, and the second one got %+v", name, got)
		}
		for _, m := range first.Messages() { // the late one
			if m.ID != got.ID || m.Code != got.Code {
				t.Errorf("%+v of the first, %+v of the second", m, got)
			}
		}
	}
	first.Always(&phonetest.Failure{Status: 500})
	second.Always(&phonetest.Failure{Status: 400})
	if err := deliver(t, l, words); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "sms.fallback[0]: ") {
		t.Errorf("one may take it later: %v", err)
	}
	first.Always(&phonetest.Failure{Status: 404})
	if err := deliver(t, l, words); fault.Of(err) != fault.Undeliverable {
		t.Errorf("neither will ever take it: %v", err)
	}
}

// TestGivenUp: a client that has gone is not waited for.
func TestGivenUp(t *testing.T) {
	w := hook(t)
	w.Always(&phonetest.Failure{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := discreet(t, line(t, "sms", w.Service()).Deliver(ctx, message(), words)); fault.Of(err) != fault.Unavailable {
		t.Error(err)
	}
}
