package server

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

// parseJSON reads one JSON object into form values: strings, numbers and booleans as
// their text, null as absent, an array of them as a repeated parameter.
func parseJSON(body []byte, known fields) (url.Values, error) {
	if !shallow(body) {
		return nil, errJSON("nested too deep")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errJSON("not an object")
	}
	form := url.Values{}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		text, ok := name.(string)
		var raw json.RawMessage
		switch {
		case err != nil || !ok || d.Decode(&raw) != nil:
			return nil, errJSON("not valid")
		case seen[text]:
			return nil, errJSON("a member stands twice")
		case len(seen) >= fieldLimit:
			return nil, errJSON("too many members")
		}
		seen[text] = true
		if kind, ok := known[text]; ok {
			if form[text], err = values(raw, kind); err != nil {
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
func values(raw json.RawMessage, kind shape) ([]string, error) {
	if strings.HasPrefix(string(raw), "[") {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil || kind != many {
			return nil, errJSON("a list stands where a value belongs")
		}
		var out []string
		for _, item := range list {
			v, err := scalar(item)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	if kind == object && raw[0] == '{' {
		var text bytes.Buffer
		if json.Compact(&text, raw) != nil {
			return nil, errJSON("a member is not valid")
		}
		return []string{text.String()}, nil
	}
	v, err := scalar(raw)
	return []string{v}, err
}

func scalar(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case 'n':
		return "", nil
	case '{', '[':
		return "", errJSON("a member is nested where a value belongs")
	case '"':
		var s string
		// Go replaces what is no character by U+FFFD; nobody means to send that one.
		if json.Unmarshal(raw, &s) != nil || strings.ContainsRune(s, '\uFFFD') {
			return "", errJSON("a string is not valid")
		}
		return s, nil
	default:
		return string(raw), nil
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
