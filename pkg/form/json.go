package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
)

// depthLimit bounds how deep a JSON body may nest, also in members that are ignored.
const depthLimit = 16

// safeDigits are as many as any number of them stays below 2^53.
const safeDigits = 15

// parseJSON reads one JSON object into form values: strings as their text, an array of
// them as a repeated parameter; if that is tolerated, integers as their text and null as
// absent.
func parseJSON(text []byte, b Reader) (url.Values, error) {
	if !shallow(text) {
		return nil, errJSON("nested too deep")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errJSON("not an object")
	}
	form := url.Values{}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		member, ok := name.(string)
		var raw json.RawMessage
		switch {
		case err != nil || !ok || d.Decode(&raw) != nil:
			return nil, errJSON("not valid")
		case seen[member]:
			return nil, errJSON("a member stands twice")
		case len(seen) >= fieldLimit:
			return nil, errJSON("too many members")
		}
		seen[member] = true
		if kind, ok := b.Known[member]; ok {
			if form[member], err = b.values(raw, kind); err != nil {
				return nil, err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errJSON("not valid")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON("something follows the object")
	}
	return form, nil
}

// values are the texts of one member.
func (b Reader) values(raw json.RawMessage, kind Shape) ([]string, error) {
	if strings.HasPrefix(string(raw), "[") {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil || kind != Many {
			return nil, errJSON("a list stands where a value belongs")
		}
		var out []string
		for _, item := range list {
			v, err := b.scalar(item)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	if kind == Object && raw[0] == '{' {
		var text bytes.Buffer
		if json.Compact(&text, raw) != nil {
			return nil, errJSON("a member is not valid")
		}
		return []string{text.String()}, nil
	}
	v, err := b.scalar(raw)
	return []string{v}, err
}

// scalar is the text of one value. A number is an integer that every reader takes for the
// same one: no sign, no exponent, within 53 bits (RFC 8259, 6; B-24).
func (b Reader) scalar(raw json.RawMessage) (string, error) {
	switch {
	case raw[0] == '"':
		var s string
		// Go replaces what is no character by U+FFFD; nobody means to send that one.
		if json.Unmarshal(raw, &s) != nil || strings.ContainsRune(s, '\uFFFD') {
			return "", errJSON("a string is not valid")
		}
		return s, nil
	case b.Tolerant && raw[0] == 'n':
		return "", nil
	case b.Tolerant && len(raw) <= safeDigits && strings.Trim(string(raw), "0123456789") == "":
		return string(raw), nil
	default:
		return "", errJSON("a member is not a string")
	}
}

// shallow reports whether no brackets outside of strings nest deeper than the limit.
func shallow(body []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > depthLimit {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

func errJSON(what string) error {
	return fault.Param(fault.BadRequest, "The JSON body cannot be read: "+what+".")
}
