package config_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/config"
)

var profiles = []config.Profile{config.Auth0Compat, config.Recommended, config.NIST, config.Strict}

// A cell is what one profile says of one row of the fixtures' table: something that
// contradicts it and is refused, or the reason why nothing can or nothing has to be.
type cell struct {
	text   string // of the configuration
	client string // members of a client
	want   string // a part of the refusal; empty: it is taken
	why    string // nothing is refused
}

// refused is a setting that contradicts the profile.
func refused(text, want string) cell { return cell{text: text, want: want} }

// client is a client that does.
func client(members, want string) cell { return cell{client: members, want: want} }

// free is another value than the default, which is a choice within what the profile is for.
func free(text, why string) cell { return cell{text: text, why: why} }

// fixed has no setting, so that nothing can contradict it.
func fixed(why string) cell { return cell{why: why} }

func all(c cell) [4]cell { return [4]cell{c, c, c, c} }

// cells are every row of the fixtures' table and what contradicts it, by profile. A row
// that is more than one setting stands here more than once. values are the defaults, as
// config print shows them.
var cells = []struct {
	id     string
	key    string
	values [4]string
	cells  [4]cell
}{
	{"C-01", "", [4]string{}, [4]cell{
		client("grants: [password, mfa]", "first_party: is needed for the password grants"),
		client("grants: [password, mfa]", "first_party: is needed for the password grants"),
		client("grants: [password, mfa]", "first_party: is needed for the password grants"),
		client("first_party: true, grants: [password, mfa]", "grants: profile strict refuses the password grants (RFC 9700, 2.4)"),
	}},
	{"C-02", "status", [4]string{"auth0", "auth0", "auth0", "rfc6749"}, [4]cell{
		refused("errors: {status: rfc6749}", "errors.status: profile auth0-compat takes just auth0"),
		free("errors: {status: rfc6749}", "libraries decide by the code"), free("errors: {status: rfc6749}", "libraries decide by the code"),
		refused("errors: {status: auth0}", "errors.status: profile strict takes just rfc6749"),
	}},
	{"C-03", "rejected", [4]string{"invalid_grant", "invalid_grant", "invalid_grant", "access_denied"}, [4]cell{
		refused("errors: {rejected: access_denied}", "errors.rejected: profile auth0-compat takes just invalid_grant"),
		free("errors: {rejected: access_denied}", "Auth0 was seen to send either"), free("errors: {rejected: access_denied}", "Auth0 was seen to send either"),
		refused("errors: {rejected: invalid_grant}", "errors.rejected: profile strict takes just access_denied"),
	}},
	{"C-04", "amr", [4]string{"off", "on", "on", "on"}, [4]cell{
		free("tokens: {amr: on}", "further claims break no application"),
		refused("tokens: {amr: off}", "tokens.amr: profile recommended takes just on"),
		refused("tokens: {amr: off}", "tokens.amr: profile nist takes just on"),
		refused("tokens: {amr: off}", "tokens.amr: profile strict takes just on"),
	}},
	{"C-05", "disable_after", [4]string{"100", "100", "100", "20"}, [4]cell{
		refused("throttle: {disable_after: 101}", "throttle.disable_after: must be between 1 and 100 (SP 800-63B, 3.2.2)"),
		refused("throttle: {disable_after: 101}", "throttle.disable_after: must be between 1 and 100 (SP 800-63B, 3.2.2)"),
		refused("throttle: {disable_after: 101}", "throttle.disable_after: must be between 1 and 100 (SP 800-63B, 3.2.2)"),
		refused("throttle: {disable_after: 21}", "throttle.disable_after: profile strict takes at most 20"),
	}},
	{"C-05", "daily_attempts", [4]string{"240", "25", "25", "10"}, [4]cell{
		refused("throttle: {daily_attempts: 241}", "throttle.daily_attempts: must be between 1 and 240"),
		refused("throttle: {daily_attempts: 26}", "throttle.daily_attempts: profile recommended takes at most 25"),
		refused("throttle: {daily_attempts: 26}", "throttle.daily_attempts: profile nist takes at most 25"),
		refused("throttle: {daily_attempts: 11}", "throttle.daily_attempts: profile strict takes at most 10"),
	}},
	{"C-06", "binding", [4]string{"plain", "plain", "code_to_page", "code_to_page"}, [4]cell{
		free("push: {binding: code_to_page}", "more is asked for"), free("push: {binding: code_to_page}", "more is asked for"),
		refused("push: {binding: plain}", "push.binding: profile nist takes just code_to_page"),
		refused("push: {binding: plain}", "push.binding: profile strict takes just code_to_page"),
	}},
	{"C-06", "", [4]string{}, [4]cell{
		fixed("a client chooses for itself"), fixed("a client chooses for itself"),
		client("mfa: required, grants: [mfa], push_binding: plain", "push_binding: profile nist takes a code"),
		client("mfa: required, grants: [mfa], push_binding: plain", "push_binding: profile strict takes a code"),
	}},
	{"C-07", "", [4]string{}, all(fixed("a code that a person carries over has six digits"))},
	{"C-08", "skew", [4]string{"1", "1", "1", "0"}, [4]cell{
		refused("otp: {skew: 2}", "otp.skew: must be 0"), refused("otp: {skew: 2}", "otp.skew: must be 0"),
		refused("otp: {skew: 2}", "otp.skew: must be 0"), refused("otp: {skew: 1}", "otp.skew: profile strict takes just 0"),
	}},
	{"C-09", "codes", [4]string{"on", "on", "off", "off"}, [4]cell{
		free("messages: {email: {codes: off}}", "less is sent"), free("messages: {email: {codes: off}}", "less is sent"),
		refused("messages: {email: {codes: on}}", "messages.email.codes: profile nist takes just off"),
		refused("messages: {email: {codes: on}}", "messages.email.codes: profile strict takes just off"),
	}},
	{"C-09", "", [4]string{}, all(free("delivery: {email: {driver: smtp, host: localhost, port: 25, tls: none, from: a@b.test}}", "notices go by mail in each"))},
	{"C-10", "first", [4]string{"password", "password", "password", "verified_address"}, [4]cell{
		free("enrollment: {first: verified_address}", "more is asked for"), free("enrollment: {first: verified_address}", "more is asked for"),
		free("enrollment: {first: verified_address}", "more is asked for"),
		refused("enrollment: {first: password}", "enrollment.first: profile strict takes just verified_address"),
	}},
	{"C-10", "password_proof", [4]string{"10m", "10m", "10m", "10m"}, [4]cell{
		refused("lifetimes: {password_proof: 61m}", "lifetimes.password_proof: must be between 1s and 1h"),
		refused("lifetimes: {password_proof: 11m}", "lifetimes.password_proof: profile recommended takes at most 10m"),
		refused("lifetimes: {password_proof: 11m}", "lifetimes.password_proof: profile nist takes at most 10m"),
		refused("lifetimes: {password_proof: 11m}", "lifetimes.password_proof: profile strict takes at most 10m"),
	}},
	{"C-11", "access_token", [4]string{"24h", "15m", "15m", "5m"}, [4]cell{
		refused("lifetimes: {access_token: 25h}", "lifetimes.access_token: must be between 1s and 24h"),
		free("lifetimes: {access_token: 24h}", "not every application can renew its tokens"),
		refused("lifetimes: {access_token: 61m}", "lifetimes.access_token: profile nist takes at most 1h"),
		refused("lifetimes: {access_token: 6m}", "lifetimes.access_token: profile strict takes at most 5m"),
	}},
	{"C-11", "mfa_token", [4]string{"10m", "10m", "10m", "5m"}, [4]cell{
		refused("lifetimes: {mfa_token: 11m}", "lifetimes.mfa_token: must be between 1s and 10m"),
		refused("lifetimes: {mfa_token: 11m}", "lifetimes.mfa_token: must be between 1s and 10m"),
		refused("lifetimes: {mfa_token: 11m}", "lifetimes.mfa_token: must be between 1s and 10m"),
		refused("lifetimes: {mfa_token: 6m}", "lifetimes.mfa_token: profile strict takes at most 5m"),
	}},
	{"C-11", "oob_code", [4]string{"5m", "5m", "5m", "2m"}, [4]cell{
		refused("lifetimes: {oob_code: 11m}", "lifetimes.oob_code: must be between 1s and 10m"),
		refused("lifetimes: {oob_code: 11m}", "lifetimes.oob_code: must be between 1s and 10m"),
		refused("lifetimes: {oob_code: 11m}", "lifetimes.oob_code: must be between 1s and 10m"),
		refused("lifetimes: {oob_code: 3m}", "lifetimes.oob_code: profile strict takes at most 2m"),
	}},
	{"C-12", "dialect", [4]string{"auth0", "rfc9068", "rfc9068", "rfc9068"}, [4]cell{
		free("tokens: {dialect: rfc9068}", "Auth0 has the same switch"),
		free("tokens: {dialect: auth0}", "APIs made for Auth0 read no other"), free("tokens: {dialect: auth0}", "APIs made for Auth0 read no other"),
		refused("tokens: {dialect: auth0}", "tokens.dialect: profile strict takes just rfc9068"),
	}},
	{"C-13", "json", [4]string{"on", "on", "on", "off"}, [4]cell{
		refused("requests: {json: off}", "requests.json: profile auth0-compat takes just on"),
		free("requests: {json: off}", "less is read"), free("requests: {json: off}", "less is read"),
		refused("requests: {json: on}", "requests.json: profile strict takes just off"),
	}},
	{"C-14", "", [4]string{}, all(fixed("Retry-After goes with every 429 and 503; interval and expires_in come with what is polled"))},
	{"C-15", "codes", [4]string{"1", "1", "1", "10"}, [4]cell{
		refused("recovery: {codes: 10}", "recovery.codes: profile auth0-compat takes just 1"),
		free("recovery: {codes: 10}", "several are as safe, if people keep them"),
		refused("recovery: {codes: 10}", "recovery.codes: profile nist takes just 1"),
		refused("recovery: {codes: 1}", "recovery.codes: profile strict takes just 10"),
	}},
	{"C-16", "per_number", [4]string{"0", "10", "10", "10"}, [4]cell{
		free("messages: {phone: {per_number: 7}}", "less is sent"),
		refused("messages: {phone: {per_number: 0}}", "messages.phone.per_number: profile recommended takes at least 1"),
		refused("messages: {phone: {per_number: 0}}", "messages.phone.per_number: profile nist takes at least 1"),
		refused("messages: {phone: {per_number: 0}}", "messages.phone.per_number: profile strict takes at least 1"),
	}},
	{"C-16", "per_range", [4]string{"0", "50", "50", "50"}, [4]cell{
		free("messages: {phone: {per_range: 7}}", "less is sent"),
		refused("messages: {phone: {per_range: 0}}", "messages.phone.per_range: profile recommended takes at least 1"),
		refused("messages: {phone: {per_range: 0}}", "messages.phone.per_range: profile nist takes at least 1"),
		refused("messages: {phone: {per_range: 0}}", "messages.phone.per_range: profile strict takes at least 1"),
	}},
	{"C-16", "per_country", [4]string{"0", "500", "500", "500"}, [4]cell{
		free("messages: {phone: {per_country: 7}}", "less is sent"),
		refused("messages: {phone: {per_country: 0}}", "messages.phone.per_country: profile recommended takes at least 1"),
		refused("messages: {phone: {per_country: 0}}", "messages.phone.per_country: profile nist takes at least 1"),
		refused("messages: {phone: {per_country: 0}}", "messages.phone.per_country: profile strict takes at least 1"),
	}},
	{"C-16", "per_gateway", [4]string{"0", "1000", "1000", "1000"}, [4]cell{
		free("messages: {phone: {per_gateway: 7}}", "less is sent"),
		refused("messages: {phone: {per_gateway: 0}}", "messages.phone.per_gateway: profile recommended takes at least 1"),
		refused("messages: {phone: {per_gateway: 0}}", "messages.phone.per_gateway: profile nist takes at least 1"),
		refused("messages: {phone: {per_gateway: 0}}", "messages.phone.per_gateway: profile strict takes at least 1"),
	}},
	{"C-16", "spend", [4]string{"0", "100", "100", "100"}, [4]cell{
		free("messages: {phone: {spend: 7}}", "less is sent"),
		refused("messages: {phone: {spend: 0}}", "messages.phone.spend: profile recommended takes at least 1"),
		refused("messages: {phone: {spend: 0}}", "messages.phone.spend: profile nist takes at least 1"),
		refused("messages: {phone: {spend: 0}}", "messages.phone.spend: profile strict takes at least 1"),
	}},
	{"C-16", "per_user", [4]string{"10", "10", "10", "10"}, all(refused("messages: {phone: {per_user: 0}}", "messages.phone.per_user: must be between 1 and 1000"))},
	{"C-16", "per_user", [4]string{"20", "20", "20", "20"}, all(refused("messages: {email: {per_user: 0}}", "messages.email.per_user: must be between 1 and 100"))},
	{"C-16", "per_mailbox", [4]string{"0", "20", "20", "20"}, [4]cell{
		free("messages: {email: {per_mailbox: 7}}", "less is sent"),
		refused("messages: {email: {per_mailbox: 0}}", "messages.email.per_mailbox: profile recommended takes at least 1"),
		refused("messages: {email: {per_mailbox: 0}}", "messages.email.per_mailbox: profile nist takes at least 1"),
		refused("messages: {email: {per_mailbox: 0}}", "messages.email.per_mailbox: profile strict takes at least 1"),
	}},
	{"C-16", "per_gateway", [4]string{"0", "3000", "3000", "3000"}, [4]cell{
		free("messages: {email: {per_gateway: 7}}", "less is sent"),
		refused("messages: {email: {per_gateway: 0}}", "messages.email.per_gateway: profile recommended takes at least 1"),
		refused("messages: {email: {per_gateway: 0}}", "messages.email.per_gateway: profile nist takes at least 1"),
		refused("messages: {email: {per_gateway: 0}}", "messages.email.per_gateway: profile strict takes at least 1"),
	}},
	{"C-17", "", [4]string{}, all(fixed("repeated parameters are refused by the reader of requests"))},
	{"C-18", "", [4]string{}, all(fixed("both names are routes"))},
	{"C-19", "tolerant", [4]string{"on", "on", "on", "off"}, [4]cell{
		refused("requests: {tolerant: off}", "requests.tolerant: profile auth0-compat takes just on"),
		free("requests: {tolerant: off}", "less is read"), free("requests: {tolerant: off}", "less is read"),
		refused("requests: {tolerant: on}", "requests.tolerant: profile strict takes just off"),
	}},
	{"C-20", "", [4]string{}, all(fixed("acr says multi-factor and never AAL2, for no factor here resists phishing"))},
	{"C-21", "", [4]string{}, [4]cell{
		client(`grants: [refresh_token], origins: ["*"]`, "origins[0]: must be scheme://host"),
		client(`grants: [refresh_token], origins: ["*"]`, "origins[0]: must be scheme://host"),
		client(`grants: [refresh_token], origins: ["*"]`, "origins[0]: must be scheme://host"),
		client(`grants: [refresh_token], origins: ["https://app.example.test"]`, "origins: profile strict refuses calls from browsers"),
	}},
	{"C-22", "min_length", [4]string{"8", "15", "15", "15"}, [4]cell{
		refused("passwords: {min_length: 7}", "passwords.min_length: must be between 8 and 64"),
		{text: "passwords: {min_length: 8}", client: "first_party: true, grants: [password, mfa]", want: "mfa: profile recommended takes passwords.min_length 8 only where every login has a second factor"},
		{text: "passwords: {min_length: 8}", client: "first_party: true, grants: [password, mfa]", want: "mfa: profile nist takes passwords.min_length 8 only where every login has a second factor"},
		refused("passwords: {min_length: 14}", "passwords.min_length: profile strict takes at least 15"),
	}},
	{"", "required", [4]string{"on", "on", "on", "on"}, [4]cell{
		free("audit: {required: off}", "no row demands it"), free("audit: {required: off}", "no row demands it"),
		refused("audit: {required: off}", "audit.required: profile nist takes just on"),
		refused("audit: {required: off}", "audit.required: profile strict takes just on"),
	}},
	{"", "access_token_lifetime", [4]string{}, [4]cell{
		fixed("every lifetime that there may be is up to 24h"),
		{client: "apis", why: "not every application can renew its tokens"},
		{client: "apis", want: "access_token_lifetime: profile nist takes at most 1h"},
		{client: "apis", want: "access_token_lifetime: profile strict takes at most 5m"},
	}},
}

// A refusal says which profile it is, or which bound holds in all of them, and why.
func TestProfiles(t *testing.T) {
	for _, row := range cells {
		for i, c := range row.cells {
			p := profiles[i]
			t.Run(fmt.Sprintf("%s/%s/%s", row.id, row.key, p), func(t *testing.T) {
				if (c.want == "") == (c.why == "") {
					t.Fatal("a cell is refused, or says why nothing is")
				}
				err := checked(t, p, c)
				switch {
				case c.want == "" && err != nil:
					t.Errorf("%s is refused, though %s: %v", c.text, c.why, err)
				case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%s%s: %v, want %q", c.text, c.client, err, c.want)
				case strings.Contains(c.want, "takes") && !strings.Contains(err.Error(), "because") && !strings.Contains(err.Error(), "SP 800-63B"):
					t.Errorf("no reason is given: %v", err)
				}
			})
		}
	}
}

// checked is what config check says of a cell.
func checked(t *testing.T, p config.Profile, c cell) error {
	t.Helper()
	tenant := "name: T\n"
	switch c.client {
	case "":
	case "apis":
		tenant += "apis:\n  - {audience: \"https://api.example.test/\", access_token_lifetime: 2h}\n"
	default:
		tenant += "clients:\n  - {id: a, type: public, " + c.client + "}\n"
	}
	dir := folder(t, map[string]string{
		"c.yaml": strings.Replace(minimal, "/var/lib/sallyport/", t.TempDir()+"/", 1) + fmt.Sprintf("profile: %s\ntenant_files: [t.yaml]\n%s\n", p, c.text),
		"t.yaml": tenant,
	})
	_, _, err := config.Check(filepath.Join(dir, "c.yaml"), environment(nil))
	return err
}

func TestDefaultsOfProfiles(t *testing.T) {
	for i, p := range profiles {
		var out strings.Builder
		if err := config.Print(&out, config.Default(p)); err != nil {
			t.Fatal(err)
		}
		for _, row := range cells {
			if line := fmt.Sprintf("  %s: %s\n", row.key, row.values[i]); row.values[i] != "" && !strings.Contains(out.String(), line) {
				t.Errorf("%s, profile %s: %q is not printed in\n%s", row.id, p, line, out.String())
			}
		}
	}
}

// Every row of the fixtures is here, and so is every bound that the reference names: what
// docs/configuration.md says is refused.
func TestEveryRowOfProfiles(t *testing.T) {
	var ids, refusals []string
	for _, row := range cells {
		ids = append(ids, row.id)
		for _, c := range row.cells {
			refusals = append(refusals, c.want)
		}
	}
	for n := 1; n <= 22; n++ {
		if id := fmt.Sprintf("C-%02d", n); !slices.Contains(ids, id) {
			t.Errorf("%s has no cells", id)
		}
	}
	var out strings.Builder
	if err := config.Reference(&out); err != nil {
		t.Fatal(err)
	}
	section, found := "", 0
	bound := regexp.MustCompile("([a-z0-9-]+): (?:`[^`]+`, )?(at most|at least|just) `([^`]+)`")
	for line := range strings.Lines(out.String()) {
		if title, ok := strings.CutPrefix(line, "### `"); ok {
			section = strings.TrimRight(title, "`\n") + "."
		}
		columns := strings.Split(line, " | ")
		if len(columns) < 3 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range bound.FindAllStringSubmatch(columns[2], -1) {
			found++
			want := fmt.Sprintf("%s%s: profile %s takes %s %s", section, strings.Trim(columns[0], "| `"), m[1], m[2], m[3])
			if !slices.Contains(refusals, want) {
				t.Errorf("no cell is refused with %q", want)
			}
		}
	}
	if found < 29 {
		t.Errorf("the reference names %d bounds, which is too few", found)
	}
}

func TestStricterThanStrict(t *testing.T) {
	if err := checked(t, config.Strict, cell{text: "lifetimes: {access_token: 1m, mfa_token: 2m}\nthrottle: {daily_attempts: 5}"}); err != nil {
		t.Errorf("what is stricter than strict is refused: %v", err)
	}
}
