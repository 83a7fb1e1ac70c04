package config

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/sallyport/sallyport/config/strict"
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

// A bound says how a profile holds a setting to its own value.
type bound string

const (
	atMost  bound = "at most"
	atLeast bound = "at least"
	just    bound = "just"
)

// A row is a setting whose default depends on the profile.
type row struct {
	path     string
	defaults [4]string // as the file would have them, in the order of profiles
	bound    bound
	by       []Profile // who refuses what is outside of the bound; the others only have a default
	why      string
}

// table holds the rows of the profiles that are settings of the file. Those that are
// about clients and users are in package config's check of a tenant file.
var table = []row{
	{"lifetimes.mfa_token", [4]string{"10m", "10m", "10m", "5m"}, atMost, []Profile{Strict}, "half a login is worth stealing"},
	{"lifetimes.oob_code", [4]string{"5m", "5m", "5m", "2m"}, atMost, []Profile{Strict}, "half a login is worth stealing"},
	{"lifetimes.access_token", [4]string{"24h", "15m", "15m", "5m"}, atMost, []Profile{Strict}, "a stolen access token works until it expires"},
	{"tokens.dialect", [4]string{DialectAuth0, DialectRFC9068, DialectRFC9068, DialectRFC9068}, just, []Profile{Strict}, "tokens of the other form cannot be told from ID tokens by their type"},
	{"tokens.amr", [4]string{"off", "on", "on", "on"}, just, []Profile{NIST, Strict}, "an API must be able to see how its caller authenticated"},
	{"throttle.daily_attempts", [4]string{"240", "25", "25", "10"}, atMost, []Profile{Recommended, NIST, Strict}, "who knows the password must not guess a code with more than 1 in 10,000 in a day"},
	{"throttle.disable_after", [4]string{"100", "100", "100", "20"}, atMost, []Profile{Strict}, "an authenticator that is guessed at must not be guessed at for long"},
	{"requests.json", [4]string{"on", "on", "on", "off"}, just, []Profile{Strict}, "RFC 6749 knows forms alone, and two ways to read one request are one too many"},
	{"requests.tolerant", [4]string{"on", "on", "on", "off"}, just, []Profile{Strict}, "what is guessed here may be read otherwise elsewhere"},
	{"errors.status", [4]string{StatusAuth0, StatusAuth0, StatusAuth0, StatusRFC6749}, just, []Profile{Strict}, "RFC 6749, 5.2 has 400 for what is refused"},
	{"otp.skew", [4]string{"1", "1", "1", "0"}, just, []Profile{Strict}, "a one-time password is good for 30 seconds at most"},
	{"recovery.codes", [4]string{"1", "1", "1", "10"}, just, []Profile{Strict}, "codes that are used up must be replaced by a person, not by themselves"},
	{"passwords.min_length", [4]string{"8", "15", "15", "15"}, atLeast, []Profile{Strict}, "a password may have to stand alone"},
	{"audit.required", [4]string{"on", "on", "on", "on"}, just, []Profile{NIST, Strict}, "what nobody can trace must not happen"},
}

// value returns the profile's own value of the row.
func (w row) value(p Profile) string { return w.defaults[slices.Index(profiles, p)] }

// refusal says why the profile refuses a value, or nothing.
func (w row) refusal(p Profile, f strict.Field, v reflect.Value) string {
	if !slices.Contains(w.by, p) {
		return ""
	}
	own := reflect.New(f.Type).Elem()
	strict.Set(own, w.value(p))
	if fits(w.bound, v, own) {
		return ""
	}
	return fmt.Sprintf("profile %s takes %s %s, because %s; change it, or choose another profile", p, w.bound, w.value(p), w.why)
}

func fits(b bound, v, own reflect.Value) bool {
	switch b {
	case atMost:
		return v.Int() <= own.Int()
	case atLeast:
		return v.Int() >= own.Int()
	default:
		return v.Equal(own)
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
