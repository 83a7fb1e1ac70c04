package mailtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// A Mail is one that was taken.
type Mail struct {
	From string   `json:"from"` // of the envelope, like To
	To   []string `json:"to"`
	TLS  bool     `json:"tls"`
	User string   `json:"user"` // who authenticated, empty: nobody

	Header  map[string][]string `json:"header"`
	Subject string              `json:"subject"` // decoded, like what follows
	Text    string              `json:"text"`
	HTML    string              `json:"html"`
	Raw     []byte              `json:"raw"`
}

// Read reads a mail of a gateway's: one text, and the same as HTML.
func Read(raw []byte) (Mail, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, fmt.Errorf("read a mail: %w", err)
	}
	out := Mail{Header: m.Header, Raw: raw}
	if out.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return Mail{}, fmt.Errorf("read a subject: %w", err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return Mail{}, fmt.Errorf("read a mail: it is %q", kind)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return Mail{}, fmt.Errorf("read a part: %w", err)
		}
		content, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return Mail{}, fmt.Errorf("read a part: %w", err)
		}
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			out.Text = text
		case "text/html":
			out.HTML = text
		default:
			return Mail{}, fmt.Errorf("read a part: it is %q", kind)
		}
	}
}
