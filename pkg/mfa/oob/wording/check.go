package wording

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/sallyport/sallyport/pkg/audit"
)

// An entry says of a key which words its text may hold, and what else must be true of it.
type entry struct {
	words []string
	rule  func(said string) error // of the text with sample words; nil for none
}

// entries are all keys.
var entries = keys()

func keys() map[string]entry {
	all := map[string]entry{
		"sms.code":           {[]string{"Code", "Service", "Minutes"}, shortMessage},
		"voice.code":         {[]string{"Digits", "Service"}, spoken},
		"email.code.subject": {[]string{"Service"}, oneLine}, // without the code: phones show subjects while they are locked
		"email.code.text":    {[]string{"Service", "Minutes", "Client"}, nil},
		"notice.object":      {[]string{"Service", "Contact"}, nil},
	}
	for _, kind := range []audit.Type{
		audit.Confirmed, audit.Removed, audit.Disabled, audit.Reported, audit.CodeUsed,
		audit.PasswordChanged, audit.FactorRefused, audit.FactorDemanded,
	} {
		all["notice."+string(kind)+".subject"] = entry{[]string{"Service"}, oneLine}
		all["notice."+string(kind)+".text"] = entry{[]string{"Service", "Authenticator", "Time", "Address", "Client"}, nil}
	}
	for _, kind := range []string{"otp", "sms", "voice", "email", "push", "recovery-code"} {
		all["authenticator."+kind] = entry{[]string{"Name"}, oneLine}
	}
	return all
}

// sample are words as texts get them. The name of the service and the host in codeLine are
// as long as most are.
var sample = map[string]string{
	"Code": "123456", "Digits": "1, 2, 3, 4, 5, 6", "Service": "Example Bank Online", "Minutes": "5",
	"Client": "Example App", "Authenticator": "authenticator app “Phone”", "Time": "2026-03-01 12:00 UTC",
	"Address": "192.0.2.1", "Name": "Phone", "Contact": "security@example.com",
}

// always are words that are never empty.
var always = []string{"Code", "Digits", "Service", "Minutes", "Time", "Authenticator"}

// codeLine is what follows a text message, for browsers to fill the code in.
const codeLine = "\n\n@login.example-bank.com #123456"

// Segment is how many septets one text message holds (3GPP TS 23.038, section 6.1.2.1).
const Segment = 160

// Bounds of what a text may be at all.
const (
	longestText = 4000
	longestLine = 120
)

// check says what is wrong with a text.
func check(key, text string) error {
	e, ok := entries[key]
	if !ok {
		return errors.New("is no key; known are " + strings.Join(sorted(maps.Keys(entries)), ", "))
	}
	if text == "" {
		return errors.New("is empty")
	}
	if len(text) > longestText {
		return fmt.Errorf("is longer than %d bytes", longestText)
	}
	compiled, err := compile(key, text)
	if err != nil {
		return err
	}
	sparse := maps.Clone(sample)
	for word := range sparse {
		if !slices.Contains(always, word) {
			sparse[word] = ""
		}
	}
	if err := e.try(compiled, sample); err != nil {
		return err
	}
	return e.try(compiled, sparse)
}

// try says a text with words, and looks at what it says.
func (e entry) try(text *template.Template, words map[string]string) error {
	said, err := execute(text, words)
	switch {
	case err != nil:
		return err
	case strings.TrimSpace(said) == "":
		return errors.New("says nothing")
	case e.rule != nil:
		return e.rule(said)
	default:
		return nil
	}
}

// compile reads a template. It holds words and conditions alone, so that no text can take
// long or grow without bound.
func compile(key, text string) (*template.Template, error) {
	t, err := template.New(key).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, errors.New("is no template: " + strings.TrimPrefix(err.Error(), "template: "+key+":"))
	}
	if t.Tree == nil || len(t.Templates()) > 1 {
		return nil, errors.New("must not define templates")
	}
	return t, allowed(t.Root, entries[key].words)
}

func allowed(node parse.Node, words []string) error {
	switch n := node.(type) {
	case *parse.TextNode:
		return nil
	case *parse.ListNode:
		if n == nil {
			return nil // an if without else
		}
		for _, inner := range n.Nodes {
			if err := allowed(inner, words); err != nil {
				return err
			}
		}
		return nil
	case *parse.ActionNode:
		return oneWord(n.Pipe, words)
	case *parse.IfNode:
		return errors.Join(oneWord(n.Pipe, words), allowed(n.List, words), allowed(n.ElseList, words))
	default:
		return notAllowed(node, words)
	}
}

// oneWord: a pipeline is a word such as {{.Service}}.
func oneWord(pipe *parse.PipeNode, words []string) error {
	if len(pipe.Decl) == 0 && len(pipe.Cmds) == 1 && len(pipe.Cmds[0].Args) == 1 {
		field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
		if ok && len(field.Ident) == 1 && slices.Contains(words, field.Ident[0]) {
			return nil
		}
	}
	return notAllowed(pipe, words)
}

func notAllowed(node parse.Node, words []string) error {
	return fmt.Errorf("holds %q; it may hold {{.%s}}, and {{if .%s}} with {{else}} and {{end}}",
		node, strings.Join(words, "}}, {{."), words[0])
}

// shortMessage: a text message is one segment with the code line, and has no link
// (standards, S-8).
func shortMessage(said string) error {
	if !strings.Contains(said, sample["Code"]) {
		return errors.New("leaves out the code; it must hold {{.Code}}")
	}
	if strings.Contains(said, "://") || strings.Contains(said, "www.") {
		return errors.New("has a link; people shall not follow links in text messages")
	}
	length, strange := Septets(said + codeLine)
	switch {
	case strange != "":
		return fmt.Errorf("has %q, which is not in the alphabet of text messages (GSM 7 bit)", strange)
	case length > Segment:
		return fmt.Errorf("takes %d of the %d letters of one text message, with a service of %d and the line for the browser",
			length, Segment, len(sample["Service"]))
	}
	return nil
}

// spoken: who missed a digit hears them again, and nobody's patience ends (standards, S-9).
func spoken(said string) error {
	if n := strings.Count(said, sample["Digits"]); n < 2 || n > 3 {
		return errors.New("must say the code two or three times: {{.Digits}}")
	}
	return nil
}

func oneLine(said string) error {
	if strings.Contains(said, "\n") || len([]rune(said)) > longestLine {
		return fmt.Errorf("must be one line of at most %d letters", longestLine)
	}
	return nil
}

// Septets is how long a text is in the default alphabet of text messages (3GPP TS 23.038,
// section 6.2.1), and the first letter that is not in it.
func Septets(text string) (length int, strange string) {
	const (
		basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
			"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
		extended = "\f^{}\\[~]|€"
	)
	for _, r := range text {
		switch {
		case strings.ContainsRune(basic, r):
			length++
		case strings.ContainsRune(extended, r):
			length += 2
		default:
			return length, string(r)
		}
	}
	return length, ""
}
