package sms

import (
	"cmp"
	"strings"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
)

// typographic are marks that names have and the alphabet has in a plainer form.
var typographic = strings.NewReplacer("’", "'", "‘", "'", "“", `"`, "”", `"`, "–", "-", "—", "-")

// compose writes the message around the name of the service. Of a name that is too long for
// one message the beginning stays; the name of the site stands in for one that the alphabet
// cannot write. The last line is never cut, and stands as browsers read it: the site, the
// code. What takes more than one message, whatever the name, is sent as it is.
func compose(m oob.Message, say func(service string) (string, error)) (string, error) {
	name := strings.Join(strings.Fields(typographic.Replace(m.Service)), " ")
	if _, strange := wording.Septets(name); strange != "" || name == "" {
		name = m.Host
	}
	whole := ""
	for left := []rune(name); len(left) > 0; left = left[:len(left)-1] {
		text, err := say(strings.TrimSpace(string(left)))
		if err != nil {
			return "", err
		}
		text = strings.TrimSpace(text) + "\n\n@" + m.Host + " #" + m.Code.Reveal()
		if length, strange := wording.Septets(text); strange == "" && length <= wording.Segment {
			return text, nil
		}
		whole = cmp.Or(whole, text)
	}
	return whole, nil
}
