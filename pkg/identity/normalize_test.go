package identity_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/sallyport/sallyport/pkg/identity"
)

func TestOneFormForEverySpelling(t *testing.T) {
	for form, spellings := range map[string][]string{
		"alice":              {"alice", "Alice", "ALICE", " alice ", "\talice\r\n", "\u00a0alice\u3000", "\uff21\uff4c\uff29\uff43\uff25", "\U0001d41a\u24db\u2170\u217d\u212f"},
		"ren\u00e9":          {"ren\u00e9", "rene\u0301", "REN\u00c9", "RENE\u0301"},
		"strasse":            {"stra\u00dfe", "STRASSE", "STRA\u1e9eE"},
		"\u03c3\u03bf\u03c3": {"\u03a3\u039f\u03a3", "\u03c3\u03bf\u03c2"},
		"bob@example.com":    {"Bob@Example.COM", "bob\uff20example.com", "BOB@EXAMPLE\uff0eCOM"},
		"two words":          {"Two Words", "two\u00a0words", "two\u2003words"},
		"fine":               {"\ufb01ne"},
		"alice.":             {"alice.", "ALICE. "}, // a trailing dot is part of the name
		"\u0430lice":         {"\u0410lice"},        // Cyrillic, another account than alice
	} {
		for _, s := range spellings {
			if got, ok := identity.Normalize(s); !ok || got != form {
				t.Errorf("Normalize(%+q) = %+q, %v; want %+q", s, got, ok, form)
			}
		}
	}
}

func TestWhatNamesNobody(t *testing.T) {
	for _, s := range []string{
		"", "   ", "\u3000\t", "a\x00b", "a\nb", "a\u2028b", "\u200balice", "al\u200dice", "alice\ufeff", "al\u00adice",
		"\u202ealice", "alice\ufe0f", "alice\U000e0041", "\u3164", "a\uffa0b", "\u115f", "a\u034fb", "a\ue000", "a\u0378b",
		"\xff\xfe", "al\xc3", strings.Repeat("a", 513), strings.Repeat("a", 10_000), strings.Repeat("\ufdfa", 150),
	} {
		if got, ok := identity.Normalize(s); ok || got != "" {
			t.Errorf("Normalize(%.20q) = %.20q, %v", s, got, ok)
		}
	}
	if _, ok := identity.Normalize(strings.Repeat("a", 512)); !ok {
		t.Error("512 bytes are refused")
	}
}

// No rune may vanish in the middle of a name, and every form is its own form.
func TestEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		form, ok := identity.Normalize("a" + string(r) + "b")
		if !ok {
			continue
		}
		if form == "ab" {
			t.Errorf("%U vanishes", r)
		}
		if again, ok := identity.Normalize(form); !ok || again != form {
			t.Errorf("%U: %+q becomes %+q", r, form, again)
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			t.Errorf("%U is taken", r)
		}
	}
}
