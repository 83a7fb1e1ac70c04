package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxIdentifier is the greatest length of an identifier in bytes; the longest e-mail
// address has 320 (RFC 5321, 4.5.3.1).
const maxIdentifier = 512

// Normalize returns the one form of a user name or e-mail address under which it is
// stored, looked up, counted and matched with policy (B-30, R-5): NFKC and full case
// folding (Unicode, D146), without white space around it. So "Alice", "alice ",
// "ALICE" in full-width letters and either spelling of an accent are the same;
// letters of other scripts that look alike, a trailing dot and space inside are not.
//
// It returns false for what names nobody: nothing, more than 512 bytes, text that is
// not UTF-8, and text with characters that cannot be seen (controls, zero-width and
// other ignorable ones, line separators, private and unassigned code points).
func Normalize(identifier string) (string, bool) {
	if len(identifier) > maxIdentifier || !utf8.ValidString(identifier) {
		return "", false
	}
	form := strings.TrimSpace(fold(strings.TrimSpace(identifier)))
	if form == "" || len(form) > maxIdentifier || strings.ContainsFunc(form, unseen) {
		return "", false
	}
	return form, true
}

// fold gives texts that differ only in case or compatibility the same form.
func fold(s string) string {
	folded := norm.NFKC.String(cases.Fold().String(norm.NFD.String(s)))
	// NFKC brings forth new capitals, of which folding makes new decomposable letters.
	return norm.NFKC.String(cases.Fold().String(folded))
}

func unseen(r rune) bool {
	return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
