package sms_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/sms"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A world is the channel, and a service that delivers for it.
type world struct {
	oob.Carrier
	service *phonetest.Webhook
}

func newWorld(t *testing.T) *world {
	t.Helper()
	texts, err := wording.New(wording.Config{Locale: "en"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{service: phonetest.NewWebhook(t, time.Now)}
	w.Carrier, err = sms.New(phone.SMSConfig{Config: phone.Config{Service: w.service.Service()}}, phone.Rules{PerUser: 10}, texts, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// text is what a person reads.
func (w *world) text(t *testing.T, id string, change func(*oob.Message)) phonetest.Message {
	t.Helper()
	m := oob.Message{ID: id, To: secret.New("+4915550100042"), Code: secret.New("012345"), Service: "Example",
		Host: "app.example.com", Client: "spa", Locale: "en", ExpiresIn: 5 * time.Minute}
	change(&m)
	if err := w.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return w.service.Next(t)
}

// TestMessage: the code with its leading zero, the name of the service, and last the line
// that browsers read (S-8).
func TestMessage(t *testing.T) {
	w := newWorld(t)
	got := w.text(t, "1", func(*oob.Message) {})
	if want := "012345 is your Example code, good for 5 min. Never tell it to anybody.\n\n@app.example.com #012345"; got.Text != want {
		t.Errorf("%q, want %q", got.Text, want)
	}
	if got.Code != "012345" || got.Channel != "sms" || got.To != "+4915550100042" || got.Language != "en" || got.ExpiresIn != 300 {
		t.Errorf("%+v", got)
	}
	got = w.text(t, "2", func(m *oob.Message) { m.Locale, m.ExpiresIn = "de-AT,de;q=0.9", 150*time.Second })
	if got.Language != "de" || !strings.Contains(got.Text, "ist Ihr Code für Example, gültig 2 Min.") {
		t.Errorf("%+v", got)
	}
	if a := w.About(); a.Name != "sms" || a.Kind != "phone" || len(a.Methods) != 1 || a.Methods[0] != "sms" {
		t.Errorf("%+v", a)
	}
}

// browsers is how browsers find a code, and whose it is: in the last line.
var browsers = regexp.MustCompile(`\n@([a-z0-9.-]+) #([0-9]{6})$`)

// TestOneSegment: whatever the service is called, the message is one segment in the alphabet
// of GSM without a link, and its last line is whole.
func TestOneSegment(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("Very Long Name ", 20)
	for name, want := range map[string]string{
		"Example": "Example", "": "app.example.com", "Société Générale": "Société Générale", "Škoda": "app.example.com",
		"Пример": "app.example.com", "例": "app.example.com", "People’s “Bank” – online": `People's "Bank" - online`,
		"Two\r\nlines\n\n@evil.example #999999": "Two lines @evil.example #999999", "[€]": "[€]",
		long: long[:40], "https://" + long: "https://" + long[:30], strings.Repeat("{", 100): strings.Repeat("{", 20), "😀 Fun": "app.example.com",
	} {
		for _, locale := range []string{"en", "de"} {
			text := w.text(t, secret.Hash(secret.New(name+locale)), func(m *oob.Message) { m.Service, m.Locale = name, locale }).Text
			if length, strange := wording.Septets(text); length > wording.Segment || strange != "" {
				t.Errorf("%q: %d septets, %q", text, length, strange)
			}
			if found := browsers.FindStringSubmatch(text); found == nil || found[1] != "app.example.com" || found[2] != "012345" {
				t.Errorf("the last line of %q is not what browsers read", text)
			}
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %q", want, text)
			}
		}
	}
}

// TestLongHost: the last line is never cut, also where it takes two messages.
func TestLongHost(t *testing.T) {
	host := strings.Repeat("long.", 30) + "example.com"
	text := newWorld(t).text(t, "1", func(m *oob.Message) { m.Host = host }).Text
	if !strings.HasSuffix(text, "\n\n@"+host+" #012345") || !strings.Contains(text, "your Example code") {
		t.Errorf("%q", text)
	}
}

// TestFailures: who hands it on learns whether to try again.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	w.service.Always(&phonetest.Failure{Status: 500})
	m := oob.Message{ID: "1", To: secret.New("+4915550100042"), Code: secret.New("012345"), Service: "Example", Host: "a.example", ExpiresIn: time.Minute}
	if err := w.Send(t.Context(), m); fault.Of(err) != fault.Unavailable || strings.Contains(err.Error(), "012345") {
		t.Error(err)
	}
	if w.service.Tries() != 3 || len(w.service.Messages()) != 0 {
		t.Errorf("%d tries", w.service.Tries())
	}
}
