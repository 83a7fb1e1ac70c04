package otp_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
)

// TestKeyURI: whatever issuer and account are called, an authenticator app reads what
// was meant (T-10).
func TestKeyURI(t *testing.T) {
	names := []string{
		"Example", "mira@example.com", "a:b", "::", "a/b", "/../", "a?b=c", "a&secret=AAAA", "a=b", "100%", "%3A", "%zz", "a+b",
		"a b", " ", "#1", "Mira's 📱", "דוד", "\u202eabc", "日本語", "\"<>\\^`{|}", "\x00\n", strings.Repeat("x", 200),
		strings.Repeat("é:", 100), "",
	}
	for _, issuer := range names {
		for _, account := range names {
			f := otp.New(otp.Options{Issuer: func() string { return issuer }, Random: mfatest.Random(t.Name())})
			made, err := f.Enroll(t.Context(), mfa.Enrolling{Account: mfa.Account{Name: account}})
			if err != nil {
				t.Fatal(err)
			}
			uri, _ := made.Reply["barcode_uri"].(string)
			strictly(t, uri, issuer, account, made.Authenticators[0].Secret.Reveal())
		}
	}
}

// strictly reads a key URI as its definition has it and nothing more tolerantly.
func strictly(t *testing.T, uri, issuer, account, seed string) {
	t.Helper()
	for _, r := range uri {
		if r <= ' ' || r > '~' || r == '+' {
			t.Errorf("%q holds %q, which apps read differently", uri, r)
		}
	}
	rest, found := strings.CutPrefix(uri, "otpauth://totp/")
	label, query, asked := strings.Cut(rest, "?")
	before, after, colon := strings.Cut(label, ":")
	if !found || !asked || !colon || strings.ContainsAny(after, ":/") || strings.ContainsAny(before, "/") {
		t.Fatalf("%q has not the form otpauth://totp/issuer:account?...", uri)
	}
	for _, part := range [][2]string{{before, issuer}, {after, account}} {
		// PathUnescape leaves a plus sign alone, as apps do.
		if got, err := url.PathUnescape(part[0]); err != nil || got != part[1] {
			t.Errorf("%q: the label says %q, %v, want %q", uri, got, err, part[1])
		}
	}
	want := [][2]string{
		{"secret", seed}, {"issuer", issuer}, {"algorithm", "SHA1"}, {"digits", "6"}, {"period", "30"},
	}
	pairs := strings.Split(query, "&")
	if len(pairs) != len(want) {
		t.Fatalf("%q has %d parameters, want %d", uri, len(pairs), len(want))
	}
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if got, err := url.PathUnescape(value); err != nil || name != want[i][0] || got != want[i][1] {
			t.Errorf("%q: %s is %q, %v, want %s to be %q", uri, name, got, err, want[i][0], want[i][1])
		}
	}
	// And a parser of plain URIs agrees.
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Fragment != "" || u.Query().Get("issuer") != issuer {
		t.Errorf("%q: %+v, %v", uri, u, err)
	}
}

// FuzzKeyURI: the same of any two names.
func FuzzKeyURI(f *testing.F) {
	for _, seed := range [][2]string{{"Example", "mira@example.com"}, {"a:b", "::"}, {"%zz", "a+b"}, {"\u202eabc", "\x00\n"}, {"", ""}, {"\xff", "/../"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, issuer, account string) {
		o := otp.New(otp.Options{Issuer: func() string { return issuer }, Random: mfatest.Random("FuzzKeyURI")})
		made, err := o.Enroll(t.Context(), mfa.Enrolling{Account: mfa.Account{Name: account}})
		if err != nil {
			t.Fatal(err)
		}
		uri, _ := made.Reply["barcode_uri"].(string)
		strictly(t, uri, issuer, account, made.Authenticators[0].Secret.Reveal())
	})
}
