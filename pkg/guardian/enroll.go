package guardian

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// lostAnswer is how long a phone may ask again for the answer to its enrollment: networks
// lose some.
const lostAnswer = time.Minute

// endpointLimit bounds the name that a service has for a device, in bytes.
const endpointLimit = 4 << 10

// Enrolled is what a phone keeps of its enrollment. Every member is needed by some SDK.
type Enrolled struct {
	ID      string `json:"id"`
	URL     string `json:"url"`
	Issuer  string `json:"issuer"`
	Subject string `json:"user_id"`
	Token   string `json:"token"`
	TOTP    TOTP   `json:"totp"`
}

// TOTP is the one-time-password twin as a phone keeps it. One SDK takes algorithms in lower
// case alone, another one numbers alone.
type TOTP struct {
	Secret    string `json:"secret"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"`
}

// Enroll gives the authenticator of a ticket its device (section 5), and lets the client
// that waits for that go on. The body is looked at for good tickets only.
func (p *Protocol) Enroll(ctx context.Context, ticket secret.Text, body []byte, from From) (Enrolled, error) {
	t, err := p.o.Tickets.Ticket(ctx, secret.Hash(ticket))
	if errors.Is(err, fault.NotFound) {
		return Enrolled{}, fault.TicketNotFound
	}
	if err != nil {
		return Enrolled{}, fault.Because(fault.Unavailable, fmt.Errorf("read a ticket: %w", err))
	}
	d, err := p.described(body)
	if err != nil {
		return Enrolled{}, err
	}
	twin, err := p.twin(ctx, t)
	if err != nil {
		return Enrolled{}, err
	}
	token, err := p.opaque(ticket, d)
	if err != nil {
		return Enrolled{}, err
	}
	d.ID, d.Authenticator, d.Subject = push.DeviceOf(t.Authenticator), t.Authenticator, t.Subject
	d.TokenHash, d.EnrolledAt = secret.Hash(token), p.now()
	if err := p.bind(ctx, t, d, from); err != nil {
		return Enrolled{}, err
	}
	return Enrolled{
		ID: d.ID, URL: p.base, Issuer: p.o.Issuer(), Subject: d.Subject, Token: token.Reveal(),
		TOTP: TOTP{twin.Secret.Reveal(), strings.ToLower(twin.Algorithm), twin.Digits, int(twin.Period.Seconds())},
	}, nil
}

// described is the device as it describes itself.
func (p *Protocol) described(body []byte) (oob.Device, error) {
	m, err := parseMembers(body)
	if err != nil {
		return oob.Device{}, err
	}
	identifier, ok := m.text("identifier")
	if !ok || identifier == "" || identifier != printable(identifier, textLimit) {
		return oob.Device{}, fault.Param(fault.BadRequest, "identifier")
	}
	d := oob.Device{Identifier: identifier}
	if m.has("name") {
		if d.Name, ok = m.text("name"); !ok {
			return oob.Device{}, fault.Param(fault.BadRequest, "name")
		}
		d.Name = printable(d.Name, textLimit)
	}
	if d.Endpoint, err = p.endpoint(m); err != nil {
		return oob.Device{}, err
	}
	key, err := signer.ParseDeviceKey(m["public_key"])
	if err != nil {
		return oob.Device{}, &fault.Details{Kind: fault.BadRequest, Param: "public_key", Err: err}
	}
	d.Key = key.String()
	return d, nil
}

// endpoint is where the device takes messages. A service that the gateway has no
// credentials for is refused here, not at the first login.
func (p *Protocol) endpoint(m members) (oob.Endpoint, error) {
	credentials, _ := m.object("push_credentials")
	service, ok := credentials.text("service")
	token, also := credentials.text("token")
	if !ok || !also || token == "" || len(token) > endpointLimit {
		return oob.Endpoint{}, fault.Param(fault.BadRequest, "push_credentials")
	}
	if !slices.Contains(p.o.Services, service) {
		return oob.Endpoint{}, fault.ServiceOff
	}
	return oob.Endpoint{Service: service, Token: secret.New(token)}, nil
}

// twin is the authenticator that makes one-time passwords on the same device.
func (p *Protocol) twin(ctx context.Context, t oob.Ticket) (mfa.Authenticator, error) {
	all, err := p.o.Authenticators.Authenticators(ctx, t.Subject, p.now())
	if err != nil {
		return mfa.Authenticator{}, fault.Because(fault.Unavailable, fmt.Errorf("read a seed: %w", err))
	}
	id := push.TwinOf(push.DeviceOf(t.Authenticator))
	i := slices.IndexFunc(all, func(a mfa.Authenticator) bool { return a.ID == id })
	if i < 0 {
		return mfa.Authenticator{}, fault.TicketNotFound // removed, or its time is over
	}
	return all[i], nil
}

// opaque is the token that old apps change their device account with. The same phone gets
// the same for the same ticket; only our key tells anybody what it is.
func (p *Protocol) opaque(ticket secret.Text, d oob.Device) (secret.Text, error) {
	mac, err := p.o.Ring.MAC("device-token", ticket.Reveal(), d.Key)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make a device token: %w", err)
	}
	sum := sha256.Sum256([]byte(mac))
	return secret.New(base64.RawURLEncoding.EncodeToString(sum[:])), nil
}

// bind stores the device and approves the challenge of its enrollment. The same phone may
// do so again for a while, because neither is done twice.
func (p *Protocol) bind(ctx context.Context, t oob.Ticket, d oob.Device, from From) error {
	e := p.event(audit.DeviceChanged, d, from)
	e.Reason = "enrolled"
	known, err := p.o.Devices.Device(ctx, d.ID)
	switch {
	case errors.Is(err, fault.NotFound):
		err = p.o.Devices.EnrollDevice(ctx, d, p.now(), e)
	case err != nil:
	case known.Key != d.Key || known.TokenHash != d.TokenHash || p.now().Sub(known.EnrolledAt) >= lostAnswer:
		err = fault.DeviceConflict
	}
	if errors.Is(err, fault.DeviceConflict) {
		// Whoever shows another key may have looked over somebody's shoulder.
		return p.refused(ctx, p.event(audit.AnswerRefused, d, from), fault.DeviceConflict)
	}
	if err == nil {
		err = p.o.Challenges.Decide(ctx, t.Challenge, oob.Approved)
	}
	if errors.Is(err, fault.NotFound) {
		return fault.TicketNotFound // what it belongs to has ended
	}
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("enroll a device: %w", err))
	}
	return nil
}

// event is the record of what a device did.
func (p *Protocol) event(kind audit.Type, d oob.Device, from From) audit.Event {
	return audit.Event{At: p.now(), Type: kind, Success: kind != audit.AnswerRefused, Subject: d.Subject,
		Authenticators: []string{d.Authenticator}, Address: from.Address}
}
