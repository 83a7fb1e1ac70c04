package oob

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// A Carrier takes codes to people: as a text message, a call, a mail. It is all that is
// particular to such a channel; what they have in common is in [NewCodes].
type Carrier interface {
	About() About
	// Address reads where codes shall go from what a client sent. One number or mailbox has
	// one form, however it was written. It fails with fault.BadPhoneNumber,
	// fault.BadEmailAddress, fault.MissingParameter or fault.ForeignAddress.
	Address(r mfa.Enrolling) (Address, error)
	// Budgets are those that a message to an authenticator takes from. Whoever asks for codes to
	// an address that is not confirmed may be anybody: they share budgets that those who have it
	// do not wait for. It fails, as Address does, for an address that is not served any more.
	Budgets(a mfa.Authenticator) ([]Budget, error)
	// Send hands a message to somebody who delivers it. It is told once, and tries as often
	// as the time allows ([Deliver]); nil means that it was accepted. It fails with
	// fault.Undeliverable where trying again would not help, else with fault.Unavailable.
	Send(ctx context.Context, m Message) error
}

// About says what a channel for codes is called.
type About struct {
	Name    string   // the oob_channel, and the prefix of its authenticators: "sms"
	Kind    string   // the factor as mfa_requirements names it; those of one kind are twins, and share their addresses
	Methods []string // the amr of a login that was finished with it (RFC 8176)
}

// Address is where codes go.
type Address struct {
	To   secret.Text // "+4915550100042"
	Name string      // as it may be shown: "XXXXXXXXX0042"
}

// A Budget is a bucket that messages fill.
type Budget struct {
	throttle.Bucket
	// Unanswered is set if it counts those alone whose code did not come back: who pumps
	// messages to numbers of their own has no use for the codes (standards, S-4). A confirmed
	// authenticator whose last code came back neither waits for it nor fills it.
	Unanswered bool
}

// A Message brings a code to a person.
type Message struct {
	ID        string // one for all that try to deliver it, so that it is not sent twice; see [Reference]
	To        secret.Text
	Code      secret.Text // six digits
	Service   string      // the name that people know the gateway by
	Host      string      // the site that the code is for, as browsers compare it: "app.example.com"
	Client    string      // client_id
	Locale    string      // the languages that the person reads, as Accept-Language has them; empty: not known
	ExpiresIn time.Duration
	URL       string // the gateway's public one, for receipts
	// Told hears from each provider that was asked, by its name; nil: nobody wants to know.
	Told func(provider string, o Outcome)
}

// Via is a provider of the message. What comes of it is told.
func (m Message) Via(name string, offer func(ctx context.Context) error) Provider {
	return Provider{Name: name, Offer: func(ctx context.Context) error {
		err := offer(ctx)
		outcome := Accepted
		if err != nil {
			outcome = Unavailable
		}
		if fault.Of(err) == fault.Undeliverable {
			outcome = Refused
		}
		if m.Told != nil {
			m.Told(name, outcome)
		}
		return err
	}}
}

// MaxWrong is how many wrong codes end a challenge (standards, S-12). Each counts for the
// user as well, whom no new challenge gives more.
const MaxWrong = 5

// A CodeAsk is a message with a code that shall be sent.
type CodeAsk struct {
	Challenge     Challenge
	Authenticator mfa.Authenticator
	Budgets       []Budget
	Event         audit.Event
}

// CodeStore knows of each authenticator the one challenge whose code is worth something,
// and counts what was sent, where no attacker can reset that.
type CodeStore interface {
	// AdmitCode makes a challenge the live one of its authenticator, and fills the budgets;
	// of one that its owner never enrolled (mfa.Authenticator.Automatic) there is a row from
	// now on. If a budget has no room it changes nothing and fails with
	// fault.TooManyMessages and the time that is left. Both are recorded with the event,
	// which gets the success or the reason. It fails with fault.UserBlocked, and with
	// fault.MalformedMFAToken for what a report has ended.
	AdmitCode(ctx context.Context, a CodeAsk) error
}

// Clients knows clients.
type Clients interface {
	// Client fails with fault.NotFound.
	Client(ctx context.Context, id string) (record.Client, error)
}
