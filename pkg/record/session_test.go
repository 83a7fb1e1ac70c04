package record_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// proofs makes one proof of each list of methods.
func proofs(methods ...[]string) []record.Proof {
	var all []record.Proof
	for _, m := range methods {
		all = append(all, record.Proof{Methods: m})
	}
	return all
}

// TestR26Assurance: two factors of different classes are multi-factor, and nothing less is
// (RFC 8176; R26).
func TestR26Assurance(t *testing.T) {
	one := func(m ...string) []string { return m }
	for _, tt := range []struct {
		name   string
		proofs []record.Proof
		amr    []string
		multi  bool
	}{
		{"nothing", nil, nil, false},
		{"a proof without methods", proofs(nil), nil, false},
		{"password", proofs(one("pwd")), one("pwd"), false},
		{"password, app", proofs(one("pwd"), one("otp")), one("pwd", "otp", "mfa"), true},
		{"password, text message", proofs(one("pwd"), one("sms")), one("pwd", "sms", "mfa"), true},
		{"password, call", proofs(one("pwd"), one("tel")), one("pwd", "tel", "mfa"), true},
		{"password, phone's key", proofs(one("pwd"), one("swk", "pop", "user")), one("pwd", "swk", "pop", "user", "mfa"), true},
		{"password, security key", proofs(one("pwd"), one("hwk", "user")), one("pwd", "hwk", "user", "mfa"), true},
		{"password, recovery code", proofs(one("pwd"), one("recovery_code")), one("pwd", "recovery_code", "mfa"), true},
		{"password, e-mail", proofs(one("pwd"), one("email")), one("pwd", "email"), false},
		{"password, e-mail, app", proofs(one("pwd"), one("email"), one("otp")), one("pwd", "email", "otp", "mfa"), true},
		{"password twice", proofs(one("pwd"), one("pwd")), one("pwd"), false},
		{"password, PIN", proofs(one("pwd"), one("pin")), one("pwd", "pin"), false},
		{"password, questions", proofs(one("pwd"), one("kba")), one("pwd", "kba"), false},
		{"app alone", proofs(one("otp")), one("otp"), false},
		{"app, text message", proofs(one("otp"), one("sms")), one("otp", "sms"), false},
		{"app, recovery code", proofs(one("otp"), one("recovery_code")), one("otp", "recovery_code"), false},
		{"e-mail alone", proofs(one("email")), one("email"), false},
		{"e-mail, app", proofs(one("email"), one("otp")), one("email", "otp"), false},
		{"security key with its PIN", proofs(one("hwk", "user", "pin")), one("hwk", "user", "pin", "mfa"), true},
		{"presence alone", proofs(one("pwd"), one("user", "pop")), one("pwd", "user", "pop"), false},
		{"unknown word", proofs(one("pwd"), one("telepathy")), one("pwd", "telepathy"), false},
		{"case matters", proofs(one("pwd"), one("OTP")), one("pwd", "OTP"), false},
		{"step-up", proofs(one("pwd"), one("otp"), one("otp")), one("pwd", "otp", "mfa"), true},
		{"from elsewhere", proofs(one("pwd", "otp", "mfa")), one("pwd", "otp", "mfa"), true},
	} {
		if got := record.AMR(tt.proofs); !slices.Equal(got, tt.amr) {
			t.Errorf("%s: amr %q, want %q", tt.name, got, tt.amr)
		}
		want := ""
		if tt.multi {
			want = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
		}
		if got := record.ACR(tt.proofs); got != want {
			t.Errorf("%s: acr %q, want %q", tt.name, got, want)
		}
	}
}

// TestAMRLeavesProofsAlone: the same proofs give the same claims, in every token.
func TestAMRLeavesProofsAlone(t *testing.T) {
	methods := append(make([]string, 0, 8), "pwd", "otp") // room for an append to spoil
	all := proofs(methods)
	for range 2 {
		if got := record.AMR(all); !slices.Equal(got, []string{"pwd", "otp", "mfa"}) {
			t.Errorf("amr %q", got)
		}
	}
	if spoiled := methods[:3]; spoiled[2] != "" {
		t.Errorf("the proof now has %q behind it", spoiled[2])
	}
}

// TestAuthTime: auth_time is when the subject last proved something, so that a step-up
// counts as fresh (fixtures, settled points).
func TestAuthTime(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(minutes ...int) (all []record.Proof) {
		for _, m := range minutes {
			all = append(all, record.Proof{At: noon.Add(time.Duration(m) * time.Minute)})
		}
		return all
	}
	for _, tt := range []struct {
		proofs []record.Proof
		want   time.Time
	}{
		{nil, time.Time{}}, {at(0), noon}, {at(0, 1), noon.Add(time.Minute)}, {at(5, 2, 3), noon.Add(5 * time.Minute)},
	} {
		if got := record.AuthTime(tt.proofs); !got.Equal(tt.want) {
			t.Errorf("%v: %v, want %v", tt.proofs, got, tt.want)
		}
	}
}

// TestSpent: whoever comes second gets the answer of a proof that does not hold; only a
// proof that was right is a replay, and none counts as a guess but a lost confirmation.
func TestSpent(t *testing.T) {
	for _, tt := range []struct {
		consumption record.Consumption
		want        fault.Kind
	}{
		{record.Redemption{}, fault.MalformedMFAToken},
		{record.StepUse{}, fault.UsedOTP},
		{record.CodeUse{}, fault.UsedRecoveryCode},
		{record.Confirmation{}, fault.MalformedMFAToken},
		{record.NoFactor{}, fault.Unavailable},
	} {
		if got := tt.consumption.Spent(); got != tt.want {
			t.Errorf("%T: %q, want %q", tt.consumption, got, tt.want)
		}
	}
}

// TestForwards: nobody is believed about an address who has not proved who it is.
func TestForwards(t *testing.T) {
	for c, want := range map[*record.Client]bool{
		{Confidential: true, TrustedForwarder: true}: true,
		{Confidential: true}:                         false,
		{TrustedForwarder: true}:                     false,
	} {
		if c.Forwards() != want {
			t.Errorf("%+v", c)
		}
	}
}

// TestAllows: a client has the grants that it was registered with, by their exact names.
func TestAllows(t *testing.T) {
	c := record.Client{Grants: []string{"password", "mfa"}}
	for grant, want := range map[string]bool{"password": true, "mfa": true, "PASSWORD": false, "mfa-otp": false, "": false, "refresh_token": false} {
		if got := c.Allows(grant); got != want {
			t.Errorf("%q: %t", grant, got)
		}
	}
	if (record.Client{}).Allows("password") {
		t.Error("a client without grants may use the password grant")
	}
}
