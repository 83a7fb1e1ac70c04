package oob

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// An Outcome is what became of a message at one provider.
type Outcome string

// The first three are known when it is sent, the others from a [Receipt], if one ever comes.
const (
	Accepted    Outcome = "accepted" // which is not delivered
	Refused     Outcome = "refused"
	Unavailable Outcome = "unavailable"
	Delivered   Outcome = "delivered"
	Undelivered Outcome = "undelivered"
)

// A Callback is what a provider sends about a message, as it came.
type Callback struct {
	URL    string // where it was asked to send it: no Host header is believed
	Query  string
	Header func(name string) string // empty as well when it stands there twice
	Body   []byte
}

// A Receipt is what a provider says of a message. It proves nothing: not that a person has
// read it, nor who that was.
type Receipt struct {
	ID      string  // of the message
	Outcome Outcome // empty while it is under way
	Reason  string  // why it was not delivered, in the provider's words
}

// ReceiptURL is where a provider of a channel, counted from 0, sends receipts.
func ReceiptURL(public, channel string, provider int) string {
	return fmt.Sprintf("%sreceipts/%s/%d", public, channel, provider)
}

// ProviderName is what a provider of a channel is called in the log and in metrics: its place
// in the configuration.
func ProviderName(channel string, provider int) string {
	if provider == 0 {
		return channel
	}
	return fmt.Sprintf("%s.fallback[%d]", channel, provider-1)
}

// A Reference is the ID of a message from within. To providers it tells nothing; the gateway
// knows of one that comes back what it was sent for, and that nobody made it up.
type Reference struct {
	Transaction string    // the login, or access token, that the message belongs to
	Until       time.Time // what is said of the message later is of no interest
}

const (
	messagePurpose = "message"
	// Of a seal's two dots: they separate what Standard Webhooks sign.
	sealDot, idDot = ".", "~"
)

// Seal makes the ID of a message of a channel, another one each time.
func (r Reference) Seal(ring *secret.Ring, channel string) (string, error) {
	text := secret.New(strconv.FormatInt(r.Until.UnixMilli(), 10) + " " + r.Transaction)
	sealed, err := ring.Seal(messagePurpose, channel, text)
	if err != nil {
		return "", fmt.Errorf("name a message: %w", err)
	}
	return strings.ReplaceAll(sealed, sealDot, idDot), nil
}

// OpenReference opens the ID of a message of a channel. There is one spelling of it; for all
// else it fails with fault.NotFound.
func OpenReference(ring *secret.Ring, channel, id string) (Reference, error) {
	body := id[strings.LastIndex(id, idDot)+1:]
	if _, err := base64.RawURLEncoding.Strict().DecodeString(body); err != nil || strings.ContainsAny(id, sealDot+"\r\n") {
		return Reference{}, fault.NotFound
	}
	text, err := ring.Open(messagePurpose, channel, strings.ReplaceAll(id, idDot, sealDot))
	if err != nil {
		return Reference{}, fault.NotFound
	}
	until, transaction, _ := strings.Cut(text.Reveal(), " ")
	at, err := strconv.ParseInt(until, 10, 64)
	if err != nil {
		return Reference{}, fault.NotFound
	}
	return Reference{Transaction: transaction, Until: time.UnixMilli(at).UTC()}, nil
}
