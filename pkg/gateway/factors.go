package gateway

import (
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/mfa/recovery"
)

// factors is the full list of factors.
func (g *Gateway) factors() []mfa.Factor {
	return []mfa.Factor{
		otp.New(otp.Options{
			Issuer: func() string { return *g.tenant.Load() },
			Past:   g.Config.OTP.Skew, Now: g.Now, Random: g.Random,
		}),
		recovery.New(recovery.Options{Live: g.Config.Recovery.Codes, Random: g.Random, Ring: g.ring.Ring}),
	}
}
