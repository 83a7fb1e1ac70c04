package gatewaytest

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
)

// EachWithMessages is Each for worlds that send codes.
func EachWithMessages(t *testing.T, test func(t *testing.T, w *World), lines ...string) {
	t.Helper()
	t.Parallel()
	for _, s := range []Setting{SQLite(), PostgreSQL()} {
		s.Messages = true
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			test(t, New(t, s, lines...))
		})
	}
}

// serveMessages starts who takes messages, and returns the line that has the gateways hand
// them over: text messages to a webhook and, where that fails, to a second one; calls to the
// first alone; mails to a mail server.
func (w *World) serveMessages(t testing.TB) string {
	t.Helper()
	now := func() time.Time { return w.Clock.Now() }
	w.Webhook, w.Fallback, w.Mail = phonetest.NewWebhook(t, now), phonetest.NewWebhook(t, now), mailtest.StartProcess(t)
	service := func(s *phonetest.Webhook) string {
		return fmt.Sprintf("driver: webhook, url: %q, secret: %s", s.URL, s.Secret)
	}
	return fmt.Sprintf("delivery: {sms: {%s, fallback: [{%s}]},\n  voice: {%s},\n  email: {driver: smtp, host: %s, port: %d, tls: none, from: \"Example <no-reply@example.test>\"}}",
		service(w.Webhook), service(w.Fallback), service(w.Webhook), w.Mail.Host, w.Mail.Port)
}

// sixDigits is a code in a mail, where it has a line of its own.
var sixDigits = regexp.MustCompile(`(?m)^\s*([0-9]{6})\s*$`)

// Message is the code of the last message on a channel; mails are waited for, each once.
// Of the others one that was answered for is there.
func (w *World) Message(t testing.TB, channel string) string {
	t.Helper()
	if channel == "email" {
		return w.mailed(t)
	}
	code := ""
	for _, m := range append(w.Webhook.Messages(), w.Fallback.Messages()...) {
		if m.Channel == channel {
			code = m.Code
		}
	}
	if code == "" {
		t.Fatalf("no %s was sent", channel)
	}
	return code
}

// mailed is the code of the next mail that has one.
func (w *World) mailed(t testing.TB) string {
	t.Helper()
	for {
		all := w.Mail.Wait(t, w.read+1)
		w.read++
		if found := sixDigits.FindStringSubmatch(all[w.read-1].Text); found != nil {
			return found[1]
		}
	}
}
