package gateway

import (
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/sms"
	"github.com/sallyport/sallyport/pkg/mfa/oob/voice"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/receipt"
	"github.com/sallyport/sallyport/pkg/server"
)

// newCarriers take codes to people, one for each channel that is configured.
func newCarriers(o Options) ([]oob.Carrier, error) {
	c := o.Config
	texts, err := wording.New(c.Messages.Wording)
	if err != nil {
		return nil, fmt.Errorf("messages.%w", err)
	}
	var all []oob.Carrier
	if c.Delivery.SMS != nil {
		carrier, err := sms.New(*c.Delivery.SMS, c.Messages.Phone, texts, o.Now)
		if err != nil {
			return nil, fmt.Errorf("delivery.sms: %w", err)
		}
		all = append(all, carrier)
	}
	if c.Delivery.Voice != nil {
		carrier, err := voice.New(*c.Delivery.Voice, c.Messages.Phone, texts, o.Now)
		if err != nil {
			return nil, fmt.Errorf("delivery.voice: %w", err)
		}
		all = append(all, carrier)
	}
	return all, nil
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
	desk := receipt.New(receipt.Options{
		Channels: channels, Store: g.stores.sql, Ring: g.ring.Ring, URL: g.Config.Server.PublicURL, Counted: g.counted, Now: g.Now,
	})
	return []server.Face{{
		Endpoints: []server.Endpoint{{Method: http.MethodPost, Path: receipt.Path, Do: desk.Serve}}, Refuse: receipt.Refuse,
	}}
}

// counted counts what a provider made of a message.
func (g *Gateway) counted(channel, provider string, outcome oob.Outcome) {
	g.observer.Metrics.Message(channel, provider, string(outcome))
}
