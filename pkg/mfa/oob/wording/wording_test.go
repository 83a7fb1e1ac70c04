package wording_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/notice"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// words are what the channels and the notifier put into texts.
var words = map[string]any{
	"Code": "012345", "Digits": "0, 1, 2, 3, 4, 5", "Service": "Example", "Minutes": 5, "Client": "Example App",
	"Authenticator": "authenticator app", "Time": noon, "Address": "192.0.2.1", "Name": "Alice's phone",
}

func texts(t *testing.T, c wording.Config) *wording.Texts {
	t.Helper()
	all, err := wording.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func say(t *testing.T, l *wording.Language, key string, words map[string]any) string {
	t.Helper()
	said, err := l.Say(key, words)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// with are words with some of them exchanged.
func with(namesAndValues ...string) map[string]any {
	changed := maps.Clone(words)
	for pair := range slices.Chunk(namesAndValues, 2) {
		changed[pair[0]] = pair[1]
	}
	return changed
}

func TestSay(t *testing.T) {
	en := texts(t, wording.Config{Locale: "en", Contact: "security@example.com"}).In("")
	for key, want := range map[string]string{
		"sms.code":                       "012345 is your Example code, good for 5 min. Never tell it to anybody.",
		"email.code.subject":             "Your code for Example",
		"authenticator.otp":              "authenticator app “Alice's phone”",
		"notice.password.changed.text":   "The password of your account at Example was changed.\n\nTime: 2026-03-01 12:00 UTC · from 192.0.2.1 · with Example App",
		"notice.object":                  "Was it not you? Then tell us at once: security@example.com",
		"notice.factor.demanded.subject": "Example: a login was not finished",
	} {
		if said := say(t, en, key, words); said != want {
			t.Errorf("%s says %q, want %q", key, said, want)
		}
	}
	if said := say(t, en, "voice.code", words); strings.Count(said, "0, 1, 2, 3, 4, 5") != 2 {
		t.Errorf("a call says %q", said)
	}
	if said := say(t, en, "notice.password.changed.text", with("Address", "", "Client", "")); !strings.HasSuffix(said, "\n\nTime: 2026-03-01 12:00 UTC") {
		t.Errorf("of a command line it says %q", said)
	}
	nobody := texts(t, wording.Config{Locale: "en"}).In("")
	if said := say(t, nobody, "notice.object", with("Contact", "https://evil.example/")); said != "Was it not you? Then tell the people who run Example at once." {
		t.Errorf("without a contact: %q", said)
	}
}

// There is a text for all that users are told of.
func TestNotices(t *testing.T) {
	en := texts(t, wording.Config{Locale: "en"}).In("")
	for _, kind := range []audit.Type{
		audit.TokensIssued, audit.PasswordRefused, audit.FactorDemanded, audit.FactorRefused, audit.Confirmed, audit.CodeUsed,
		audit.PasswordChanged, audit.Disabled, audit.Reported, audit.Associated, audit.Removed, audit.Denied, audit.UserChanged,
	} {
		told := notice.Concerns(audit.Event{Type: kind, Success: true}) || notice.Silence(kind) != 0
		for _, part := range []string{".subject", ".text"} {
			if _, err := en.Say("notice."+string(kind)+part, words); (err == nil) != told {
				t.Errorf("%s%s is told %t: %v", kind, part, told, err)
			}
		}
	}
}

// What a user chose is a word, and never a template, a line or a direction.
func TestSayWhatUsersChose(t *testing.T) {
	en := texts(t, wording.Config{Locale: "en"}).In("")
	long := strings.Repeat("é", 1000)
	for name, want := range map[string]string{
		"{{.Service}}{{define `x`}}":    "“{{.Service}}{{define `x`}}”",
		"a\r\nBcc: x@example.com\u2028": "“a  Bcc: x@example.com ”",
		"\u202eenohp\u2066":             "“enohp”",
		long:                            "“" + long[:2*199] + "…”",
	} {
		if said := say(t, en, "authenticator.otp", with("Name", name)); said != "authenticator app "+want {
			t.Errorf("%q is said as %q", name, said)
		}
	}
}

func TestSayFails(t *testing.T) {
	en := texts(t, wording.Config{Locale: "en"}).In("")
	tests := []struct {
		key   string
		words map[string]any
		want  string
	}{
		{"sms.kode", words, `there is no text "sms.kode"`},
		{"sms.code", map[string]any{"Code": "012345", "Service": "Example"}, `no entry for key "Minutes"`},
		{"sms.code", map[string]any{"Code": []byte("012345")}, "the word Code of sms.code: must be a text"},
		{"sms.code", map[string]any{"Code": nil}, "the word Code of sms.code: must be a text"},
	}
	for _, tt := range tests {
		if said, err := en.Say(tt.key, tt.words); err == nil || !strings.Contains(err.Error(), tt.want) || said != "" {
			t.Errorf("%s: %q, %v, want %q", tt.key, said, err, tt.want)
		}
	}
}
