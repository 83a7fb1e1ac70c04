package oob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// CodesOptions are what channels for codes work with; all are needed.
type CodesOptions struct {
	Carriers []Carrier
	Store    CodeStore
	Clients  Clients
	URL      string        // the public one
	Service  func() string // the name that people know this gateway by
	Counted  func(channel, provider string, o Outcome)
	Ring     *secret.Ring
	Now      func() time.Time
	Random   io.Reader
	Log      *slog.Logger
}

// receiptsFor is how long after its code a message may still be reported on. Networks give
// up sooner.
const receiptsFor = 24 * time.Hour

// codeChannel is a channel whose messages carry a code, which the client sends back.
type codeChannel struct {
	Carrier

	twins []About // itself, and those that share its addresses
	o     CodesOptions
}

var _ Channel = codeChannel{}

// NewCodes makes a channel of each carrier. The code goes out only after what it costs was
// taken from every budget; only the latest one of an authenticator is worth something.
func NewCodes(o CodesOptions) []Channel {
	var all []Channel
	for _, c := range o.Carriers {
		ch := codeChannel{Carrier: c, twins: []About{c.About()}, o: o}
		for _, other := range o.Carriers {
			if a := other.About(); a.Kind == c.About().Kind && a.Name != c.About().Name {
				ch.twins = append(ch.twins, a)
			}
		}
		all = append(all, ch)
	}
	return all
}

// Name implements Channel.
func (c codeChannel) Name() string { return c.About().Name }

// Kind implements Channel.
func (c codeChannel) Kind() string { return c.About().Kind }

// Methods implements Channel.
func (c codeChannel) Methods() []string { return c.About().Methods }

// Enroll implements Channel: an authenticator for each channel that reaches the address.
func (c codeChannel) Enroll(_ context.Context, ch *Challenge, r mfa.Enrolling) (mfa.Enrollment, error) {
	ch.Binding = record.BindingToPage
	address, err := c.Address(r)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	id, err := handle.NewID(c.Name(), c.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	device := id[len(c.Name())+1:]
	var made mfa.Enrollment
	for _, twin := range c.twins {
		a := mfa.Authenticator{ID: twin.Name + "|" + device, Type: mfa.OOB, Channel: twin.Name, Name: address.Name, Address: address.To}
		if len(c.twins) > 1 {
			a.Group = device
		}
		made.Authenticators = append(made.Authenticators, a)
	}
	return made, nil
}

// Admit implements Messenger.
func (c codeChannel) Admit(ctx context.Context, ch *Challenge, a mfa.Authenticator) (string, error) {
	ch.Answered, ch.Binding = false, record.BindingToPage
	budgets, err := c.Budgets(a)
	if err != nil {
		return "", undeliverable(err)
	}
	err = c.o.Store.AdmitCode(ctx, CodeAsk{Challenge: *ch, Authenticator: a, Budgets: budgets, Event: audit.Event{
		At: c.o.Now().UTC().Truncate(time.Millisecond), Type: audit.Asked, Success: true, Subject: ch.Subject, Client: ch.Client,
		Transaction: ch.Handle, Authenticators: []string{a.ID}, Address: ch.Address,
	}})
	if err != nil {
		return "", fault.Because(fault.Unavailable, fmt.Errorf("admit a message: %w", err))
	}
	return "", nil
}

// undeliverable is what an address comes to that may not be written to any more, and was
// enrolled when it might.
func undeliverable(err error) error {
	if k := fault.Of(err); k != fault.BadPhoneNumber && k != fault.BadEmailAddress {
		return err
	}
	return &fault.Details{Kind: fault.Undeliverable, Err: errors.New("the address of the authenticator is not served")}
}

// Send implements Messenger.
func (c codeChannel) Send(ctx context.Context, ch Challenge, a mfa.Authenticator, code secret.Text) error {
	host, err := c.host(ctx, ch.Client)
	if err != nil {
		return err
	}
	id, err := Reference{Transaction: ch.Handle, Until: ch.ExpiresAt.Add(receiptsFor)}.Seal(c.o.Ring, c.Name())
	if err != nil {
		return err
	}
	err = c.Carrier.Send(ctx, Message{
		ID: id, To: a.Address, Code: code, Service: c.o.Service(), Host: host,
		Client: ch.Client, Locale: ch.Locale, ExpiresIn: ch.ExpiresAt.Sub(ch.CreatedAt), URL: c.o.URL,
		Told: func(provider string, o Outcome) { c.o.Counted(c.Name(), provider, o) },
	})
	if err != nil {
		c.o.Log.WarnContext(ctx, "a message was not delivered", "channel", c.Name(), "authenticator", a.ID, "error", err)
	}
	return fault.Because(fault.Unavailable, err)
}

// host is the site whose page takes the code, as far as is known: that of the client, else
// the gateway's own.
func (c codeChannel) host(ctx context.Context, id string) (string, error) {
	client, err := c.o.Clients.Client(ctx, id)
	if err != nil {
		return "", fault.Because(fault.Unavailable, fmt.Errorf("name the site: %w", err))
	}
	for _, origin := range slices.Concat(client.Origins, []string{c.o.URL}) {
		if u, err := url.Parse(origin); err == nil && u.Hostname() != "" {
			return u.Hostname(), nil
		}
	}
	return "", fmt.Errorf("name the site: %q has no host", c.o.URL)
}
