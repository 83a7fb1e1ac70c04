package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/config/strict"
)

// notServed begins the warning about a setting that is accepted and checked, but does
// nothing yet.
const notServed = "valid, but not served by this version: "

// unserved are those settings.
var unserved = []struct{ path, text string }{
	{"dialects", "these faces are not served yet"},
}

// unservedGrants are the grants of a tenant file that nobody can use yet.
var unservedGrants = map[string]string{
	"authorization_code": "there is no authorization endpoint yet",
}

// warnings are lines about a file that is served nevertheless.
type warnings struct {
	read  *strict.File
	found Problems
}

func (w *warnings) add(path, format string, args ...any) {
	w.found = append(w.found, Problem{File: w.read.Path(), Line: w.read.Line(path), Path: path, Text: fmt.Sprintf(format, args...)})
}

// lines returns the warnings in the order of the file.
func (w *warnings) lines() []string {
	slices.SortStableFunc(w.found, func(a, b Problem) int { return a.Line - b.Line })
	var out []string
	for _, p := range w.found {
		out = append(out, p.String())
	}
	return out
}

// Warnings names what stands in the file but is not served by this version, and what
// may not be what was meant, each as "file.yaml:12: dialects: why", in the order of the
// file.
func (c *Config) Warnings() []string {
	if c.read == nil {
		return nil
	}
	w := &warnings{read: c.read}
	for _, u := range unserved {
		if _, stands := c.read.Stands(u.path); stands && c.has(u.path) {
			w.add(u.path, "%s", notServed+u.text)
		}
	}
	if c.Profile == Strict {
		w.add("profile", "nobody can log in: strict refuses the password grants, and there is no authorization endpoint yet")
	}
	if missing := c.read.Omitted("tls"); len(missing) > 0 && strings.HasPrefix(c.Server.PublicURL, "https:") {
		w.add("tls", "left out, because %s are unset; serving plain http", strings.Join(missing, " and "))
	}
	w.open("secrets.key_file", c.Secrets.KeyFile, 0o077)
	if c.Server.TLS != nil {
		w.open("tls.key_file", c.Server.TLS.KeyFile, 0o007) // a group may share certificates
	}
	if push := c.Delivery.Push; push != nil && push.FCM != nil {
		w.open("delivery.push.fcm.credentials_file", push.FCM.CredentialsFile, 0o077)
	}
	if push := c.Delivery.Push; push != nil && push.APNs != nil {
		w.open("delivery.push.apns.key_file", push.APNs.KeyFile, 0o077)
	}
	if c.Delivery.SMS != nil {
		w.abroad("delivery.sms", c.Delivery.SMS.Countries)
	}
	if c.Delivery.Voice != nil {
		w.abroad("delivery.voice", c.Delivery.Voice.Countries)
	}
	return w.lines()
}

// abroad warns of a channel that serves numbers all over the world.
func (w *warnings) abroad(path string, countries []string) {
	if len(countries) == 0 {
		w.add(path, "has no countries: whoever has a password may have messages sent to every country, at its price; name those where your users live")
	}
}

// open warns of a file with keys that more people can read than should.
func (w *warnings) open(path, file string, others os.FileMode) {
	if at, err := os.Stat(file); err == nil && at.Mode().Perm()&others != 0 {
		w.add(path, "others can read the keys in it (mode %04o); run `chmod 600 %s`", at.Mode().Perm(), file)
	}
}

// Warnings names what stands in the tenant file but is not served by this version, in
// the order of the file.
func (t *Tenant) Warnings() []string {
	if t.read == nil {
		return nil
	}
	w := &warnings{read: t.read}
	for i, c := range t.Clients {
		for j, grant := range c.Grants {
			if text, ok := unservedGrants[grant]; ok {
				w.add(fmt.Sprintf("clients[%d].grants[%d]", i, j), "%s", notServed+text)
			}
		}
		if len(c.RedirectURIs) > 0 {
			w.add(fmt.Sprintf("clients[%d].redirect_uris", i), "%s", notServed+"nobody is redirected yet")
		}
	}
	return w.lines()
}

// has reports whether a setting that stands in the file holds anything: a list may be
// empty.
func (c *Config) has(path string) bool {
	return path != "dialects" || len(c.Dialects) > 0
}

// pushes reports whether there is a service for pushes.
func (c *Config) pushes() bool {
	push := c.Delivery.Push
	return push != nil && (push.FCM != nil || push.APNs != nil)
}

// Warnings are those of a configuration and of its tenant files.
func Warnings(c *Config, tenants []*Tenant) []string {
	all := c.Warnings()
	for _, t := range tenants {
		all = append(all, t.Warnings()...)
		if !c.pushes() {
			all = append(all, t.unpushed()...)
		}
	}
	return all
}

// unpushed warns of clients that say how they are pushed to, where nothing is.
func (t *Tenant) unpushed() []string {
	if t.read == nil {
		return nil
	}
	w := &warnings{read: t.read}
	for i, c := range t.Clients {
		if c.Binding != "" {
			w.add(fmt.Sprintf("clients[%d].push_binding", i), "nothing is pushed: delivery.push has no service")
		}
	}
	return w.lines()
}

// UnknownAPIs warns of audiences of clients that no tenant file of the configuration has
// an API for. Whether the database has it, from a file that was applied once, only that
// can tell: a gateway that starts.
func UnknownAPIs(c *Config, tenants []*Tenant) []string {
	known := map[string]bool{}
	for _, t := range tenants {
		for _, a := range t.APIs {
			known[a.Audience] = true
		}
	}
	var all []string
	for _, t := range tenants {
		w := &warnings{read: t.read}
		for i, k := range t.Clients {
			for _, audience := range slices.Sorted(maps.Keys(k.Audiences)) {
				if !known[audience] && !c.Owns(audience) {
					w.add(fmt.Sprintf("clients[%d].audiences[%s]", i, audience),
						"no tenant file here has this API; unless another one brought it, the client gets no token for it")
				}
			}
		}
		all = append(all, w.lines()...)
	}
	return all
}
