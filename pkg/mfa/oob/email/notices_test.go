package email_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/notice"
	"github.com/sallyport/sallyport/pkg/record"
)

// directory knows people and applications.
type directory map[string]mfa.Account

func (d directory) Account(_ context.Context, subject string) (mfa.Account, error) {
	if subject == "blocked" {
		return mfa.Account{}, fault.UserBlocked
	}
	if subject == "unknown" {
		return mfa.Account{}, errors.New("connection refused")
	}
	a, ok := d[subject]
	if !ok {
		return a, fault.NotFound
	}
	return a, nil
}

func (directory) Client(_ context.Context, id string) (record.Client, error) {
	if id == "gone" {
		return record.Client{}, fault.NotFound
	}
	return record.Client{ID: id, Name: "Example SPA"}, nil
}

// others are those who are told in another way.
type others []string

func (o *others) Notify(_ context.Context, n notice.Notice) error {
	*o = append(*o, n.Subject)
	return nil
}

func notifier(t testing.TB, contact string, servers ...email.Server) (notice.Notifier, *others) {
	t.Helper()
	otherwise := &others{}
	people := directory{"alice": {Email: "alice@mail.example.test", Verified: true}, "carol": {Email: "carol@example.test"}, "dave": {Verified: true},
		"erin": {Email: "erin", Verified: true}}
	c := config(servers...)
	n, err := email.NewNotifier(&c, email.NotifierOptions{
		Wording: wording.Config{Locale: "en", Contact: contact}, Accounts: people, Clients: people, Service: func() string { return "Example" },
		Otherwise: otherwise, Now: clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, otherwise
}

// told is a notice to Alice about her app.
func told(kind audit.Type) notice.Notice {
	return notice.Notice{ID: "01JX0A", Type: kind, At: noon, Subject: "alice", Client: "spa", Address: "192.0.2.1", Attempt: 1,
		Authenticators: []notice.Authenticator{{Type: "otp", Name: "Alice's phone"}}}
}

// R32, N-BI-2: whatever concerns its user is a mail that says what, which, when, from where,
// with what, and how to object; told again, it is the same mail.
func TestR32Notices(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	n, otherwise := notifier(t, "security@example.com", at(s))
	kinds := []audit.Type{audit.Confirmed, audit.Removed, audit.Disabled, audit.Reported, audit.CodeUsed, audit.PasswordChanged, audit.FactorRefused, audit.FactorDemanded}
	for i, kind := range kinds {
		for range 2 {
			if err := n.Notify(t.Context(), told(kind)); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		all := s.Wait(t, 2*i+2)
		got, again := all[2*i], all[2*i+1]
		if !slices.Equal(got.To, []string{"alice@mail.example.test"}) || !slices.Equal(got.Header["Message-Id"], again.Header["Message-Id"]) ||
			!slices.Equal(got.Header["Reply-To"], []string{"<security@example.com>"}) || got.Text != again.Text {
			t.Errorf("%s: to %q, headers %q and %q", kind, got.To, got.Header, again.Header)
		}
		for _, want := range []string{"Example", "2026-03-01 12:00 UTC", "192.0.2.1", "Example SPA", "security@example.com"} {
			if !strings.Contains(got.Text, want) || !strings.Contains(got.HTML, want) {
				t.Errorf("%s: %q is not in\n%s", kind, want, got.Text)
			}
		}
		which := kind == audit.Confirmed || kind == audit.Removed || kind == audit.Disabled
		if strings.Contains(got.Text, "Alice's phone") != which || !strings.Contains(got.Subject, "Example") {
			t.Errorf("%s: %s\n%s", kind, got.Subject, got.Text)
		}
	}
	if len(*otherwise) != 0 {
		t.Errorf("told otherwise: %q", *otherwise)
	}
}

// Who did it through an administrator, or a client that is gone, is told too; without a
// contact nobody reads answers. Each kind of authenticator has words.
func TestNoticeWithoutClient(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	n, _ := notifier(t, "https://example.com/help", at(s))
	for i, id := range []string{"", "gone"} {
		told := told(audit.Removed)
		told.Client, told.Address = id, ""
		told.Authenticators = []notice.Authenticator{{Type: "oob", Channel: "sms", Name: "XXXX0042"}, {Type: "oob", Channel: "voice"}, {Type: "oob", Channel: "email"},
			{Type: "oob", Channel: "auth0", Name: "Mira's phone"}, {Type: "recovery-code"}, {Type: "otp"}}
		if err := n.Notify(t.Context(), told); err != nil {
			t.Fatal(err)
		}
		got := s.Wait(t, i+1)[i]
		if got.Header["Reply-To"] != nil || !strings.Contains(got.Text, "XXXX0042") || !strings.Contains(got.Text, "Mira's phone") ||
			!strings.Contains(got.Text, "https://example.com/help") || strings.Contains(got.Text, "gone") != (id == "gone") {
			t.Errorf("%q\n%s", got.Header, got.Text)
		}
	}
}

// Who cannot be written to is told in the other way; who is gone, not at all; and what may go
// better later is tried again.
func TestNoticeWithoutMail(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	n, otherwise := notifier(t, "", at(s))
	for _, subject := range []string{"carol", "dave", "erin", "blocked", "nobody"} {
		told := told(audit.Confirmed)
		told.Subject = subject
		if err := n.Notify(t.Context(), told); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if !slices.Equal(*otherwise, []string{"carol", "dave", "erin", "blocked"}) || len(s.Mails()) != 0 {
		t.Errorf("told otherwise: %q, by mail: %d", *otherwise, len(s.Mails()))
	}
	unknown := told(audit.Confirmed)
	unknown.Subject = "unknown"
	if err := n.Notify(t.Context(), unknown); err == nil {
		t.Error("of whom nothing is known now is not told later")
	}
	s.Has(mailtest.Trouble{At: mailtest.AtRecipient, Code: 450})
	if err := n.Notify(t.Context(), told(audit.Confirmed)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a server that is busy: %v", err)
	}
	if len(*otherwise) != 4 {
		t.Errorf("told otherwise: %q", *otherwise)
	}
	s.Has(mailtest.Trouble{At: mailtest.AtRecipient, Code: 550})
	if err := n.Notify(t.Context(), told(audit.Confirmed)); err != nil || len(*otherwise) != 5 {
		t.Errorf("a mailbox that is none: %v, told otherwise: %q", err, *otherwise)
	}
}

// Without a server for mail everybody is told in the other way; settings that cannot work
// are named.
func TestNewNotifier(t *testing.T) {
	otherwise := &others{}
	if n, err := email.NewNotifier(nil, email.NotifierOptions{Otherwise: otherwise}); err != nil || n != notice.Notifier(otherwise) {
		t.Errorf("%v, %v", n, err)
	}
	bad, good := email.Config{From: "nobody", Server: nowhere}, config(nowhere)
	if _, err := email.NewNotifier(&bad, email.NotifierOptions{Wording: wording.Config{Locale: "en"}}); err == nil || !strings.HasPrefix(err.Error(), "delivery.email.from: ") {
		t.Error(err)
	}
	if _, err := email.NewNotifier(&good, email.NotifierOptions{Wording: wording.Config{Locale: "xx"}}); err == nil || !strings.HasPrefix(err.Error(), "messages.locale: ") {
		t.Error(err)
	}
}
