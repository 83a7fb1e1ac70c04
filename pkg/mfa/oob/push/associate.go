package push

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// ApplianceMFA is the path segment that newer SDKs put before the endpoints of devices.
const ApplianceMFA = "appliance-mfa"

const (
	ticketLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	ticketLength  = 32 // 190 bits
)

// Enroll implements oob.Channel. The challenge is answered when the phone is there. Its app
// reads the ticket out of the code; any other authenticator app reads the seed and becomes
// the twin alone.
func (ch *Channel) Enroll(ctx context.Context, c *oob.Challenge, r mfa.Enrolling) (mfa.Enrollment, error) {
	c.Answered, c.Binding = true, record.BindingPlain
	id, err := handle.NewID("push", ch.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	device := DeviceOf(id)
	twin, err := otp.NewAuthenticator(TwinOf(device), ch.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	twin.Group = device
	ticket, err := newTicket(ch.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	err = ch.o.Tickets.CreateTicket(ctx, oob.Ticket{
		Hash: secret.Hash(ticket), Challenge: c.ID, Subject: r.Subject, Authenticator: id,
		ExpiresAt: earlier(c.ExpiresAt, c.CreatedAt.Add(mfa.Window)),
	})
	if err != nil {
		return mfa.Enrollment{}, fault.Because(fault.Unavailable, fmt.Errorf("keep a ticket: %w", err))
	}
	return mfa.Enrollment{
		Authenticators: []mfa.Authenticator{{ID: id, Type: mfa.OOB, Channel: channelName, Group: device}, twin},
		Reply:          map[string]any{"oob_channel": channelName, "barcode_uri": ch.barcode(r.Account.Name, ticket, twin)},
	}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// barcode is what the phone scans (section 4), its members in the order in which the
// browser's SDK writes them.
func (ch *Channel) barcode(account string, ticket secret.Text, twin mfa.Authenticator) string {
	issuer := ch.o.Issuer()
	return otp.KeyURI(issuer, account,
		"secret", twin.Secret.Reveal(), "enrollment_tx_id", ticket.Reveal(), "issuer", issuer, "id", twin.Group,
		"base_url", strings.TrimRight(ch.o.URL, "/")+"/"+ApplianceMFA, "algorithm", strings.ToLower(twin.Algorithm),
		"digits", strconv.Itoa(twin.Digits), "counter", "0", "period", strconv.Itoa(int(twin.Period.Seconds())))
}

// newTicket makes a ticket. It stands between quotes in a header, so it has letters and
// digits alone.
func newTicket(random io.Reader) (secret.Text, error) {
	text := make([]byte, ticketLength)
	for i := range text {
		n, err := rand.Int(random, big.NewInt(int64(len(ticketLetters))))
		if err != nil {
			return secret.Text{}, fmt.Errorf("make a ticket: %w", err)
		}
		text[i] = ticketLetters[n.Int64()]
	}
	return secret.New(string(text)), nil
}
