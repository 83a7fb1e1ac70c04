package wording_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
)

func TestIn(t *testing.T) {
	long := "fr" + strings.Repeat(" ", 252) + ",x"
	tests := []struct{ header, fallback, want string }{
		{"de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "en", "de"},
		{"de", "en", "de"},
		{"DE-at", "en", "de"},
		{"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en", "fr"},
		{"en-GB,en-US;q=0.9,en;q=0.8", "de", "en"},
		{"pt-BR,pt;q=0.9,en;q=0.8", "en", "pt"},
		{"pt-PT", "en", "pt"},
		{"es-419,es;q=0.9", "en", "es"},
		{"nl-BE,nl;q=0.8,fr;q=0.6", "en", "nl"},
		{"it-CH", "en", "it"},
		{"en;q=0.1, it;q=0.9", "en", "it"},
		{"ja,zh-CN;q=0.9", "en", "en"},
		{"ja,zh-CN;q=0.9", "de", "de"},
		{"ja, it;q=0.1", "de", "it"},
		{"", "nl", "nl"},
		{"*", "nl", "nl"},
		{";;;q=,", "nl", "nl"},
		{"\x00\xff", "nl", "nl"},
		{strings.Replace(long, ",x", "", 1), "nl", "fr"},
		{long + strings.Repeat("x", 1), "nl", "nl"},
	}
	for _, tt := range tests {
		if got := texts(t, wording.Config{Locale: tt.fallback}).In(tt.header).Tag(); got != tt.want {
			t.Errorf("%.40q with %s is answered in %s, want %s", tt.header, tt.fallback, got, tt.want)
		}
	}
}

// Whatever a client sends, somebody gets a code that they can read.
func FuzzIn(f *testing.F) {
	all, err := wording.New(wording.Config{Locale: "nl"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		l := all.In(header)
		if !slices.Contains([]string{"de", "en", "es", "fr", "it", "nl", "pt"}, l.Tag()) || len(header) > 256 && l.Tag() != "nl" {
			t.Errorf("%q is answered in %s", header, l.Tag())
		}
		if said, err := l.Say("sms.code", words); err != nil || !strings.Contains(said, "012345") {
			t.Errorf("%q: %q, %v", header, said, err)
		}
	})
}
