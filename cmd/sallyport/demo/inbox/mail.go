package inbox

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// The limits of a mail.
const (
	mailLimit  = 256 << 10
	depth      = 4 // of parts in parts
	recipients = 10
	mailWait   = 10 * time.Second
)

// postbox makes a server that takes mails for everybody.
func (b *Inbox) postbox() *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: b}, nil }))
	s.Domain = "inbox.localhost"
	s.MaxMessageBytes, s.MaxRecipients = mailLimit, recipients
	s.ReadTimeout, s.WriteTimeout = mailWait, mailWait
	s.ErrorLog = log.New(io.Discard, "", 0) // who went away is nobody's business
	return s
}

// A delivery is one connection.
type delivery struct {
	box *Inbox
	to  []string
}

var _ smtp.Session = (*delivery)(nil)

// Reset implements smtp.Session.
func (d *delivery) Reset() { d.to = nil }

// Logout implements smtp.Session.
func (*delivery) Logout() error { return nil }

// Mail implements smtp.Session.
func (*delivery) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements smtp.Session.
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = append(d.to, to)
	return nil
}

// Data implements smtp.Session.
func (d *delivery) Data(r io.Reader) error {
	m, err := readMail(r)
	if err != nil {
		const refused = 554
		return &smtp.SMTPError{Code: refused, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "this is no mail that the inbox can read"}
	}
	for _, to := range d.to {
		m.ID, m.To = rand.Text(), to
		d.box.keep(m)
	}
	return nil
}

// readMail takes from a mail what a person sees.
func readMail(r io.Reader) (Message, error) {
	sent, err := mail.ReadMessage(r)
	if err != nil {
		return Message{}, fmt.Errorf("read a mail: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(sent.Header.Get("Subject"))
	if err != nil {
		subject = sent.Header.Get("Subject")
	}
	m := Message{Channel: Email, Subject: strings.ToValidUTF8(subject, "\uFFFD")}
	if err := m.read(mail.Header(sent.Header), sent.Body, depth); err != nil {
		return Message{}, fmt.Errorf("read a mail: %w", err)
	}
	m.Code, m.HTML = codeIn(m.Text), m.markup != ""
	return m, nil
}

// read takes the first text and the first HTML of a part of a mail.
func (m *Message) read(h header, body io.Reader, depth int) error {
	kind, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045, section 5.2
	}
	if strings.HasPrefix(kind, "multipart/") {
		if depth == 0 {
			return errors.New("parts in parts without end")
		}
		return m.readParts(multipart.NewReader(body, parameters["boundary"]), depth-1)
	}
	var into *string
	switch {
	case kind == "text/plain" && m.Text == "":
		into = &m.Text
	case kind == "text/html" && m.markup == "":
		into = &m.markup
	default:
		return nil
	}
	text, err := io.ReadAll(decoded(h.Get("Content-Transfer-Encoding"), body))
	*into = strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(string(text), "\r\n", "\n"), "\uFFFD"))
	return err
}

func (m *Message) readParts(parts *multipart.Reader, depth int) error {
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := m.read(part.Header, part, depth); err != nil {
			return err
		}
	}
}

// header is that of a mail or of a part of one.
type header interface{ Get(key string) string }

// decoded undoes a transfer encoding (RFC 2045, section 6).
func decoded(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body) // it skips the ends of lines
	default:
		return body
	}
}

// sixDigits are a code: a mail has it in a line of its own.
var sixDigits = regexp.MustCompile(`(?m)^[ \t]*([0-9]{6})[ \t]*$`)

// codeIn is the code of a mail, if it brings one.
func codeIn(text string) string {
	if found := sixDigits.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
