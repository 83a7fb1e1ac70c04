package wording_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
)

// builtIn are the languages of the folder texts.
func builtIn(t *testing.T) (tags []string) {
	t.Helper()
	files, err := filepath.Glob("texts/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		tags = append(tags, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	return tags
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// folder has files, each a name and what is in it.
func folder(t *testing.T, namesAndTexts ...string) string {
	t.Helper()
	at := t.TempDir()
	for pair := range slices.Chunk(namesAndTexts, 2) {
		if err := os.WriteFile(filepath.Join(at, pair[0]), []byte(pair[1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// What is built in passes what an operator's own language must pass: it has every key and
// no other, each text can be said, and its text message fits.
func TestBuiltIn(t *testing.T) {
	tags := builtIn(t)
	if want := []string{"de", "en", "es", "fr", "it", "nl", "pt"}; !slices.Equal(tags, want) {
		t.Errorf("there are %q, want %q", tags, want)
	}
	seen := map[string]string{}
	for _, tag := range tags {
		file := "texts/" + tag + ".yaml"
		own := wording.Config{Locale: "eo", Texts: folder(t, "eo.yaml", content(t, file))}
		if err := own.Validate(); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
		for key, words := range map[string]map[string]any{"sms.code": words, "notice.object": words, "email.code.text": words} {
			l := texts(t, wording.Config{Locale: tag}).In("")
			said := say(t, l, key, words)
			if other, twice := seen[said]; twice || l.Tag() != tag {
				t.Errorf("%s says %s as %s does: %q", l.Tag(), key, other, said)
			}
			seen[said] = tag
		}
	}
}

// A language that is not built in needs all of its texts.
func TestOwnLanguageIsWhole(t *testing.T) {
	var less []string
	for line := range strings.Lines(content(t, "texts/en.yaml")) {
		if !strings.HasPrefix(line, "notice.object:") {
			less = append(less, line)
		}
	}
	err := wording.Config{Locale: "en", Texts: folder(t, "eo.yaml", strings.Join(less, ""))}.Validate()
	const want = "texts: eo.yaml: lacks notice.object; a language that is not built in has every key"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// An operator's words replace those that are built in key by key, and those of a region
// have the rest from their language.
func TestOwn(t *testing.T) {
	all := texts(t, wording.Config{Locale: "en", Texts: folder(t,
		"de.yaml", "email.code.subject: 'Hallo von {{.Service}}'\nnotice.object: Ruf an.\n",
		"de-CH.yaml", "notice.object: Bitte telefonieren.\n",
		"fr.yaml", "# nothing yet\n",
		".fr.yaml.swp", "what an editor keeps",
	)})
	for _, tt := range []struct{ header, tag, key, want string }{
		{"de", "de", "email.code.subject", "Hallo von Example"},
		{"de-AT", "de", "notice.object", "Ruf an."},
		{"de", "de", "authenticator.recovery-code", "Wiederherstellungscode"},
		{"de-CH,de;q=0.9", "de-CH", "notice.object", "Bitte telefonieren."},
		{"de-CH,de;q=0.9", "de-CH", "email.code.subject", "Hallo von Example"},
		{"de-CH,de;q=0.9", "de-CH", "authenticator.recovery-code", "Wiederherstellungscode"},
		{"fr", "fr", "authenticator.recovery-code", "code de secours"},
		{"en", "en", "authenticator.recovery-code", "recovery code"},
	} {
		l := all.In(tt.header)
		if said := say(t, l, tt.key, words); said != tt.want || l.Tag() != tt.tag {
			t.Errorf("%s: %s says %q, want %s and %q", tt.header, l.Tag(), said, tt.tag, tt.want)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"en.yaml", "a: [", "texts: en.yaml: is not YAML: line 1"},
		{"en.yaml", "- sms.code", "texts: en.yaml: must hold keys with a text each"},
		{"en.yaml", "\nsms.code: {text: x}", "texts: en.yaml: line 2: sms.code: must be a key with a text"},
		{"en.yaml", "sms.code:", "texts: en.yaml: line 1: sms.code: must be a key with a text"},
		{"en.yaml", "notice.object: a\nnotice.object: b", "texts: en.yaml: line 2: notice.object: is set for the second time"},
		{"en.yaml", "sms.kode: x", "texts: en.yaml: sms.kode: is no key; known are authenticator.email, "},
		{"en.yaml", "notice.object: ' '", "texts: en.yaml: notice.object: is empty"},
		{"en.yaml", "notice.object: " + strings.Repeat("x", 4001), "texts: en.yaml: notice.object: is longer than 4000 bytes"},
		{"en.yaml", "notice.object: '{{.Contact}}'", "texts: en.yaml: notice.object: says nothing"},
		{"en.yaml", "notice.object: '{{.Contact'", "texts: en.yaml: notice.object: is no template: 1: unclosed action"},
		{"en.yaml", "notice.object: '{{.Code}}'", "texts: en.yaml: notice.object: holds \".Code\"; it may hold {{.Service}}, {{.Contact}}, and {{if .Service}}"},
		{"en.yaml", "sms.code: '{{printf `%9999999d` 1}} {{.Code}}'", "texts: en.yaml: sms.code: holds "},
		{"en.yaml", "sms.code: '{{range .Code}}{{end}}'", "texts: en.yaml: sms.code: holds "},
		{"en.yaml", "sms.code: '{{$x := .Code}}{{.Code}}'", "texts: en.yaml: sms.code: holds "},
		{"en.yaml", "sms.code: '{{if .Code}}{{template `sms.code` .}}{{end}}'", "texts: en.yaml: sms.code: holds "},
		{"en.yaml", "sms.code: '{{if not .Code}}{{end}}'", "texts: en.yaml: sms.code: holds "},
		{"en.yaml", "sms.code: '{{if .Code}}{{else}}{{.Host}}{{end}}'", "texts: en.yaml: sms.code: holds \".Host\""},
		{"en.yaml", "sms.code: '{{.Code.Reveal}}'", "texts: en.yaml: sms.code: holds \".Code.Reveal\""},
		{"en.yaml", "sms.code: '{{.Code}}{{define `x`}}{{end}}'", "texts: en.yaml: sms.code: must not define templates"},
		{"en.yaml", "sms.code: '{{define `sms.code`}}{{end}}'", "texts: en.yaml: sms.code: "},
		{"en.yaml", "sms.code: 'Your code for {{.Service}}'", "texts: en.yaml: sms.code: leaves out the code; it must hold {{.Code}}"},
		{"en.yaml", "sms.code: '{{.Code}}: https://example.com/'", "texts: en.yaml: sms.code: has a link"},
		{"pl.yaml", "sms.code: '{{.Code}} to twój kod'", "texts: pl.yaml: sms.code: has \"ó\", which is not in the alphabet"},
		{"en.yaml", "sms.code: '{{.Code}}" + strings.Repeat("x", 161-6-33) + "'", "texts: en.yaml: sms.code: takes 161 of the 160 letters"},
		{"en.yaml", "sms.code: '{{.Code}}" + strings.Repeat("€", 61) + "'", "texts: en.yaml: sms.code: takes 161 of the 160 letters"},
		{"en.yaml", "voice.code: '{{.Digits}}'", "texts: en.yaml: voice.code: must say the code two or three times"},
		{"en.yaml", "email.code.subject: '{{.Code}}'", "texts: en.yaml: email.code.subject: holds \".Code\""},
		{"en.yaml", "email.code.subject: \"a\\nb\"", "texts: en.yaml: email.code.subject: must be one line"},
		{"en.yaml", strings.Repeat("#", 64<<10+1), "texts: en.yaml: is larger than 64 KiB"},
		{"EN.yaml", "", "texts: EN.yaml: must be named after a language"},
		{"english.yaml", "", "texts: english.yaml: must be named after a language"},
		{"en.yml", "", "texts: en.yml: must be named after a language"},
		{"und.yaml", "", "texts: und.yaml: must be named after a language"},
	} {
		c := wording.Config{Locale: "en", Texts: folder(t, tt.file, tt.text)}
		err := c.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s %q: %v, want %s", tt.file, tt.text, err, tt.want)
		}
		if _, err := wording.New(c); err == nil {
			t.Errorf("%s %q: New takes it", tt.file, tt.text)
		}
	}
	fits := wording.Config{Locale: "en", Texts: folder(t, "en.yaml", "sms.code: '{{.Code}}"+strings.Repeat("x", 160-6-33)+"'")}
	if err := fits.Validate(); err != nil {
		t.Errorf("a text message of 160 letters: %v", err)
	}
}

func TestValidateSettings(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	tests := []struct {
		c    wording.Config
		want string // "" where nothing is wrong
	}{
		{wording.Config{Locale: "en"}, ""},
		{wording.Config{Locale: "en", Contact: "security@example.com"}, ""},
		{wording.Config{Locale: "en", Contact: "https://example.com/help"}, ""},
		{wording.Config{Locale: "tlh"}, "locale: there is no language tlh; there are de, en, es, fr, it, nl, pt"},
		{wording.Config{Locale: "Deutsch!"}, "locale: there is no language Deutsch!"},
		{wording.Config{Locale: "en", Texts: gone}, "texts: cannot read the folder " + gone},
		{wording.Config{Locale: "en", Contact: "call us"}, "contact: must be a mail address"},
		{wording.Config{Locale: "en", Contact: "Us <us@example.com>"}, "contact: must be a mail address"},
		{wording.Config{Locale: "en", Contact: "http://example.com/"}, "contact: must be a mail address"},
		{wording.Config{Locale: "tlh", Contact: "call us"}, "locale: there is no language tlh; there are de, en, es, fr, it, nl, pt\ncontact: "},
	}
	for _, tt := range tests {
		err := tt.c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.c, err, tt.want)
		}
	}
}
