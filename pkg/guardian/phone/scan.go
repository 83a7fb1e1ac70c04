package phone

import (
	"errors"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/pkg/secret"
)

// enrollmentTx is the only member of a barcode_uri that an app reads (section 4).
const enrollmentTx = "enrollment_tx_id"

// Scan reads the ticket from what a QR code holds, or takes a ticket that was typed.
func (p *Phone) Scan(text string) (secret.Text, error) {
	ticket, err := p.app.scan(strings.TrimSpace(text))
	if err == nil && ticket == "" {
		err = errors.New("there is no ticket in it")
	}
	return secret.New(ticket), err
}

// scanLoosely reads like Android's Uri and a browser's URLSearchParams: of any URI, the
// first member counts, and a plus is a space. What has no such member is the ticket.
func scanLoosely(text string) (string, error) {
	scheme := strings.IndexByte(text, ':')
	if scheme >= 0 && !strings.HasPrefix(text[scheme+1:], "/") {
		return "", errors.New("it is an opaque URI, on which Android's scanner crashes")
	}
	rest, _, _ := strings.Cut(text[scheme+1:], "#")
	_, query, _ := strings.Cut(rest, "?")
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == enrollmentTx {
			return url.QueryUnescape(value)
		}
	}
	return text, nil
}

// scanStrictly reads like Swift's URLComponents, which knows no other scheme and refuses
// what is not escaped: the last member counts, and a plus is a plus. A typed ticket has a
// call of its own there.
func scanStrictly(text string) (string, error) {
	if !strings.Contains(text, ":") {
		return text, nil
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("|\"<>\\^`{}", r) }) {
		return "", errors.New("it has characters that a URI must escape")
	}
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(text, "otpauth:") || !strings.EqualFold(u.Host, "totp") {
		return "", errors.New("it is no otpauth://totp/ URI")
	}
	ticket := ""
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name != enrollmentTx {
			continue
		}
		if ticket, err = url.PathUnescape(value); err != nil {
			return "", errors.New("it has an escape that is none")
		}
	}
	return ticket, nil
}
