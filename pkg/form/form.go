// Package form reads the body of a request, a form or JSON alike, into one form, and refuses
// what two readers might take for different things.
package form

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/pkg/fault"
)

// The most of a body that is looked at (B-07).
const (
	Limit      = 16 << 10
	fieldLimit = 64
)

// The types of bodies.
const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// Shape says how often a parameter may stand in a request.
type Shape int

// The shapes.
const (
	One    Shape = iota // repeated: refused (RFC 6749, 3.2)
	Many                // a list, or a parameter that may be repeated (RFC 8707, 2)
	Object              // a JSON Object, handed on as its text; a form carries that text itself
)

// Fields are the parameters that an endpoint knows. All others are ignored, and no
// handler ever sees them.
type Fields map[string]Shape

// A Reader reads what an endpoint takes.
type Reader struct {
	Known    Fields
	JSON     bool // JSON as well as a form
	Tolerant bool // what published samples get wrong (Auth0 MFA API, 1.1)
}

// Read parses the body of a POST, a form or JSON alike, into r.PostForm and r.Form, which
// fosite then takes as they are. Empty values count as absent (RFC 6749, 3.2).
func (b Reader) Read(r *http.Request) error {
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return fault.Param(fault.BadRequest, "Compressed bodies are not read.")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Param(fault.BadRequest, "The query cannot be decoded.")
	}
	for name := range query {
		if _, ok := b.Known[name]; ok {
			// Secrets in a URL end up in logs: RFC 6749, 2.3.1.
			return fault.Param(fault.BadRequest, "Parameters belong into the body, not into the URL.")
		}
	}
	text, err := ReadAll(r)
	if err != nil {
		return err
	}
	form, err := b.Parse(r.Header.Values("Content-Type"), text)
	if err != nil {
		return err
	}
	r.PostForm, r.Form = form, form
	return nil
}

// Parse parses a body that was read, by the Content-Type headers that it came with.
func (b Reader) Parse(types []string, text []byte) (url.Values, error) {
	form, err := b.parse(types, text)
	if err != nil {
		return nil, err
	}
	return form, check(form, b.Known)
}

// ReadAll reads the whole body: a part of one is never looked at (B-65).
func ReadAll(r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, Limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.BodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(r.Context().Err(), context.DeadlineExceeded):
		// No time is left for the work (B-72).
		return nil, fault.BodyTooSlow
	case err != nil:
		return nil, fault.Param(fault.BadRequest, "The body ended early.")
	case !utf8.Valid(text) || bytes.HasPrefix(text, []byte("\ufeff")):
		return nil, fault.Param(fault.BadRequest, "The body is not UTF-8, or begins with a byte order mark.")
	}
	return text, nil
}

// parse reads the body by its declared type. One that begins with a brace is JSON whatever
// the header says, if that is tolerated: published samples leave it out (1.1.9).
func (b Reader) parse(types []string, text []byte) (url.Values, error) {
	declared := ""
	if len(types) > 0 {
		var params map[string]string
		var err error
		declared, params, err = mime.ParseMediaType(types[0])
		if charset := params["charset"]; err != nil || len(types) > 1 || charset != "" && !strings.EqualFold(charset, "utf-8") {
			return nil, fault.Param(fault.BadRequest, "The Content-Type is not understood.")
		}
	}
	braced := bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) && declared != "multipart/form-data"
	switch {
	case b.JSON && (declared == jsonType || b.Tolerant && braced):
		return parseJSON(text, b)
	case declared == formType && !braced:
		return parseForm(string(text))
	case b.JSON:
		return nil, fault.Param(fault.BadRequest, "Send application/x-www-form-urlencoded or application/json.")
	default:
		return nil, fault.Param(fault.BadRequest, "Send application/x-www-form-urlencoded.")
	}
}

func parseForm(body string) (url.Values, error) {
	if strings.Count(body, "&") >= fieldLimit {
		return nil, fault.Param(fault.BadRequest, "There are too many parameters.")
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, fault.Param(fault.BadRequest, "The form cannot be decoded.")
	}
	return form, nil
}

// check drops what is empty or unknown, and refuses what is repeated or holds what no
// parameter has any use for.
func check(form url.Values, known Fields) error {
	for name, values := range form {
		kind, ok := known[name]
		if ok && kind == One && len(values) > 1 {
			return fault.Param(fault.BadRequest, "Repeated parameter: "+name)
		}
		if ok && slices.ContainsFunc(values, func(v string) bool { return !clean(name, v) }) {
			return fault.Param(fault.BadRequest, "Bad characters in parameter: "+name)
		}
		form[name] = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if !ok || len(form[name]) == 0 {
			delete(form, name)
		}
	}
	return nil
}

// clean refuses characters that nobody types and that only confuse what reads them
// next: controls, line separators, marks that turn text around (B-05). A password may
// hold all but NUL.
func clean(name, v string) bool {
	if name == "password" {
		return utf8.ValidString(v) && !strings.ContainsRune(v, 0)
	}
	return utf8.ValidString(v) && !strings.ContainsFunc(v, func(r rune) bool {
		if r < unicode.MaxASCII {
			return r < ' '
		}
		return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
	})
}
