package guardian

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	bodyLimit  = 16 << 10 // bytes
	depthLimit = 16
	textLimit  = 256 // characters of what a phone says about itself
)

// members are a JSON object by name. encoding/json would take "SUB" for "sub".
type members map[string]json.RawMessage

// parseMembers reads a body: one object, no member of which stands twice at any depth.
// Names that nobody knows are ignored; apps of tomorrow may send them.
func parseMembers(body []byte) (members, error) {
	if len(body) > bodyLimit {
		return nil, fault.Because(fault.BadRequest, errors.New("the body is too large"))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := once(d, depthLimit); err != nil {
		return nil, fault.Because(fault.BadRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Because(fault.BadRequest, errors.New("something follows the object"))
	}
	var m members
	if json.Unmarshal(body, &m) != nil || m == nil {
		return nil, fault.Because(fault.BadRequest, errors.New("the body is no object"))
	}
	return m, nil
}

// once reads one value whose objects have each of their members once.
func once(d *json.Decoder, depth int) error {
	next, err := d.Token()
	open, nested := next.(json.Delim)
	switch {
	case err != nil:
		return errors.New("not JSON")
	case !nested:
		return nil
	case depth == 0:
		return errors.New("nested too deep")
	}
	seen := map[json.Token]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil || seen[name] {
				return errors.New("a member stands twice, or is not JSON")
			}
			seen[name] = true
		}
		if err := once(d, depth-1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("not JSON")
	}
	return nil
}

// has reports whether a member is there and not null.
func (m members) has(name string) bool {
	raw, ok := m[name]
	return ok && string(raw) != "null"
}

// text is a member that has to be a string.
func (m members) text(name string) (string, bool) {
	var s *string
	ok := json.Unmarshal(m[name], &s) == nil && s != nil
	if !ok {
		return "", false
	}
	return *s, true
}

// number is a member that has to be a number, with a fraction or without.
func (m members) number(name string) (float64, bool) {
	var n *float64
	ok := json.Unmarshal(m[name], &n) == nil && n != nil
	if !ok {
		return 0, false
	}
	return *n, true
}

// boolean is a member that has to be true or false: neither "true" nor 1 is.
func (m members) boolean(name string) (value, ok bool) {
	var b *bool
	ok = json.Unmarshal(m[name], &b) == nil && b != nil
	return ok && *b, ok
}

// object is a member that has to be an object.
func (m members) object(name string) (members, bool) {
	var o members
	ok := json.Unmarshal(m[name], &o) == nil && o != nil
	return o, ok
}

// printable is a text of somebody else's, so many characters of it and none that is for
// machines.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if letters := []rune(s); len(letters) > limit {
		s = string(letters[:limit])
	}
	return s
}

// folded is a URL whose scheme and host are in lower case and whose port is gone if it is
// the usual one (RFC 3986, 6.2.3): the apps' authors typed it. What is no such URL stays.
func folded(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return text
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host + u.EscapedPath()
}

// appName reads an Auth0-Client header: the SDK and its version, and the app's where they
// are given; empty if it is none.
func appName(header string) string {
	const limit = 2 << 10
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(header, "="))
	if err != nil || len(raw) > limit {
		return ""
	}
	var said struct {
		Name, Version string
		Env           struct{ AppName, AppVersion string }
	}
	if json.Unmarshal(raw, &said) != nil {
		return ""
	}
	name := join(said.Name, said.Version)
	if app := join(said.Env.AppName, said.Env.AppVersion); app != "" {
		name += " " + app
	}
	return printable(name, textLimit)
}

func join(name, version string) string {
	if version == "" {
		return name
	}
	return name + "/" + version
}
