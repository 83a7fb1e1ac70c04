package config

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/record"
)

// Profile is a set of defaults, and of settings that are refused.
type Profile string

// The profiles.
const (
	Auth0Compat Profile = "auth0-compat" // wire-faithful
	Recommended Profile = "recommended"
	NIST        Profile = "nist"   // SP 800-63B, AAL2
	Strict      Profile = "strict" // in the spirit of ASVS level 3
)

// profiles in the order of the table's columns.
var profiles = []Profile{Auth0Compat, Recommended, NIST, Strict}

// A bound says how a profile holds a setting.
type bound string

const (
	atMost  bound = "at most"
	atLeast bound = "at least"
	just    bound = "just"
)

// A hold is what a profile insists on, and why: what is outside of it is refused.
type hold struct {
	bound bound
	limit string // as the file would have it
	why   string
}

// A row is a setting that profiles have a say in. Who has no hold on it has a default
// alone: another value is a choice within what the profile is for.
type row struct {
	path     string
	defaults [4]string // as the file would have them, in the order of profiles
	holds    map[Profile]hold
}

// Reasons that are given more than once.
const (
	halfLogin  = "half a login is worth stealing"
	noticed    = "an API must be able to see how its caller authenticated"
	guessing   = "who knows the password must not guess a code with more than 1 in 10,000 in a day"
	proved     = "whoever has a session need not be the one who opened it, and could enroll first"
	untraced   = "what nobody can trace must not happen"
	tapped     = "a tap alone does not tell whose login it approves (SP 800-63B, 3.1.3)"
	pumped     = "who has messages sent to numbers of their own earns by each, and nobody else's budget would end that"
	flooded    = "whoever knows a password could flood a mailbox, and the reputation of its sender would not survive that"
	mailbox    = "a mailbox must not be a second factor (SP 800-63B, 3.1.3.1), and takes notices alone"
	auth0Reads = "applications made for Auth0 "
)

// bounded is how the budgets of messages are held (C-16).
var bounded = map[Profile]hold{Recommended: {atLeast, "1", pumped}, NIST: {atLeast, "1", pumped}, Strict: {atLeast, "1", pumped}}

// table holds the rows of the profiles that are settings of the file: fixtures, C-01 to
// C-22, and what section 9 of the standards says of the same rows. Those that are about
// clients and APIs are in contradiction.go.
var table = []row{
	{"lifetimes.mfa_token", [4]string{"10m", "10m", "10m", "5m"}, map[Profile]hold{Strict: {atMost, "5m", halfLogin}}},
	{"lifetimes.oob_code", [4]string{"5m", "5m", "5m", "2m"}, map[Profile]hold{Strict: {atMost, "2m", halfLogin}}},
	{"lifetimes.password_proof", [4]string{"10m", "10m", "10m", "10m"}, map[Profile]hold{
		Recommended: {atMost, "10m", proved}, NIST: {atMost, "10m", proved}, Strict: {atMost, "10m", proved},
	}},
	{"lifetimes.access_token", [4]string{"24h", "15m", "15m", "5m"}, map[Profile]hold{
		NIST:   {atMost, "1h", "nobody is seen to be there while a token works, and after an hour of that AAL2 should ask again (SP 800-63B, 2.2.3)"},
		Strict: {atMost, "5m", "a stolen access token works until it expires"},
	}},
	{"enrollment.first", [4]string{FirstPassword, FirstPassword, FirstPassword, FirstVerifiedAddress}, map[Profile]hold{
		Strict: {just, FirstVerifiedAddress, "whoever has the password could enroll first, and nobody would hear of it"},
	}},
	{"tokens.dialect", [4]string{DialectAuth0, DialectRFC9068, DialectRFC9068, DialectRFC9068}, map[Profile]hold{
		Strict: {just, DialectRFC9068, "tokens of the other form cannot be told from ID tokens by their type"},
	}},
	{"tokens.amr", [4]string{"off", "on", "on", "on"}, map[Profile]hold{
		Recommended: {just, "on", noticed}, NIST: {just, "on", noticed}, Strict: {just, "on", noticed},
	}},
	{"throttle.daily_attempts", [4]string{"240", "25", "25", "10"}, map[Profile]hold{
		Recommended: {atMost, "25", guessing}, NIST: {atMost, "25", guessing}, Strict: {atMost, "10", guessing},
	}},
	{"throttle.disable_after", [4]string{"100", "100", "100", "20"}, map[Profile]hold{
		Strict: {atMost, "20", "an authenticator that is guessed at must not be guessed at for long"},
	}},
	{"requests.json", [4]string{"on", "on", "on", "off"}, map[Profile]hold{
		Auth0Compat: {just, "on", auth0Reads + "send JSON"},
		Strict:      {just, "off", "RFC 6749 knows forms alone, and two ways to read one request are one too many"},
	}},
	{"requests.tolerant", [4]string{"on", "on", "on", "off"}, map[Profile]hold{
		Auth0Compat: {just, "on", auth0Reads + "send null for what is absent, and forget headers"},
		Strict:      {just, "off", "what is guessed here may be read otherwise elsewhere"},
	}},
	{"errors.status", [4]string{StatusAuth0, StatusAuth0, StatusAuth0, StatusRFC6749}, map[Profile]hold{
		Auth0Compat: {just, StatusAuth0, auth0Reads + "look for 403"},
		Strict:      {just, StatusRFC6749, "RFC 6749, 5.2 has 400 for what is refused"},
	}},
	{"errors.rejected", [4]string{"invalid_grant", "invalid_grant", "invalid_grant", "access_denied"}, map[Profile]hold{
		Auth0Compat: {just, "invalid_grant", auth0Reads + "look for invalid_grant"},
		Strict:      {just, "access_denied", "RFC 8628, 3.5 has access_denied for what its user denied"},
	}},
	{"push.binding", [4]string{"plain", "plain", string(record.BindingToPage), string(record.BindingToPage)}, map[Profile]hold{
		NIST:   {just, string(record.BindingToPage), tapped},
		Strict: {just, string(record.BindingToPage), tapped},
	}},
	{"otp.skew", [4]string{"1", "1", "1", "0"}, map[Profile]hold{Strict: {just, "0", "a one-time password is good for 30 seconds at most"}}},
	{"recovery.codes", [4]string{"1", "1", "1", "10"}, map[Profile]hold{
		Auth0Compat: {just, "1", auth0Reads + "show their users one code, and the one that replaces it"},
		NIST:        {just, "1", "a code that was used is replaced by a new one (SP 800-63B, 4.2.1.1), which several are not"},
		Strict:      {just, "10", "codes that are used up must be replaced by a person, not by themselves"},
	}},
	{"messages.phone.per_number", [4]string{"0", "10", "10", "10"}, bounded},
	{"messages.phone.per_range", [4]string{"0", "50", "50", "50"}, bounded},
	{"messages.phone.per_country", [4]string{"0", "500", "500", "500"}, bounded},
	{"messages.phone.per_gateway", [4]string{"0", "1000", "1000", "1000"}, bounded},
	{"messages.phone.spend", [4]string{"0", "100", "100", "100"}, bounded},
	{"messages.email.codes", [4]string{"on", "on", "off", "off"}, map[Profile]hold{NIST: {just, "off", mailbox}, Strict: {just, "off", mailbox}}},
	{"messages.email.per_mailbox", [4]string{"0", "20", "20", "20"}, map[Profile]hold{
		Recommended: {atLeast, "1", flooded}, NIST: {atLeast, "1", flooded}, Strict: {atLeast, "1", flooded},
	}},
	{"messages.email.per_gateway", [4]string{"0", "3000", "3000", "3000"}, map[Profile]hold{
		Recommended: {atLeast, "1", flooded}, NIST: {atLeast, "1", flooded}, Strict: {atLeast, "1", flooded},
	}},
	{"passwords.min_length", [4]string{"8", "15", "15", "15"}, map[Profile]hold{Strict: {atLeast, "15", "a password may have to stand alone"}}},
	{"audit.required", [4]string{"on", "on", "on", "on"}, map[Profile]hold{NIST: {just, "on", untraced}, Strict: {just, "on", untraced}}},
}

// value returns the profile's own value of the row.
func (w row) value(p Profile) string { return w.defaults[slices.Index(profiles, p)] }

// refusal says why the profile refuses a value, or nothing.
func (w row) refusal(p Profile, f strict.Field, v reflect.Value) string {
	h, holds := w.holds[p]
	if !holds {
		return ""
	}
	limit := reflect.New(f.Type).Elem()
	strict.Set(limit, h.limit)
	if fits(h.bound, v, limit) {
		return ""
	}
	return fmt.Sprintf("profile %s takes %s %s, because %s; change it, or choose another profile", p, h.bound, h.limit, h.why)
}

func fits(b bound, v, limit reflect.Value) bool {
	switch b {
	case atMost:
		return v.Int() <= limit.Int()
	case atLeast:
		return v.Int() >= limit.Int()
	default:
		return v.Equal(limit)
	}
}

// refuse reports what contradicts the profile.
func (c *Config) refuse() {
	for _, w := range table {
		f, v, _ := strict.Setting(reflect.ValueOf(c).Elem(), w.path)
		if text := w.refusal(c.Profile, f, v); text != "" {
			c.read.Object(w.path, text)
		}
	}
}

// defaults are the settings of a profile by their paths.
func (p Profile) defaults() map[string]string {
	out := map[string]string{}
	for _, w := range table {
		out[w.path] = w.value(p)
	}
	return out
}

// Default returns the settings of a profile where a file says nothing. It is not
// complete: what a file must say is empty.
func Default(p Profile) *Config {
	c := &Config{Profile: p}
	strict.New("", nil).Complete(c, p.defaults())
	return c
}
