package mfa

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/secret"
)

// AuthenticatorType is the authenticator_type of the Auth0 MFA API.
type AuthenticatorType string

// The authenticator types of the contract.
const (
	OTP          AuthenticatorType = "otp"
	OOB          AuthenticatorType = "oob"
	RecoveryCode AuthenticatorType = "recovery-code"
)

// Authenticator is something that a subject enrolled.
type Authenticator struct {
	ID      string // "totp|dev_h3Kf9aPzQ1uNe7Rd"
	Subject string
	Type    AuthenticatorType
	Channel string // the oob_channel of an out-of-band authenticator, else empty
	Name    string // as it may be shown: a masked number, the name of a phone
	Group   string // twins carry the same: they are confirmed and deleted together

	Address secret.Text // where codes are sent: a number (E.164), a mailbox
	// Automatic is set for the address that the subject is known to have: it is there without
	// having been enrolled, and counts for no enrollment (Auth0 MFA API, 4.2).
	Automatic bool

	Secret    secret.Text // the seed of one-time passwords
	Algorithm string      // "SHA1"; together with Digits and Period as RFC 6238 has them
	Digits    int
	Period    time.Duration
	LastStep  int64 // the last time step that was accepted; 0 before the first

	Codes []LookupSecret // recovery codes, live ones and the latest used ones

	Origin      string    // how it came: "mfa_api", later an importer's name
	Handle      string    // what it was associated under; only that may confirm it
	CreatedAt   time.Time // UTC, whole milliseconds, like every time here
	ConfirmedAt time.Time // zero while pending
	ExpiresAt   time.Time // when a pending one is over; not used once confirmed
	LastAuth    time.Time // zero before the first use
	DisabledAt  time.Time // zero unless too many failures disabled it
	Failures    int       // wrong proofs since its last success
}

// LookupSecret is a recovery code as it is kept (SP 800-63B, 3.1.2).
type LookupSecret struct {
	Hash string // secret.Hash of the canonical code
	Used bool
}

// Active reports whether the authenticator was confirmed. A disabled one is active
// still: it counts as enrolled, so that disabling it opens no way to enroll another.
func (a Authenticator) Active() bool { return !a.ConfirmedAt.IsZero() }

// Usable reports whether the authenticator can finish a login.
func (a Authenticator) Usable() bool { return a.Active() && a.DisabledAt.IsZero() }

// Pending reports whether the authenticator waits for its first proof under handle.
func (a Authenticator) Pending(handle string, now time.Time) bool {
	return !a.Active() && a.Handle == handle && now.Before(a.ExpiresAt)
}

// Kind is the factor's name in mfa_requirements and in the "type" of a listed row.
func (a Authenticator) Kind() string {
	switch a.Channel {
	case "sms", "voice":
		return "phone"
	case "auth0":
		return "push-notification"
	case "":
		return string(a.Type)
	default:
		return a.Channel
	}
}

// Enrolled reports whether any of a subject's authenticators is an active factor.
// Recovery codes alone are none: they come with a factor and stand in for it. Nor is an
// address that nobody enrolled.
func Enrolled(all []Authenticator) bool {
	return slices.ContainsFunc(all, func(a Authenticator) bool { return a.Active() && a.Type != RecoveryCode && !a.Automatic })
}

// ErrChanged says that a subject's authenticators are not those any more that something
// was decided on.
var ErrChanged = errors.New("the authenticators have changed meanwhile")

// AuthenticatorStore keeps authenticators. An error from it never means that there
// are none.
//
// Associate and Remove change what the subject of a credential has. They fail with
// fault.BadBearer, and change nothing, when the credential ended since it was read: by a
// revocation, its own use, a change of the password that was proved, or because subject
// or client were stopped. What ends a credential and what it changes follow one another.
type AuthenticatorStore interface {
	// Authenticators returns what the subject has: active, disabled and pending, oldest
	// first, without those that were deleted or whose pending time is over; and at last the
	// verified address of the subject as an active one, unless it was enrolled too.
	Authenticators(ctx context.Context, subject string, now time.Time) ([]Authenticator, error)
	// Associate adds pending authenticators and the audit event, all or none, if the
	// subject still has what was seen; else it fails with ErrChanged. Codes of an
	// authenticator are stored with it.
	Associate(ctx context.Context, c Credential, seen, pending []Authenticator, e audit.Event) error
	// Remove deletes authenticators, with their secrets and codes, if the subject still
	// has what was seen; else it fails with [ErrChanged].
	Remove(ctx context.Context, c Credential, seen []Authenticator, ids []string, e audit.Event) error
	// Alive reports whether a transaction may still be used: that it was not finished, its
	// client is not disabled, and its subject is neither gone nor blocked and has the
	// password that was proved. The state store may know it all the same, for it is not
	// the one that decides.
	Alive(ctx context.Context, t Transaction) (bool, error)
	// Account fails with fault.NotFound or fault.UserBlocked.
	Account(ctx context.Context, subject string) (Account, error)
}

// Account is what enrolling asks about a subject.
type Account struct {
	Name     string // as an authenticator app shows it
	Verified bool   // Email is known to be the subject's own
	Email    string // as it was registered; empty: none
}
