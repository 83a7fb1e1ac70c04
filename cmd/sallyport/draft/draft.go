// Package draft makes a client or a user of what the command line says about it, by the
// rules of tenant files.
package draft

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A Draft is a client or a user from the command line. It is read like one of a tenant
// file, so that there is one set of rules. Values travel as variables: they need no
// quoting, and no secret is written to the file.
type Draft struct {
	section string // clients or users
	members []string
	values  map[string]string
}

// New begins a draft of a section of tenant files: clients or users.
func New(section string) *Draft { return &Draft{section: section, values: map[string]string{}} }

// variable keeps a value and returns the place that it fills.
func (d *Draft) variable(value string) string {
	name := "V" + strconv.Itoa(len(d.values))
	d.values[name] = value
	return `"${` + name + `}"`
}

// Text sets a member, unless it is empty: the default holds then.
func (d *Draft) Text(key, value string) {
	if value != "" {
		d.members = append(d.members, key+": "+d.variable(value))
	}
}

// Flag sets a member that is on or off.
func (d *Draft) Flag(key string, on bool) { d.Text(key, strconv.FormatBool(on)) }

// Secret sets a member that must not be seen.
func (d *Draft) Secret(key string, value secret.Text) { d.Text(key, value.Reveal()) }

// List sets a member that is a list, unless it is empty.
func (d *Draft) List(key string, values []string) {
	var places []string
	for _, v := range values {
		places = append(places, d.variable(v))
	}
	if len(places) > 0 {
		d.members = append(d.members, key+": ["+strings.Join(places, ", ")+"]")
	}
}

// Audiences sets the APIs a client may have, each with all of its scopes.
func (d *Draft) Audiences(names []string) error {
	var members []string
	for _, name := range names {
		quoted, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("quote an audience: %w", err)
		}
		members = append(members, string(quoted)+": []")
	}
	if len(members) > 0 {
		d.members = append(d.members, "audiences: {"+strings.Join(members, ", ")+"}")
	}
	return nil
}

// Read checks the draft by the rules of tenant files and of the gateway's profile. What is
// wrong with a flag is a [*Misuse].
func (d *Draft) Read(c *config.Config) (t *config.Tenant, err error) {
	f, err := os.CreateTemp("", "sallyport-*.yaml")
	if err != nil {
		return nil, fmt.Errorf("check the flags: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = fmt.Fprintf(f, "name: draft\n%s:\n  - {%s}\n", d.section, strings.Join(d.members, ", "))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("check the flags: %w", err)
	}
	getenv := func(name string) (string, bool) { v, ok := d.values[name]; return v, ok }
	if t, err = config.LoadTenant(f.Name(), getenv); err == nil {
		err = t.Against(c)
	}
	return t, flagged(err)
}

// Misuse says what is wrong with the flags, a line each.
type Misuse struct{ text string }

// Error implements error.
func (m *Misuse) Error() string { return m.text }

// flagged says what a tenant file's problems mean for flags.
func flagged(err error) error {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return err
	}
	var lines []string
	for _, p := range problems {
		_, member, _ := strings.Cut(p.Path, ".")
		member, _, _ = strings.Cut(member, "[")
		lines = append(lines, flag(member)+" "+spoken(p.Text))
	}
	slices.Sort(lines)
	return &Misuse{strings.Join(slices.Compact(lines), "\n")}
}

// flag is the flag of a member.
func flag(member string) string { return "--" + strings.ReplaceAll(member, "_", "-") }

// setting is a member with its value, as a tenant file would have them.
var setting = regexp.MustCompile(`\b(id|name|type|grants|first_party|trusted_forwarder|mfa|origins|redirect_uris|audiences|jwks_file|username|email|email_verified): (\[[^\]]*\]|[^\s;,]+)`)

// spoken is advice about a tenant file as advice about flags: "say type: public" becomes
// "say --type public".
func spoken(text string) string {
	return setting.ReplaceAllStringFunc(text, func(yaml string) string {
		m := setting.FindStringSubmatch(yaml)
		if m[2] == "true" {
			return flag(m[1])
		}
		return flag(m[1]) + " " + strings.ReplaceAll(strings.Trim(m[2], "[]"), ", ", ",")
	})
}
