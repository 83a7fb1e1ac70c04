package email

import (
	"net/mail"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
)

// The longest that a path of SMTP has room for (RFC 5321, 4.5.3.1).
const (
	longestLocal   = 64
	longestAddress = 254
	longestLabel   = 63
)

// address is one mailbox that every mail server can carry: in ASCII, a domain of other
// letters as the DNS has it (xn--). Its domain is in small letters; what is before the @ is
// for its server to read, and stays as it is.
type address struct{ local, domain string }

// parse reads an address. There is no name, comment, quotation or space in it, and nothing
// that ends a line of SMTP. It fails with fault.BadEmailAddress.
func parse(text string) (address, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at > longestLocal || len(text) > longestAddress {
		return address{}, fault.BadEmailAddress
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return address{}, fault.BadEmailAddress
	}
	parsed, err := mail.ParseAddress(text)
	a := address{text[:at], strings.ToLower(text[at+1:])}
	if err != nil || parsed.Name != "" || parsed.Address != text || !hostname(a.domain) {
		return address{}, fault.BadEmailAddress
	}
	return a, nil
}

// hostname reports whether a text in small letters is a name with two labels or more
// (RFC 1123, 2.1), which no network address is.
func hostname(text string) bool {
	labels := strings.Split(text, ".")
	for _, l := range labels {
		odd := func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }
		if l == "" || len(l) > longestLabel || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, odd) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && strings.ContainsFunc(last, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// String is the address as mail is sent there.
func (a address) String() string { return a.local + "@" + a.domain }

// is reports whether two addresses are the same to a person. Servers that tell letters by
// their size are allowed, and unheard of.
func (a address) is(b address) bool {
	return a.domain == b.domain && strings.EqualFold(a.local, b.local)
}

// mailbox is what all spellings of an address have in common that commonly reach the same
// person: letters of any size, and whatever stands behind a plus sign.
func (a address) mailbox() string {
	local, _, _ := strings.Cut(a.local, "+")
	return strings.ToLower(local) + "@" + a.domain
}
