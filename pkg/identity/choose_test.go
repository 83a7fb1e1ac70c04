package identity_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

// reason is the machine-readable reason of a refusal, empty for none.
func reason(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var d *fault.Details
	if !errors.As(err, &d) || d.Kind != fault.BadPassword || d.Param == "" {
		t.Fatalf("refused with %v", err)
	}
	return d.Param
}

func TestChoosing(t *testing.T) {
	alone := identity.Policy{}
	second := identity.Policy{MinLength: identity.MinLengthWithFactor}
	careless := identity.Policy{MinLength: 1}
	shield := "\U0001f6e1"
	for _, c := range []struct {
		policy   identity.Policy
		password string
		want     string
	}{
		{alone, "", identity.TooShort},
		{alone, "\ufdfa", identity.TooShort},         // one sign, 18 code points written out
		{alone, "kqzvwpxmtrgbnd", identity.TooShort}, // 14
		{alone, "kqzvwpxmtrgbndf", ""},               // 15
		{second, "kqzvwpx", identity.TooShort},       // 7
		{second, "kqzvwpxm", ""},                     // 8
		{careless, "kqzvwpx", identity.TooShort},
		{careless, "kqzvwpxm", ""},
		{alone, strings.Repeat("e\u0301", 14), identity.TooShort}, // 14 after composition
		{alone, strings.Repeat("e\u0301", 15), ""},
		{alone, strings.Repeat("\u00e9", 14), identity.TooShort}, // 28 bytes
		{alone, strings.Repeat(shield, 14), identity.TooShort},
		{alone, strings.Repeat(shield, 64), ""},
		{alone, strings.Repeat(shield, 128), ""},
		{alone, strings.Repeat(shield, 1024), ""},
		{alone, strings.Repeat(shield, 1025), identity.TooLong},
		{alone, strings.Repeat("x y", 1<<20), identity.TooLong},
		{alone, "kqzvwpxm\x00trgbndf", identity.ForbiddenCharacter},
		{alone, "kqzvwpxm\xfftrgbndf", identity.ForbiddenCharacter},
		{alone, "               ", ""}, // no rules of composition (N-PW-3)
		{alone, "582039471650284", ""},
		{alone, "password1234567", identity.ListedPassword},
		{alone, "PassWord1234567", identity.ListedPassword},
		{alone, "\uff50assword1234567", identity.ListedPassword}, // a full-width p
		{alone, "1234567890123456", identity.ListedPassword},
		{alone, "123456789012345", identity.ListedPassword},
		{alone, "qwertyuiopasdfghjkl", identity.ListedPassword},
		{alone, "passwordpassword", identity.ListedPassword},
		{second, "password", identity.ListedPassword},
		{second, "iloveyou", identity.ListedPassword},
		{second, "!@#$%^&*", identity.ListedPassword},
		{second, "contraseña", identity.ListedPassword},
		{alone, "my password is not password1234567", ""}, // a listed word in a phrase
		{alone, "correct horse battery staple", ""},       // the demonstration's user has it
	} {
		if got := reason(t, c.policy.Check(secret.New(c.password))); got != c.want {
			t.Errorf("%.40q under %d: %q, want %q", c.password, c.policy.MinLength, got, c.want)
		}
	}
}

func TestContextualPasswords(t *testing.T) {
	words := []string{"Sallyport", "Max.Musterfrau", "m.muster@example.com", ""}
	policy := identity.Policy{MinLength: identity.MinLengthWithFactor}
	for password, want := range map[string]string{
		"sallyport":                       identity.ContextualPassword,
		"SALLYPORT":                       identity.ContextualPassword,
		"SallyportSallyport":              identity.ContextualPassword,
		"sallyportsally":                  identity.ContextualPassword, // the second one cut off
		"max.musterfrau":                  identity.ContextualPassword,
		"\uff4dax.musterfrau":             identity.ContextualPassword,
		"m.muster@example.com":            identity.ContextualPassword,
		"m.muster":                        identity.ContextualPassword,
		"m.musterm.musterm.muster":        identity.ContextualPassword,
		"the sallyport is closed at noon": "",
		"musterfrau.max":                  "",
		"sallyport and more":              "",
		"sallypor":                        "", // shorter than the word
	} {
		if got := reason(t, policy.Check(secret.New(password), words...)); got != want {
			t.Errorf("%q: %q, want %q", password, got, want)
		}
	}
}

func TestReadBlocklist(t *testing.T) {
	list, err := identity.ReadBlocklist(strings.NewReader("Zebra Crossing Ahead\r\n#hashtag-password\n"))
	if err != nil {
		t.Fatal(err)
	}
	policy := identity.Policy{Blocklist: list}
	for password, want := range map[string]string{
		"zebra crossing AHEAD":   identity.ListedPassword,
		"#hashtag-password":      identity.ListedPassword,
		"password1234567":        identity.ListedPassword, // those it comes with are still there
		"zebra crossing ahead !": "",
	} {
		if got := reason(t, policy.Check(secret.New(password))); got != want {
			t.Errorf("%q: %q, want %q", password, got, want)
		}
	}
	if _, err := identity.ReadBlocklist(strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
		t.Error("a file that is no list of lines is accepted")
	}
}

// The policy looks lines up as they are, so every one must be folded, and long
// enough to be of use.
func TestEmbeddedBlocklistIsFolded(t *testing.T) {
	list, err := identity.ReadBlocklist(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 500 {
		t.Errorf("only %d passwords", len(list))
	}
	for password := range list {
		if norm.NFKC.String(cases.Fold().String(password)) != password || len([]rune(password)) < 8 {
			t.Errorf("%q is not folded or too short to matter", password)
		}
		// Without a list of its own a policy reads the embedded text itself.
		if got := reason(t, identity.Policy{MinLength: 8}.Check(secret.New(password))); got != identity.ListedPassword {
			t.Errorf("%q: %q", password, got)
		}
	}
}
