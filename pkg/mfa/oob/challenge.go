package oob

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/record"
)

// A Challenge waits for an answer on a second device. The oob_code goes to the client, and
// is kept nowhere; a code, if there is one, goes to one side, and only a person who has
// both can bring it to the other (SP 800-63B, 3.1.3).
type Challenge struct {
	ID            string         `json:"id"`     // as the oob_code reads
	Handle        string         `json:"handle"` // the transaction, or access token, that it belongs to
	Authenticator string         `json:"authenticator"`
	Channel       string         `json:"channel"` // "auth0"
	Binding       record.Binding `json:"binding"`
	Code          string         `json:"code,omitempty"` // the digits, sealed, where the device shows them
	Hash          string         `json:"hash,omitempty"` // a keyed hash of them, where nothing has to
	// Answered is set when the device itself answers, and the client has to poll; else
	// whoever has the code is who was asked.
	Answered  bool      `json:"answered"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`

	// What the device may show of the login that it is asked about.
	Subject  string   `json:"subject"`
	Client   string   `json:"client"`
	Address  string   `json:"address,omitempty"`
	Agent    string   `json:"agent,omitempty"`  // User-Agent
	Locale   string   `json:"locale,omitempty"` // Accept-Language
	Audience []string `json:"audience,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
}

// State is where a challenge stands.
type State string

// The states. Of the last four none leads to another, but for a denial, which SQL has
// fenced and which therefore wins. That an approved one is redeemed once is decided in SQL
// too (record.Approval).
const (
	Pending    State = "pending"
	Approved   State = "approved"
	Denied     State = "denied"
	Superseded State = "superseded" // by a newer one for the same device
	Expired    State = "expired"
)

// How polls are counted (RFC 8628, 3.5; Q8).
const (
	Interval  = 5 * time.Second        // between polls of one challenge, at first
	Slower    = 5 * time.Second        // added to it with each poll that comes too soon
	Slowest   = time.Minute            // and it grows no longer
	Tolerance = 500 * time.Millisecond // what a poll may come too early by
	Lease     = time.Second            // how long one poll alone may redeem an approval
	// Window is how long an approval can be redeemed at least, also when it came in the
	// last moment of its challenge: what the device was told is true (D.5, invariant 2).
	Window = 30 * time.Second
)

// Bound reports whether an approval alone redeems nothing: the client has to send the code.
func (c Challenge) Bound() bool { return c.Answered && c.Binding == record.BindingToPage }

// Polled is what a poll finds.
type Polled struct {
	State         State         // Pending while it is out, or while another poll redeems it
	TooSoon       bool          // nothing else was looked at
	Wait          time.Duration // until the next poll is welcome
	Authenticator string        // of an approved one, or one that is not answered by polling
	Answered      bool          // as the challenge has it
	Waiting       bool          // the poll's Waiter is the one who waits
}

// Poll is one look at a challenge.
type Poll struct {
	ID string
	// Waiter names who goes on waiting if the answer is out. A challenge has one: the last
	// one to come takes the place of the one before, who is woken and finds that.
	Waiter string
	// Woken is set when that one looks again, which is no poll. One whose place was taken is
	// not told of an approval: that is for whom the client listens to now.
	Woken bool
	// Bare is set when the client sent no binding_code. To such a poll a challenge that needs
	// one is out still when it is approved: whoever has no code may be bombing, and must not
	// learn that somebody tapped.
	Bare bool
}

// Store keeps challenges until they expire. It may lose them: then their users are asked
// again. Each method is one step that is done whole or not at all.
type Store interface {
	// CreateChallenge keeps a challenge, pending, until [Window] after its ExpiresAt. An ID
	// that exists already is an error and changes nothing.
	CreateChallenge(ctx context.Context, c Challenge) error
	// Challenge returns a challenge and where it stands, or fault.NotFound.
	Challenge(ctx context.Context, id string) (Challenge, State, error)
	// Poll counts a poll, and says what it finds, or fault.NotFound. One that comes sooner
	// than the interval after the last one, less the [Tolerance], is TooSoon, whatever the
	// state, and the interval grows by [Slower], for every node. Of those that find the
	// challenge approved within a [Lease] only the first is told; to the others it is Pending
	// until the lease is over, when a poll is welcome again.
	// What is not Answered has no interval.
	Poll(ctx context.Context, p Poll) (Polled, error)
	// Decide moves a challenge from Pending to Approved, Denied or Superseded, and wakes who
	// waits for it. The same again is no error; what has been decided otherwise or is gone is
	// fault.NotFound. Denied takes the place of every other. An approval can be redeemed for
	// a [Window] at least.
	Decide(ctx context.Context, id string, s State) error
	// Listen tells heard of each challenge that is decided, or whose waiter was replaced, on
	// any node; and of "" when it begins, and when it may have missed some. It returns when
	// ctx ends, with nil.
	Listen(ctx context.Context, heard func(id string)) error
}
