package config

import "slices"

// unserved are the settings that are accepted and checked, but do nothing yet.
var unserved = []struct{ path, text string }{
	{"dialects", "these faces are not served yet"},
	{"lifetimes.oob_code", "no out-of-band factor is served yet"},
	{"throttle.free_attempts", "failures are counted, but nobody waits yet"},
	{"delivery.email", "no mail is sent yet"},
	{"delivery.sms", "no text message is sent yet"},
	{"delivery.voice", "nobody is called yet"},
	{"delivery.push.fcm", "nothing is pushed yet"},
}

// Warnings names what stands in the file but is not served by this version, each as
// "file.yaml:12: dialects: why", in the order of the file.
func (c *Config) Warnings() []string {
	if c.read == nil {
		return nil
	}
	var found Problems
	for _, u := range unserved {
		if line, stands := c.read.Stands(u.path); stands && c.has(u.path) {
			found = append(found, Problem{File: c.read.Path(), Line: line, Path: u.path, Text: "valid, but not served by this version: " + u.text})
		}
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return a.Line - b.Line })
	var out []string
	for _, p := range found {
		out = append(out, p.String())
	}
	return out
}

// has reports whether a setting that stands in the file holds anything: an optional
// section may have been left out, a list may be empty.
func (c *Config) has(path string) bool {
	switch path {
	case "dialects":
		return len(c.Dialects) > 0
	case "delivery.push.fcm":
		return c.Delivery.Push != nil && c.Delivery.Push.FCM != nil
	default:
		return true
	}
}
