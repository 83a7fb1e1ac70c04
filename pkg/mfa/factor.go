package mfa

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A Factor verifies one type of authenticator.
type Factor interface {
	Type() AuthenticatorType
	// Params names the request parameters that carry the proof; the first is required.
	// The caller removes them from the request once they are read.
	Params() []string
	// Verify judges a proof and says what it would use up. It changes nothing: the
	// consumptions are applied with the tokens and the audit event, or not at all.
	Verify(ctx context.Context, a Authenticator, p Proof) (Verified, error)
}

// A Structured factor takes some of its parameters as JSON objects.
type Structured interface {
	Factor
	// Objects names those of Params that are objects; their proof is raw JSON.
	Objects() []string
}

// A Selective factor verifies some authenticators of its type only.
type Selective interface {
	Factor
	// Serves reports whether it can verify the authenticator: whether its channel is there.
	Serves(a Authenticator) bool
}

// Proof is what the client sends to prove an authenticator, by parameter name; the
// mfa_token that it came with is among them. A parameter that a factor declares as an
// object arrives as raw JSON.
type Proof map[string]secret.Text

// Verified is a proof that held, and what must be spent for it.
type Verified struct {
	Methods  []string             // amr values, RFC 8176
	Consumes []record.Consumption // a time step, a recovery code, a challenge
	Reply    map[string]any       // further members of the token answer
}

// A Challenger is a Factor that has to act before the user can answer. A one-time
// password needs no challenge; a text message does.
type Challenger interface {
	Factor
	// Challenge begins a challenge within a transaction and returns the public members
	// of the answer beside challenge_type.
	Challenge(ctx context.Context, a Asking) (map[string]any, error)
}

// Asking is a challenge that shall begin.
type Asking struct {
	Transaction   Transaction
	Authenticator Authenticator
	Binding       record.Binding // the client's own; empty: whatever the gateway has
	Address       string         // where it was asked from, with what (User-Agent), and by whom
	Agent         string
	Locale        string // the languages of the person, as Accept-Language has them
}

// MaxWait bounds how long a client may wait for an answer before it asks again.
const MaxWait = 30 * time.Second

// An Awaited factor is proved by an answer that somebody gives elsewhere, and later.
type Awaited interface {
	Factor
	// Await fails with fault.Pending or fault.SlowDown while the answer is out, and with
	// fault.Rejected when it was no. It asks the state store once and nobody else; with wait,
	// it may take so long for an answer to come.
	Await(ctx context.Context, handle string, p Proof, wait time.Duration) (Answered, error)
}

// Answered is what a proof of an [Awaited] factor is about.
type Answered struct {
	Authenticator string // the one that the proof has to be held against; empty: what it is about is gone
	Challenge     string // the id of the challenge that a code is sent for; empty: it is no code
}

// An Enroller is a Factor that a subject can enroll.
type Enroller interface {
	Factor
	// Kinds names what can be enrolled, as mfa_requirements lists it.
	Kinds() []string
	// Enroll makes authenticators that are not stored and not active yet.
	Enroll(ctx context.Context, r Enrolling) (Enrollment, error)
}

// A Companion is a Factor whose authenticator comes along with the subject's first
// one: recovery codes.
type Companion interface {
	Factor
	Accompany(ctx context.Context, r Enrolling) (Enrollment, error)
}

// Enrolling is a request to enroll.
type Enrolling struct {
	Subject string
	Client  string
	Handle  string // what it is associated under, for a code that only this may confirm
	Account Account
	Channel string // the first oob_channels entry; empty for otp
	Params  map[string]string
	// OwnAddress is set when only what is known to be the subject's own may be enrolled:
	// nothing but the password was proved.
	OwnAddress bool
	Address    string // where it was asked from
	Locale     string // the languages of the person, as Accept-Language has them
}

// Enrollment is what enrolling made.
type Enrollment struct {
	Authenticators []Authenticator
	Reply          map[string]any // members of the /mfa/associate answer
	// Send tells the person, once what was made is stored; nil: nobody has to be told. If it
	// fails, so does the association.
	Send func(ctx context.Context) error
}
