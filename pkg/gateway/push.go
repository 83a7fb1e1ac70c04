package gateway

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/pkg/guardian"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/server"
)

// newSenders are the push services that are configured.
func newSenders(o Options) (push.Senders, error) {
	if o.Config.Delivery.Push == nil {
		return nil, nil //nolint:nilnil // there are none, which is no failure
	}
	senders, err := push.New(*o.Config.Delivery.Push, o.Now)
	if err != nil {
		return nil, fmt.Errorf("delivery.push.%w", err)
	}
	return senders, nil
}

func (g *Gateway) transactions() push.Transactions {
	return push.Transactions{Keys: g.signer, Issuer: g.Config.Server.PublicURL, Random: g.Random}
}

// issuer is the name that people know this gateway by.
func (g *Gateway) issuer() string { return *g.tenant.Load() }

// faces are the protocols that are served beside OAuth.
func (g *Gateway) faces() []server.Face { return append(g.phones(), g.receipts()...) }

// phones is the protocol of phones, if pushes are sent.
func (g *Gateway) phones() []server.Face {
	if len(g.senders) == 0 {
		return nil
	}
	sql := g.stores.sql
	p := guardian.New(guardian.Options{
		Stores: guardian.Stores{
			Devices: sql, Tickets: g.stores.state, Answers: sql, Challenges: g.stores.state,
			Authenticators: sql, Redeemer: sql, Limiter: sql, Audit: sql,
		},
		Transactions: g.transactions(), Services: slices.Sorted(maps.Keys(g.senders)), URL: g.Config.Server.PublicURL, Issuer: g.issuer,
		Limits: g.Config.Throttle.Limits(), Ring: g.ring.Ring, Now: g.Now,
	})
	face := server.Face{Refuse: guardian.Refuse}
	for _, e := range p.Endpoints() {
		face.Endpoints = append(face.Endpoints, server.Endpoint{Method: e.Method, Path: e.Path, Do: e.Do})
	}
	return []server.Face{face}
}
