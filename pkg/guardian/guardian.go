// Package guardian is the contract with people's phones: what apps that were built with the
// Guardian SDKs of any generation ask of a gateway, and how they are answered.
//
// [Protocol] judges; it knows no HTTP. [Endpoints] are its requests and answers on the wire.
package guardian

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Authenticators finds what a subject has enrolled, also what is pending.
type Authenticators interface {
	Authenticators(ctx context.Context, subject string, now time.Time) ([]mfa.Authenticator, error)
}

// Stores are where the protocol's state is; all are needed.
type Stores struct {
	Devices        oob.DeviceStore
	Tickets        oob.TicketStore
	Answers        oob.Asks
	Challenges     oob.Store
	Authenticators Authenticators
	Redeemer       record.Redeemer
	Limiter        throttle.Limiter
	Audit          audit.Log
}

// Options are what the protocol works with; all are needed.
type Options struct {
	Stores
	Transactions push.Transactions
	Services     []string // push services that the gateway has credentials for
	URL          string   // the public one; a Host header is never believed
	Issuer       func() string
	Limits       throttle.Limits
	Ring         *secret.Ring
	Now          func() time.Time
}

// Protocol judges what phones send.
type Protocol struct {
	o    Options
	base string // the public URL as phones write it: without a slash at its end
}

// New makes the protocol.
func New(o Options) *Protocol { return &Protocol{o: o, base: strings.TrimRight(o.URL, "/")} }

func (p *Protocol) now() time.Time { return p.o.Now().UTC().Truncate(time.Millisecond) }

// From is where a request comes from.
type From struct {
	Address string
	Agent   string // User-Agent
	App     string // Auth0-Client
}

// device finds a device and its key; gone is what it means that there is none.
func (p *Protocol) device(ctx context.Context, id string, gone fault.Kind) (oob.Device, *signer.DeviceKey, error) {
	d, err := p.o.Devices.Device(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return oob.Device{}, nil, gone
	}
	if err != nil {
		return oob.Device{}, nil, fault.Because(fault.Unavailable, fmt.Errorf("read a device: %w", err))
	}
	key, err := signer.ParseDeviceKey([]byte(d.Key))
	if err != nil {
		return oob.Device{}, nil, fmt.Errorf("read the key of a device: %w", err)
	}
	return d, key, nil
}

// The prefixes under which phones reach their endpoints: apps with an SDK before 0.9
// (Android) and 1.5 (Swift) know none (section 2.1).
var prefixes = []string{"/" + push.ApplianceMFA, ""}

// audience reports whether a token of a phone is meant for one of our endpoints. The first
// SDKs put the base URL alone there (section 2.3); only where that is allowed.
func (p *Protocol) audience(aud, endpoint string, alone bool) bool {
	aud = folded(aud)
	for _, prefix := range prefixes {
		base := folded(p.base + prefix)
		if aud == base+endpoint || alone && (aud == base || aud == base+"/") {
			return true
		}
	}
	return false
}

// What a phone's clock may be wrong by, each way: it was never set by us, and what it signs
// is good once anyway.
const skew = 120 * time.Second

// timely reports whether a token is of now: not from the future, not over, and not made to
// last longer than that.
func (p *Protocol) timely(claims members, longest time.Duration) bool {
	iat, ok := claims.number("iat")
	exp, also := claims.number("exp")
	now, slack := float64(p.now().UnixMilli())/1000, skew.Seconds()
	return ok && also && iat <= now+slack && exp >= now-slack && exp >= iat && exp-iat <= longest.Seconds()
}

// refused records that something was not taken from a phone.
func (p *Protocol) refused(ctx context.Context, e audit.Event, cause error) error {
	kind := fault.Of(cause)
	if kind == fault.Unavailable || kind == fault.Internal {
		return cause // nothing was judged
	}
	e.At, e.Type, e.Reason = p.now(), audit.AnswerRefused, kind.Error()
	if err := p.o.Audit.Append(ctx, e); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("record a refusal: %w", err))
	}
	return cause
}
