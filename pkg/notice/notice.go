// Package notice tells people what happened to their accounts (R32): that a factor was
// added, removed, used up or disabled, that the password was changed, and that somebody
// with the password did not get further.
//
// A notice is stored in the transaction of what it tells of, so there is one for whatever
// was committed, and none for anything else. A [Teller] of any node hands it to the
// [Notifier] afterwards, where no request waits for it. It is told at least once, also
// when a node dies, and twice only when one dies in between.
package notice

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
)

// A Notice is what a user is to be told. It holds no secret.
type Notice struct {
	ID             string     // of its event in the audit
	Type           audit.Type // of the event; factor.demanded: and nobody proved the factor
	At             time.Time
	Subject        string
	Client         string // the OAuth client, empty for administration
	Address        string // where it was done from, as far as it can be trusted
	Grant          string // the grant type, or the command of an administrator
	Authenticators []Authenticator
	Attempt        int // to tell it, the first is 1
}

// An Authenticator is what a notice says of one: as the user knows it.
type Authenticator struct {
	Type    string `json:"type"` // authenticator_type
	Channel string `json:"channel,omitempty"`
	Name    string `json:"name,omitempty"` // the user's own
}

// A Notifier is a way to people.
type Notifier interface {
	// Notify tells one notice. After an error it is called again, some time later, so it
	// need not try twice. It may be called twice for one ID. A user who was deleted in the
	// meantime is nobody to tell, which is no error.
	Notify(ctx context.Context, n Notice) error
}

// Store keeps notices.
type Store interface {
	// ClaimNotice returns a notice that is due, and makes it due again after [Wait]: whoever
	// does not end it by then lets another one try. Of any number of concurrent callers one
	// gets it. It fails with fault.NotFound when nothing is due.
	ClaimNotice(ctx context.Context) (Notice, error)
	// EndNotice says that a notice was told, or is given up.
	EndNotice(ctx context.Context, id string) error
}

// Life is how long a notice is tried to be told, and kept.
const Life = 72 * time.Hour

// silence is how long a user is not told again of what anybody who knows the password can
// do as often as they like: a notice must not be a way to flood somebody.
const silence = 24 * time.Hour

// Concerns reports whether the user is told of an event as it is recorded. A demand for a
// factor becomes something to tell only when nobody answers it.
func Concerns(e audit.Event) bool {
	switch e.Type {
	case audit.Confirmed, audit.CodeUsed, audit.PasswordChanged, audit.Removed:
		return e.Success // without, it was tried
	case audit.Disabled, audit.Reported:
		return true
	case audit.FactorRefused:
		return e.Reason == fault.TooManyFailures.Error() // somebody guesses
	default:
		return false
	}
}

// Silence is how long after a notice of the type its user is told of no other one; 0 for
// what is always told.
func Silence(t audit.Type) time.Duration {
	if t == audit.FactorDemanded || t == audit.FactorRefused {
		return silence
	}
	return 0
}
