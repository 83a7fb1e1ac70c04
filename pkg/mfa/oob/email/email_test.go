package email_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// E-mail never raises acr (SP 800-63B, 3.1.3.1): its amr is in no class of factors.
func TestNOB1NoSecondFactor(t *testing.T) {
	a := carrier(t, nowhere).About()
	if a.Name != "email" || a.Kind != "email" || !slices.Equal(a.Methods, []string{"email"}) {
		t.Errorf("%+v", a)
	}
	proofs := []record.Proof{{Methods: []string{"pwd"}}, {Methods: a.Methods}}
	if acr := record.ACR(proofs); acr != "" || slices.Contains(record.AMR(proofs), "mfa") {
		t.Errorf("a password and a mail are %q, %q", record.AMR(proofs), acr)
	}
}

// A mail is one text twice, with the code on a line of its own; it says which site the code
// is for, when it ends, and whom a machine may answer: nobody.
func TestMail(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	m := message()
	if err := carrier(t, at(s)).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := s.Wait(t, 1)[0]
	if got.From != "no-reply@example.test" || !slices.Equal(got.To, []string{"alice@mail.example.test"}) {
		t.Errorf("from %s to %q", got.From, got.To)
	}
	for header, want := range map[string]string{
		"From": `"Example" <no-reply@example.test>`, "To": "<alice@mail.example.test>", "Subject": "Your code for Example",
		"Message-Id": "<Vt3x_9-a@example.test>", "Date": "Sun, 01 Mar 2026 12:00:00 +0000", "Auto-Submitted": "auto-generated",
		"Content-Language": "en", "Mime-Version": "1.0", "X-Auto-Response-Suppress": "All",
	} {
		if !slices.Equal(got.Header[header], []string{want}) {
			t.Errorf("%s: %q, want %q", header, got.Header[header], want)
		}
	}
	for _, no := range []string{"Reply-To", "Cc", "Bcc", "List-Unsubscribe", "User-Agent", "X-Mailer"} {
		if v, ok := got.Header[no]; ok {
			t.Errorf("%s: %q", no, v)
		}
	}
	if !slices.Contains(strings.Split(got.Text, "\n"), "012345") || strings.Contains(got.Subject, "012345") {
		t.Errorf("the code is not on a line of its own, or in the subject:\n%s\n%s", got.Subject, got.Text)
	}
	for _, want := range []string{"Example", "app.example.com", "5 minutes"} {
		if !strings.Contains(got.Text, want) || !strings.Contains(got.HTML, want) {
			t.Errorf("%q is not in both of\n%s\n%s", want, got.Text, got.HTML)
		}
	}
}

// What is shown loads nothing, leads nowhere and runs nothing; it has a language, a title,
// colors for the dark, and a code that one touch selects.
func TestPage(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	m := message()
	m.Locale, m.Service = "de-AT, en;q=0.5", `A & B <script>alert(1)</script>`
	if err := carrier(t, at(s)).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	page := s.Wait(t, 1)[0].HTML
	if bad := regexp.MustCompile(`(?i)<(img|a|script|link|iframe|form|object|svg|base)\b|https?:|url\(|@import|\son\w+=|src=|href=`).FindString(page); bad != "" {
		t.Errorf("the page has %q:\n%s", bad, page)
	}
	for _, want := range []string{
		`<html lang="de">`, "<title>", `name="color-scheme" content="light dark"`, "prefers-color-scheme: dark", `role="presentation"`,
		"user-select: all", ">012345</p>", "A &amp; B &lt;script&gt;", "max-width: 480px",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	for _, line := range strings.Split(string(s.Mails()[0].Raw), "\r\n") {
		if len(line) > 998 { // RFC 5322, 2.1.1
			t.Errorf("a line of %d", len(line))
		}
	}
}

// Whatever a service or a language is called, it makes no header, no second recipient and no
// second mail.
func TestNothingIsInjected(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	for _, evil := range []string{"X\r\nBcc: mallory@example.test", "X\nSubject: two", "X\r\n\r\nbody", "X\r\n.\r\nMAIL FROM:<a@b.test>", "Ünïcode\u2028X", "=?utf-8?q?x?="} {
		m := message()
		m.ID, m.Service, m.Host, m.Locale = evil, evil, evil, evil
		if err := carrier(t, at(s)).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	all := s.Mails()
	if len(all) != 6 {
		t.Fatalf("%d mails came", len(all))
	}
	for _, got := range all {
		if !slices.Equal(got.To, []string{"alice@mail.example.test"}) || got.Header["Bcc"] != nil || len(got.Header["Subject"]) != 1 {
			t.Errorf("to %q, headers %q", got.To, got.Header)
		}
		if id := got.Header["Message-Id"]; len(id) != 1 || !regexp.MustCompile(`^<[\w.-]+@example\.test>$`).MatchString(id[0]) {
			t.Errorf("Message-ID %q", id)
		}
		if strings.ContainsAny(got.Subject, "\r\n\u2028") || !strings.Contains(got.Text, "012345") {
			t.Errorf("%q\n%s", got.Subject, got.Text)
		}
	}
}

// An address that no mail can go to, stored when it could, is the end of it: nobody is asked.
func TestNoMailbox(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	m := message()
	m.To = secret.New("alice@example.test>\r\nRCPT TO:<mallory@example.test")
	if err := carrier(t, at(s)).Send(t.Context(), m); !errors.Is(err, fault.Undeliverable) || len(s.Mails()) != 0 {
		t.Errorf("%v, %d mails", err, len(s.Mails()))
	}
}

// X-30, S-6: a server that does not take the mail costs a try; another one gets the same
// code under the same id, whatever the first one did.
func TestX30Failover(t *testing.T) {
	for _, trouble := range []mailtest.Trouble{
		{At: mailtest.AtGreeting}, {At: mailtest.AtGreeting, Code: 554}, {At: mailtest.AtSender, Code: 451}, {At: mailtest.AtSender, Code: 550},
		{At: mailtest.AtRecipient, Code: 421}, {At: mailtest.AtRecipient, Code: 550}, {At: mailtest.AtMessage, Code: 450}, {At: mailtest.AtMessage},
	} {
		first, second := mailtest.Start(t, mailtest.Options{}), mailtest.Start(t, mailtest.Options{})
		first.Has(trouble)
		began := time.Now()
		m, last := message(), ""
		m.Told = func(provider string, o oob.Outcome) { last = fmt.Sprint(provider, " ", o) }
		if err := carrier(t, at(first), at(second)).Send(t.Context(), m); err != nil || last != "email.fallback[0] accepted" {
			t.Errorf("%+v: %v, told %q", trouble, err, last)
			continue
		}
		got := second.Wait(t, 1)
		if len(got) != 1 || len(first.Mails()) != 0 || !strings.Contains(got[0].Text, "012345") ||
			!slices.Equal(got[0].Header["Message-Id"], []string{"<Vt3x_9-a@example.test>"}) {
			t.Errorf("%+v: the second one took %d, of which one is %q", trouble, len(got), got[0].Header)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%+v: it took %v", trouble, took)
		}
	}
}

// S-6, X-34: what a failure means, by who said what; and no words of it tell the address, the code
// or what the server said.
func TestVerdicts(t *testing.T) {
	for _, tc := range []struct {
		trouble mailtest.Trouble
		want    fault.Kind
	}{
		{mailtest.Trouble{At: mailtest.AtRecipient, Code: 421}, fault.Unavailable},
		{mailtest.Trouble{At: mailtest.AtRecipient, Code: 450}, fault.Unavailable},
		{mailtest.Trouble{At: mailtest.AtRecipient, Code: 550}, fault.Undeliverable},
		{mailtest.Trouble{At: mailtest.AtMessage, Code: 452}, fault.Unavailable},
		{mailtest.Trouble{At: mailtest.AtMessage, Code: 554}, fault.Undeliverable},
		{mailtest.Trouble{At: mailtest.AtSender, Code: 451}, fault.Unavailable},
		{mailtest.Trouble{At: mailtest.AtSender, Code: 553}, fault.Unavailable}, // of the gateway, not of this mail
		{mailtest.Trouble{At: mailtest.AtGreeting, Code: 554}, fault.Unavailable},
	} {
		s := mailtest.Start(t, mailtest.Options{})
		s.Has(tc.trouble)
		err := carrier(t, at(s)).Send(t.Context(), message())
		if fault.Of(err) != tc.want || len(s.Mails()) != 0 {
			t.Errorf("%+v: %v", tc.trouble, err)
		}
		quiet(t, err)
	}
	err := carrier(t, nowhere, email.Server{Host: "nobody.invalid", Port: 25, TLS: "starttls"}).Send(t.Context(), message())
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	quiet(t, err)
}

// quiet: the error names no address and no code, and repeats nothing that a server said.
func quiet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("it did not fail")
		return
	}
	for _, secret := range []string{"alice", "example.test", "012345", "123456", "trouble", "come back"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in %q", secret, err)
		}
	}
}

// a server that hangs costs no more than the deadline, wherever it does, and a request
// that ends ends the sending.
func TestX30Hanging(t *testing.T) {
	for _, place := range []string{mailtest.AtGreeting, mailtest.AtSender, mailtest.AtRecipient, mailtest.AtMessage} {
		s := mailtest.Start(t, mailtest.Options{})
		s.Has(mailtest.Trouble{At: place})
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		began := time.Now()
		err := carrier(t, at(s)).Send(ctx, message())
		cancel()
		if took := time.Since(began); fault.Of(err) != fault.Unavailable || took > 2*time.Second {
			t.Errorf("%s: %v after %v", place, err, took)
		}
		quiet(t, err)
	}
	s := mailtest.Start(t, mailtest.Options{})
	s.Has(mailtest.Trouble{At: mailtest.AtMessage})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- carrier(t, at(s)).Send(ctx, message()) }()
	cancel()
	if err := <-ended; fault.Of(err) != fault.Unavailable {
		t.Errorf("of a request that ended: %v", err)
	}
}

// New says what it cannot work with.
func TestNewFails(t *testing.T) {
	bad := nowhere
	bad.CAFile = "/nonexistent"
	for _, c := range []email.Config{config(bad), config(nowhere, bad), {From: "nobody", Server: nowhere}} {
		if _, err := email.New(c, rules, texts(t, wording.Config{}), clock); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
