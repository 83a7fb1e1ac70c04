// Package receipt takes what providers say became of messages: texts and calls that were
// accepted, and then not delivered.
//
// A receipt proves nothing about a person, so it changes nothing: no login, no code, no
// budget. It is counted, and one that says that a message did not arrive is recorded, once,
// however often it comes.
package receipt

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A Channel knows the signatures of its providers.
type Channel interface {
	About() oob.About
	// Receipt reads what a provider has signed. It fails with fault.NotFound if there is none
	// that sends receipts, with fault.BadReceipt, or with fault.BadRequest.
	Receipt(provider int, c oob.Callback) (oob.Receipt, error)
}

// Options are what receipts are taken with; all are needed.
type Options struct {
	Channels []Channel
	Store    record.Receiver
	Ring     *secret.Ring
	URL      string // the public one
	Counted  func(channel, provider string, o oob.Outcome)
	Now      func() time.Time
}

// Desk takes receipts.
type Desk struct{ o Options }

// New makes a desk.
func New(o Options) *Desk { return &Desk{o: o} }

// reasons are those that may stand in the record: a word, or a number too short for a code
// or somebody's telephone.
var reasons = regexp.MustCompile(`^([0-9]{1,5}|[A-Za-z][A-Za-z_-]{0,31})$`)

// Take takes what a provider of a channel sent. That it fails with what [Channel] fails with
// says that the signature, or what was signed, is wrong; of a message that is unknown, or
// was sent long ago, there is nothing to say.
func (d *Desk) Take(ctx context.Context, channel string, provider int, c oob.Callback) error {
	i := slices.IndexFunc(d.o.Channels, func(c Channel) bool { return c.About().Name == channel })
	if i < 0 {
		return fault.NotFound
	}
	r, err := d.o.Channels[i].Receipt(provider, c)
	if err != nil || r.Outcome == "" {
		return err
	}
	about, err := oob.OpenReference(d.o.Ring, channel, r.ID)
	if err != nil || !d.o.Now().Before(about.Until) {
		return nil //nolint:nilerr // whoever signed it need not be told
	}
	name := oob.ProviderName(channel, provider)
	once := record.Redemption{Kind: "receipt", Hash: secret.Hash(secret.New(name + " " + string(r.Outcome) + " " + r.ID)), ExpiresAt: about.Until}
	first, err := d.keep(ctx, once, name, about, r)
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("keep a receipt: %w", err))
	}
	if first {
		d.o.Counted(channel, name, r.Outcome)
	}
	return nil
}

// keep reports whether a receipt is the first one that says so.
func (d *Desk) keep(ctx context.Context, once record.Redemption, provider string, about oob.Reference, r oob.Receipt) (bool, error) {
	if r.Outcome != oob.Undelivered {
		return d.o.Store.Redeem(ctx, once)
	}
	reason := provider
	if reasons.MatchString(r.Reason) {
		reason += ": " + r.Reason
	}
	return d.o.Store.Receive(ctx, once, audit.Event{
		At: d.o.Now().UTC().Truncate(time.Millisecond), Type: audit.Undelivered, Reason: reason, Transaction: about.Transaction,
	})
}
