package email

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
)

//go:embed page.html
var files embed.FS

// letter is a mail that is to be sent.
type letter struct {
	id      string // the same for all that try to deliver it, and for another telling
	to      string
	service string
	code    string // empty in a notice
	replyTo string // where an answer goes; empty: nobody reads any

	tag        string // BCP 47
	subject    string
	paragraphs []string
}

// write fills the letter with what a language has under a key. The code stands after the
// first paragraph.
func (l *letter) write(words *wording.Language, key string, with map[string]any) error {
	subject, err := words.Say(key+".subject", with)
	if err != nil {
		return err
	}
	text, err := words.Say(key+".text", with)
	if err != nil {
		return err
	}
	l.tag, l.subject = words.Tag(), oneLine(subject)
	l.add(text)
	if l.code != "" {
		l.paragraphs = slices.Insert(l.paragraphs, min(1, len(l.paragraphs)), l.code)
	}
	return nil
}

// add appends paragraphs, which an empty line divides.
func (l *letter) add(text string) {
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			l.paragraphs = append(l.paragraphs, p)
		}
	}
}

// oneLine is a text without what could end a header.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == ' ' || r == '\u2028' || r == '\u2029' }), " ")
}

// outbox writes mail and hands it to the servers that there are.
type outbox struct {
	from   *mail.Address
	domain string // of the sender
	relays []relay
	page   *template.Template
	now    func() time.Time
}

func newOutbox(c Config, now func() time.Time) (*outbox, error) {
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("read the page of mails: %w", err)
	}
	o := &outbox{from: from, domain: domain, page: page, now: now}
	for i, s := range append([]Server{c.Server}, c.Fallback...) {
		r, err := newRelay(s, domain)
		if err != nil && i > 0 {
			err = fmt.Errorf("fallback[%d].%w", i-1, err)
		}
		if err != nil {
			return nil, err
		}
		o.relays = append(o.relays, r)
	}
	return o, nil
}

// send offers the letter of a message to the servers, the first one first. A notice is the
// letter of none.
func (o *outbox) send(ctx context.Context, l letter, of oob.Message) error {
	html, err := o.html(l)
	if err != nil {
		return err
	}
	at := o.now()
	var servers []oob.Provider
	for i, r := range o.relays {
		servers = append(servers, of.Via(oob.ProviderName(name, i), func(ctx context.Context) error {
			m, err := o.compose(l, html, at)
			if err != nil {
				return err
			}
			return r.take(ctx, m)
		}))
	}
	return oob.Deliver(ctx, servers...)
}

// compose makes the mail of a letter. Nobody may answer it by machine (RFC 3834, 5), and no
// list is behind it.
func (o *outbox) compose(l letter, html string, at time.Time) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(o.from)
	if _, err := parse(l.to); err != nil {
		return nil, undeliverable()
	}
	m.ToMailAddress(&mail.Address{Address: l.to})
	if l.replyTo != "" {
		m.ReplyToMailAddress(&mail.Address{Address: l.replyTo})
	}
	m.Subject(l.subject)
	m.SetDateWithValue(at)
	m.SetMessageIDWithValue(identifier(l.id) + "@" + o.domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	m.SetGenHeader("Content-Language", l.tag)
	m.SetBodyString(gomail.TypeTextPlain, strings.Join(l.paragraphs, "\n\n")+"\n")
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	return m, nil
}

// undeliverable is the failure of what no server could take to anybody.
func undeliverable() error {
	return &fault.Details{Kind: fault.Undeliverable, Err: errors.New("there is no mailbox that it could go to")}
}

// identifier is an id as it may stand in Message-ID (RFC 5322, 3.6.4).
func identifier(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '.'
	}, id)
}

// html is the letter as a page.
func (o *outbox) html(l letter) (string, error) {
	type paragraph struct {
		Lines []string
		Code  bool // it is the code alone
	}
	var all []paragraph
	for _, p := range l.paragraphs {
		all = append(all, paragraph{strings.Split(p, "\n"), p == l.code})
	}
	var out bytes.Buffer
	service := l.service
	if strings.Contains(l.subject, service) {
		service = "" // once is enough
	}
	err := o.page.Execute(&out, map[string]any{"Tag": l.tag, "Subject": l.subject, "Service": service, "Paragraphs": all})
	if err != nil {
		return "", fmt.Errorf("write a page: %w", err)
	}
	return out.String(), nil
}
