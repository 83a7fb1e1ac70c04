package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/mfa/oob/sms"
	"github.com/sallyport/sallyport/pkg/mfa/oob/voice"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/receipt"
	"github.com/sallyport/sallyport/pkg/server"
)

// newCarriers take codes to people, one for each channel that is configured. Where no codes
// go by mail, its servers are for notices.
func newCarriers(o Options) ([]oob.Carrier, error) {
	d, m := o.Config.Delivery, o.Config.Messages
	texts, err := wording.New(m.Wording)
	if err != nil {
		return nil, fmt.Errorf("messages.%w", err)
	}
	if !m.Email.Codes {
		d.Email = nil
	}
	var all []oob.Carrier
	err = errors.Join(
		add(&all, d.SMS, func(c phone.SMSConfig) (oob.Carrier, error) { return sms.New(c, m.Phone, texts, o.Now) }),
		add(&all, d.Voice, func(c phone.VoiceConfig) (oob.Carrier, error) { return voice.New(c, m.Phone, texts, o.Now) }),
		add(&all, d.Email, func(c email.Config) (oob.Carrier, error) { return email.New(c, m.Email, texts, o.Now) }),
	)
	return all, err
}

// add adds the carrier of a channel that is configured.
func add[C any](all *[]oob.Carrier, c *C, open func(C) (oob.Carrier, error)) error {
	if c == nil {
		return nil
	}
	carrier, err := open(*c)
	if err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	*all = append(*all, carrier)
	return nil
}

// channels are all that second devices are reached by. Push is there when one of its
// services is configured.
func (g *Gateway) channels() []oob.Channel {
	c, sql := g.Config, g.stores.sql
	all := oob.NewCodes(oob.CodesOptions{
		Carriers: g.carriers, Store: sql, Clients: sql, URL: c.Server.PublicURL, Service: g.issuer, Counted: g.counted, Ring: g.ring.Ring,
		Now: g.Now, Random: g.Random, Log: g.Log,
	})
	if len(g.senders) == 0 {
		return all
	}
	return append(all, push.NewChannel(push.Options{
		Stores: push.Stores{Devices: sql, Tickets: g.stores.state, Pushes: sql, Accounts: sql, Clients: sql},
		Sender: g.senders, Transactions: g.transactions(), URL: c.Server.PublicURL, Issuer: g.issuer,
		Binding: c.Push.Default(), Limits: c.Push.Limits(), Now: g.Now, Random: g.Random, Log: g.Log,
	}))
}

// receipts are how providers say what became of messages, if any of them does.
func (g *Gateway) receipts() []server.Face {
	var channels []receipt.Channel
	for _, c := range g.carriers {
		if reporting, ok := c.(receipt.Channel); ok {
			channels = append(channels, reporting)
		}
	}
	if len(channels) == 0 {
		return nil
	}
	desk := receipt.New(receipt.Options{Channels: channels, Store: g.stores.sql, Ring: g.ring.Ring,
		URL: g.Config.Server.PublicURL, Counted: g.counted, Now: g.Now})
	return []server.Face{{Refuse: receipt.Refuse, Endpoints: []server.Endpoint{{Method: http.MethodPost, Path: receipt.Path, Do: desk.Serve}}}}
}

// counted counts what a provider made of a message.
func (g *Gateway) counted(channel, provider string, outcome oob.Outcome) {
	g.observer.Metrics.Message(channel, provider, string(outcome))
}
