package email_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/secret"
)

// nowhere is a server that nobody asks.
var nowhere = email.Server{Host: "127.0.0.1", Port: 1, TLS: "none"}

// The parameter email is optional, one mailbox, and with an mfa_token the user's own verified
// address (Auth0 MFA API, 4.4).
func TestAddress(t *testing.T) {
	verified := mfa.Account{Email: "Alice@Example.test", Verified: true}
	for _, tc := range []struct {
		name    string
		account mfa.Account
		sent    string // empty: nothing
		own     bool   // an mfa_token asks
		want    string
		fails   error
	}{
		{name: "the account's own", account: verified, want: "Alice@example.test"},
		{name: "the account's own, with an mfa_token", account: verified, own: true, want: "Alice@example.test"},
		{name: "the same, sent along", account: verified, sent: "Alice@Example.test", own: true, want: "Alice@example.test"},
		{name: "the same in other letters goes to the known ones", account: verified, sent: "ALICE@EXAMPLE.TEST", own: true, want: "Alice@example.test"},
		{name: "another one, after a second factor", account: verified, sent: "A.B+c@Other.example", want: "A.B+c@other.example"},
		{name: "another one, with an mfa_token", account: verified, sent: "mallory@example.test", own: true, fails: fault.ForeignAddress},
		{name: "another domain, with an mfa_token", account: verified, sent: "Alice@example.tes", own: true, fails: fault.ForeignAddress},
		{name: "not verified", account: mfa.Account{Email: "alice@example.test"}, own: true, fails: fault.ForeignAddress},
		{name: "not verified, after a second factor", account: mfa.Account{Email: "alice@example.test"}, want: "alice@example.test"},
		{name: "none", account: mfa.Account{}, fails: fault.MissingParameter},
		{name: "none, with an mfa_token", account: mfa.Account{}, own: true, fails: fault.MissingParameter},
		{name: "none of one's own", account: mfa.Account{}, sent: "alice@example.test", own: true, fails: fault.ForeignAddress},
		{name: "an old one that no mail goes to", account: mfa.Account{Email: "alice", Verified: true}, own: true, fails: fault.BadEmailAddress},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := mfa.Enrolling{Account: tc.account, OwnAddress: tc.own, Params: map[string]string{}}
			if tc.sent != "" {
				r.Params["email"] = tc.sent
			}
			got, err := carrier(t, nowhere).Address(r)
			if tc.fails != nil {
				var d *fault.Details
				if !errors.Is(err, tc.fails) || errors.Is(tc.fails, fault.MissingParameter) && (!errors.As(err, &d) || d.Param != "email") {
					t.Fatalf("%+v, %v, want %v", got, err, tc.fails)
				}
				return
			}
			if err != nil || got.To.Reveal() != tc.want || got.Name != mfa.MaskEmail(tc.want) {
				t.Errorf("%q %q, %v, want %q", got.To.Reveal(), got.Name, err, tc.want)
			}
		})
	}
}

// addresses are texts, and what mail is sent to; empty: they are refused.
var addresses = map[string]string{
	"alice@example.test":                     "alice@example.test",
	"o'neil+mfa@EXAMPLE.Test":                "o'neil+mfa@example.test",
	"a.b-c_d@sub.xn--bcher-kva.example":      "a.b-c_d@sub.xn--bcher-kva.example",
	strings.Repeat("a", 64) + "@b.test":      strings.Repeat("a", 64) + "@b.test",
	strings.Repeat("a", 65) + "@b.test":      "",
	"a@" + strings.Repeat("b.", 125) + "c":   "a@" + strings.Repeat("b.", 125) + "c", // 253
	"a@" + strings.Repeat("b.", 126) + "c":   "",                                     // 255
	"a@" + strings.Repeat("b", 64) + ".test": "",

	"alice":                                       "", // no mailbox
	"alice@":                                      "",
	"@example.test":                               "",
	"alice@example":                               "", // no name that the world knows
	"alice@[192.0.2.1]":                           "",
	"alice@192.0.2.1":                             "",
	"alice@example.test.":                         "",
	"alice@exa_mple.test":                         "",
	"alice@-example.test":                         "",
	"alice@example..test":                         "",
	".alice@example.test":                         "",
	"alice@bob@example.test":                      "",
	"Alice <alice@example.test>":                  "", // more than one mailbox
	"<alice@example.test>":                        "",
	"alice@example.test, bob@example.test":        "",
	"alice@example.test,bob@example.test":         "",
	"alice@example.test (comment)":                "",
	"friends:alice@example.test;":                 "",
	`"alice bob"@example.test`:                    "",
	`"alice"@example.test`:                        "",
	" alice@example.test":                         "",
	"alice@example.test\r\nBcc: bob@example.test": "", // another line
	"alice\r\n@example.test":                      "",
	"alice@example.test\n":                        "",
	"alice@example.test\x00":                      "",
	"alice@example.test>\r\nRCPT TO:<b@c.test":    "",
	"alice@bücher.example":                        "", // the DNS has it as xn--bcher-kva
	"älice@example.test":                          "",
	"alice@example\u3002test":                     "",
	"alice@example.test\u2028":                    "",
	"ａlice@example.test":                          "",
}

func TestAddresses(t *testing.T) {
	for text, want := range addresses {
		got, err := carrier(t, nowhere).Address(mfa.Enrolling{Params: map[string]string{"email": text}})
		if want == "" && !errors.Is(err, fault.BadEmailAddress) || want != "" && (err != nil || got.To.Reveal() != want) {
			t.Errorf("%q: %q, %v, want %q", text, got.To.Reveal(), err, want)
		}
	}
}

// FuzzAddress: whatever is taken is one line of ASCII with one mailbox, the same when it is
// read again, whose local part its mask does not show; and it has budgets.
func FuzzAddress(f *testing.F) {
	for text := range addresses {
		f.Add(text)
	}
	c := carrier(f, nowhere)
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" {
			return
		}
		got, err := c.Address(mfa.Enrolling{Params: map[string]string{"email": text}})
		if err != nil {
			if !errors.Is(err, fault.BadEmailAddress) {
				t.Fatalf("%q fails with %v", text, err)
			}
			return
		}
		to := got.To.Reveal()
		if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r > '~' || r == '<' || r == '>' }) || strings.Count(to, "@") != 1 || len(to) > 254 {
			t.Fatalf("%q is %q", text, to)
		}
		if !strings.EqualFold(to, text) || !strings.HasPrefix(got.Name, "****@") {
			t.Fatalf("%q is %q, shown as %q", text, to, got.Name)
		}
		again, err := c.Address(mfa.Enrolling{Params: map[string]string{"email": to}})
		if err != nil || again.To.Reveal() != to || again.Name != got.Name {
			t.Fatalf("%q is %q, and that %q, %v", text, to, again.To.Reveal(), err)
		}
		if budgets, err := c.Budgets(mfa.Authenticator{Subject: "auth0|alice", Address: got.To}); err != nil || len(budgets) != 3 {
			t.Fatalf("%q has %d budgets, %v", to, len(budgets), err)
		}
	})
}

// Budgets count per user, per mailbox and for all (C-16). Spellings of one mailbox are one,
// and no name of a bucket tells whose it is.
func TestBudgets(t *testing.T) {
	c := carrier(t, nowhere)
	names := func(subject, to string) []string {
		all, err := c.Budgets(mfa.Authenticator{Subject: subject, Address: secret.New(to)})
		if err != nil || len(all) != 3 {
			t.Fatalf("%d budgets, %v", len(all), err)
		}
		var out []string
		for _, b := range all {
			if strings.Contains(b.Name, "alice") || b.Unanswered {
				t.Errorf("%+v", b)
			}
			out = append(out, b.Name)
		}
		return out
	}
	alice, bob := names("auth0|alice", "alice@example.test"), names("auth0|bob", "ALICE+7@example.test")
	if alice[0] == bob[0] || alice[1] != bob[1] || alice[2] != bob[2] {
		t.Errorf("one mailbox of two users: %q and %q", alice, bob)
	}
	if other := names("auth0|alice", "alice@example.com"); other[0] != alice[0] || other[1] == alice[1] {
		t.Errorf("two mailboxes of one user: %q and %q", alice, other)
	}
	if _, err := c.Budgets(mfa.Authenticator{Subject: "auth0|alice", Address: secret.New("alice")}); !errors.Is(err, fault.BadEmailAddress) {
		t.Errorf("no mailbox: %v", err)
	}
	free, err := email.New(config(nowhere), email.Rules{PerUser: 5}, nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := free.Budgets(mfa.Authenticator{Subject: "auth0|alice", Address: secret.New("alice@example.test")}); err != nil || len(all) != 1 || all[0].Size != 5 || all[0].Name != alice[0] {
		t.Errorf("without bounds but the user's: %+v, %v", all, err)
	}
}
