// Package voice is the channel of codes that are read out over the telephone.
//
// The digits are read one by one, and twice: a person who writes them down cannot scroll
// back. Numbers hold nothing but digits, so that no call is led on by tones or pauses
// (standards, S-9).
package voice

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
)

// Carrier has people called.
type Carrier struct {
	*phone.Line

	texts *wording.Texts
}

var _ oob.Carrier = (*Carrier)(nil)

// New makes the carrier of what is configured.
func New(c phone.VoiceConfig, rules phone.Rules, texts *wording.Texts, now func() time.Time) (oob.Carrier, error) {
	line, err := phone.NewLine(phone.Voice, "tel", c.Config, rules, now) // RFC 8176: "tel"
	if err != nil {
		return nil, err
	}
	return &Carrier{Line: line, texts: texts}, nil
}

// Send implements oob.Carrier.
func (c *Carrier) Send(ctx context.Context, m oob.Message) error {
	language := c.texts.In(m.Locale)
	text, err := language.Say("voice.code", map[string]any{"Digits": spell(m.Code.Reveal()), "Service": m.Service})
	if err != nil {
		return fmt.Errorf("word a call: %w", err)
	}
	return c.Deliver(ctx, m, phone.Words{Text: text, Language: language.Tag()})
}

// spell separates the digits, so that each is read by itself. A full stop would make ordinal
// numbers of them in some languages.
func spell(code string) string { return strings.Join(strings.Split(code, ""), ", ") }
