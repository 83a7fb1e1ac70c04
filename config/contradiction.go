package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
)

// A Contradiction is what a client or an API has that goes against the configuration,
// wherever it was registered: in a tenant file, by flags, or long ago.
type Contradiction struct {
	Member string // as a tenant file calls it
	Text   string // why, and what to do
	// Unserved says that the gateway goes without it, whatever was registered.
	Unserved bool
}

// ContradictionsOfAPI are those of an API with the profile.
func (c *Config) ContradictionsOfAPI(a record.API) []Contradiction {
	i := slices.IndexFunc(table, func(w row) bool { return w.path == "lifetimes.access_token" })
	h, holds := table[i].holds[c.Profile]
	limit, _ := time.ParseDuration(h.limit) // the table's own
	if !holds || a.AccessTokenLifetime <= limit {
		return nil
	}
	return []Contradiction{{Member: "access_token_lifetime", Text: fmt.Sprintf(
		"profile %s takes at most %s, because %s; shorten it, or choose another profile", c.Profile, h.limit, h.why)}}
}

// ContradictionsOfClient are those of a client with the profile.
func (c *Config) ContradictionsOfClient(k record.Client) []Contradiction {
	var all []Contradiction
	if c.short() && alone(k) {
		all = append(all, Contradiction{Member: "mfa", Text: fmt.Sprintf(
			"profile %s takes passwords.min_length %d only where every login has a second factor (SP 800-63B, 3.1.1.2), and here a password can stand alone; say mfa: required, or in the configuration passwords.min_length: %d",
			c.Profile, c.Passwords.MinLength, identity.MinLengthAlone)})
	}
	if k.Binding == record.BindingPlain && (c.Profile == NIST || c.Profile == Strict) {
		all = append(all, Contradiction{Member: "push_binding", Text: fmt.Sprintf(
			"profile %s takes a code, because %s; say code_to_page or code_to_phone, or choose another profile", c.Profile, tapped)})
	}
	if c.Profile != Strict {
		return all
	}
	if has(k, passwordGrants) {
		all = append(all, Contradiction{Member: "grants", Unserved: true,
			Text: "profile strict refuses the password grants (RFC 9700, 2.4); remove them, or choose another profile"})
	}
	if len(k.Origins) > 0 {
		all = append(all, Contradiction{Member: "origins", Unserved: true,
			Text: "profile strict refuses calls from browsers, where any script of a page can take tokens; remove them, or choose another profile"})
	}
	return all
}

// short reports whether people may choose passwords that must not stand alone (C-22).
func (c *Config) short() bool {
	return c.Profile != Auth0Compat && c.Passwords.MinLength < identity.MinLengthAlone
}

// alone reports whether a user can log in at the client with nothing but a password: who
// has no factor yet is not asked for one where mfa is enrolled.
func alone(k record.Client) bool { return k.MFA != record.MFARequired && has(k, userGrants) }

// has reports whether the client has one of the grants.
func has(k record.Client, grants []string) bool { return slices.ContainsFunc(grants, k.Allows) }

// against checks what depends on the configuration of the gateway: the audiences it
// has itself, and its profile.
func (t *Tenant) against(c *Config, r *strict.File) {
	object := func(at string, found []Contradiction) {
		for _, f := range found {
			r.Object(at+"."+f.Member, f.Text)
		}
	}
	for i, a := range t.APIs {
		at := fmt.Sprintf("apis[%d]", i)
		if c.Owns(a.Audience) {
			r.Object(at+".audience", "is an audience of the gateway itself; choose another one")
		}
		object(at, c.ContradictionsOfAPI(a.API()))
	}
	for i, k := range t.Clients {
		object(fmt.Sprintf("clients[%d]", i), c.ContradictionsOfClient(k.Client()))
	}
}

// Owns reports whether an audience is one of the gateway's own.
func (c *Config) Owns(audience string) bool {
	own := []string{"mfa", "mfa/", "userinfo"}
	return slices.ContainsFunc(own, func(path string) bool { return audience == c.Server.PublicURL+path })
}
