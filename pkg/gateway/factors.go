package gateway

import (
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/mfa/recovery"
)

// factors is the full list of factors: what stands in for the others comes last.
func (g *Gateway) factors() []mfa.Factor {
	all := []mfa.Factor{otp.New(otp.Options{Issuer: g.issuer, Past: g.Config.OTP.Skew, Now: g.Now, Random: g.Random})}
	if channels := g.channels(); len(channels) > 0 {
		all = append(all, oob.New(oob.Options{
			Channels: channels, Store: g.stores.state, Waiters: g.waiters, Ring: g.ring.Ring,
			Lifetime: g.Config.Lifetimes.MFA.OOBCodeLifetime, Now: g.Now, Random: g.Random,
		}))
	}
	return append(all, recovery.New(recovery.Options{Live: g.Config.Recovery.Codes, Random: g.Random, Ring: g.ring.Ring}))
}
