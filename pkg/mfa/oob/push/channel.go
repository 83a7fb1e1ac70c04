package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/mileusna/useragent"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// agentLimit is how much of a User-Agent is looked at; browsers' are half as long.
const agentLimit = 512

// channelName is the oob_channel of push.
const channelName = "auth0"

// Accounts knows what a subject is called.
type Accounts interface {
	// Account fails with fault.NotFound or fault.UserBlocked.
	Account(ctx context.Context, subject string) (mfa.Account, error)
}

// Stores are where the channel keeps what it knows; all are needed.
type Stores struct {
	Devices  oob.DeviceStore
	Tickets  oob.TicketStore
	Pushes   oob.Asks
	Accounts Accounts
	Clients  oob.Clients
}

// Options are what the channel works with; all are needed.
type Options struct {
	Stores
	Sender       Sender
	Transactions Transactions
	URL          string         // the public one
	Issuer       func() string  // the name that people know this gateway by
	Binding      record.Binding // of clients that have none of their own: plain or code_to_page
	Limits       oob.Limits
	Now          func() time.Time
	Random       io.Reader
	Log          *slog.Logger
}

// Channel asks devices that run an app with a Guardian SDK.
type Channel struct{ o Options }

var _ oob.Channel = (*Channel)(nil)

// NewChannel makes the channel.
func NewChannel(o Options) *Channel { return &Channel{o: o} }

// Name implements oob.Channel.
func (*Channel) Name() string { return channelName }

// Kind implements oob.Channel.
func (*Channel) Kind() string { return "push-notification" }

// Methods implements oob.Channel: the key that answers is software's as far as anybody
// knows, and somebody tapped.
func (*Channel) Methods() []string { return []string{"swk", "pop", "user"} }

// DeviceOf is the id of the device behind an authenticator: what its twins share.
func DeviceOf(authenticator string) string {
	_, id, _ := strings.Cut(authenticator, "|")
	return id
}

// TwinOf is the id of the authenticator that makes one-time passwords on a device.
func TwinOf(device string) string { return "totp|" + device }

// Admit implements oob.Messenger. Whoever was denied, or not answered, too often, gets a
// push that a tap alone does not answer (section 14.3).
func (ch *Channel) Admit(ctx context.Context, c *oob.Challenge, _ mfa.Authenticator) (string, error) {
	c.Answered = true
	c.Binding = cmp.Or(c.Binding, ch.o.Binding)
	admitted, err := ch.o.Pushes.Admit(ctx, oob.Ask{Challenge: *c, Event: audit.Event{
		At: ch.o.now(), Type: audit.Asked, Success: true, Subject: c.Subject, Client: c.Client, Transaction: c.Handle,
		Authenticators: []string{c.Authenticator}, Address: c.Address,
	}}, ch.o.Limits)
	if err != nil {
		return "", fault.Because(fault.Unavailable, fmt.Errorf("admit a push: %w", err))
	}
	if c.Binding == record.BindingPlain && (admitted.Denied || admitted.Refusals >= ch.o.Limits.Code) {
		c.Binding = record.BindingToPage
	}
	return admitted.Replaced, nil
}

func (o Options) now() time.Time { return o.Now().UTC().Truncate(time.Millisecond) }

// withdrawing bounds how long the answer waits for a push to be taken back. It has time of
// its own: a service that hangs has used up the request's.
const withdrawing = 500 * time.Millisecond

// Send implements oob.Messenger. The code is not sent: a locked screen would show it. What
// fails is taken back, for the client gets no oob_code: a service that is down must neither
// look like somebody who does not answer nor keep other logins waiting.
func (ch *Channel) Send(ctx context.Context, c oob.Challenge, a mfa.Authenticator, _ secret.Text) error {
	err := ch.send(ctx, c, a)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawing)
		defer cancel()
		err = errors.Join(err, ch.o.Pushes.Withdraw(ctx, c))
	}
	return err
}

func (ch *Channel) send(ctx context.Context, c oob.Challenge, a mfa.Authenticator) error {
	device, err := ch.o.Devices.Device(ctx, DeviceOf(a.ID))
	switch {
	case errors.Is(err, fault.NotFound):
		return fault.NoAuthenticator
	case err != nil:
		return fault.Because(fault.Unavailable, fmt.Errorf("read a device: %w", err))
	case !device.EndpointGone.IsZero():
		return &fault.Details{Kind: fault.Undeliverable, Err: ErrEndpointGone}
	}
	m, err := ch.message(ctx, c, device)
	if err != nil {
		return err
	}
	err = ch.o.Sender.Send(ctx, device.Endpoint, m)
	if again(ctx, err) {
		err = ch.o.Sender.Send(ctx, device.Endpoint, m)
	}
	if errors.Is(err, ErrEndpointGone) {
		err = errors.Join(err, ch.disable(ctx, c, device))
	}
	if err != nil {
		ch.o.Log.WarnContext(ctx, "a push was not delivered", "authenticator", a.ID, "service", device.Endpoint.Service, "error", err)
	}
	return err
}

// again reports whether the same message may be taken at once: a service that names a time
// means it, and nobody waits here for that.
func again(ctx context.Context, err error) bool {
	var d *fault.Details
	return errors.As(err, &d) && d.Kind == fault.Unavailable && d.RetryAfter == 0 && ctx.Err() == nil
}

// disable notes that a device cannot be reached any more.
func (ch *Channel) disable(ctx context.Context, c oob.Challenge, d oob.Device) error {
	err := ch.o.Devices.DisableEndpoint(ctx, d.ID, d.Endpoint, ch.o.now(), audit.Event{
		At: ch.o.now(), Type: audit.DeviceGone, Success: true, Subject: d.Subject, Client: c.Client, Transaction: c.Handle,
		Authenticators: []string{d.Authenticator}, Address: c.Address,
	})
	if err != nil && !errors.Is(err, fault.NotFound) {
		return fmt.Errorf("disable an endpoint: %w", err)
	}
	return nil
}

// message is what the device is told.
func (ch *Channel) message(ctx context.Context, c oob.Challenge, d oob.Device) (Message, error) {
	account, err := ch.o.Accounts.Account(ctx, c.Subject)
	if err != nil {
		return Message{}, fault.Because(fault.Unavailable, fmt.Errorf("name the account: %w", err))
	}
	client, err := ch.o.Clients.Client(ctx, c.Client)
	if err != nil {
		return Message{}, fault.Because(fault.Unavailable, fmt.Errorf("name the client: %w", err))
	}
	token, err := ch.o.Transactions.make(c)
	if err != nil {
		return Message{}, err
	}
	browser, system := origin(c.Agent)
	return Message{
		ID: c.ID, Token: token, Device: d.ID, Challenge: c.ID, At: c.CreatedAt, ExpiresAt: c.ExpiresAt, Service: ch.o.URL,
		Browser: browser, OS: system,
		Location: Place{Name: c.Address}, Consent: Consent(c), Enter: c.Binding == record.BindingToPhone,
		Issuer: ch.o.Issuer(), Account: account.Name, Client: cmp.Or(client.Name, client.ID),
	}, nil
}

// origin is what a User-Agent says of where a login comes from. The parser looks at bytes:
// of what is no text it would make another.
func origin(agent string) (browser, system Software) {
	a := useragent.Parse(strings.ToValidUTF8(agent[:min(len(agent), agentLimit)], ""))
	return Software{Name: a.Name, Version: a.Version}, Software{Name: a.OS, Version: a.OSVersion}
}
