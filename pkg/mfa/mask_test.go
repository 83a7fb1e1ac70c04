package mfa_test

import (
	"testing"

	"github.com/sallyport/sallyport/pkg/mfa"
)

// TestMaskEmail: who has a session learns that there is a mailbox, and little more.
func TestMaskEmail(t *testing.T) {
	for address, want := range map[string]string{
		"mira@example.com":       "****@exam*******",
		"a@example.com":          "****@exam*******",
		`"odd@local"@example.de`: "****@exam******",
		"mira@a.de":              "****@a.de",
		"mira@b.c":               "****@b.c",
		"mira@bücher.example":    "****@büch**********",
		"mira":                   "****",
		"":                       "****",
	} {
		if got := mfa.MaskEmail(address); got != want {
			t.Errorf("%q is shown as %q, want %q", address, got, want)
		}
	}
}
