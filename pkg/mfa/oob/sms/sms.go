// Package sms is the channel of codes that arrive as text messages.
//
// A message names the service and holds no link. Its last line binds the code to the site
// that asked for it, so that browsers fill it in there and nowhere else (standards, S-8).
package sms

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
)

// Carrier has people written to.
type Carrier struct {
	*phone.Line

	texts *wording.Texts
}

var _ oob.Carrier = (*Carrier)(nil)

// New makes the carrier of what is configured.
func New(c phone.SMSConfig, rules phone.Rules, texts *wording.Texts, now func() time.Time) (oob.Carrier, error) {
	line, err := phone.NewLine(phone.SMS, "sms", c.Config, rules, now) // RFC 8176: "sms"
	if err != nil {
		return nil, err
	}
	return &Carrier{Line: line, texts: texts}, nil
}

// Send implements oob.Carrier.
func (c *Carrier) Send(ctx context.Context, m oob.Message) error {
	language := c.texts.In(m.Locale)
	text, err := compose(m, func(service string) (string, error) {
		return language.Say("sms.code", map[string]any{"Code": m.Code.Reveal(), "Service": service, "Minutes": phone.Minutes(m)})
	})
	if err != nil {
		return fmt.Errorf("word a text message: %w", err)
	}
	return c.Deliver(ctx, m, phone.Words{Text: text, Language: language.Tag()})
}
