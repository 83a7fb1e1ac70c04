// Package fault names what can go wrong.
//
// Inside the gateway a failure is a [Kind], at any depth under any number of
// wraps: errors.Is(err, fault.WrongOTP). What a client gets to see of it is
// decided once, in the catalogue of package grants; the text of every other
// error in the chain is for the log alone.
package fault

import (
	"errors"
	"time"
)

// A Kind is one row of the error catalogue (Auth0 MFA API, section 3.6). Several
// kinds may share an OAuth error code. The text is for logs and metrics.
type Kind string

// Error returns the kind's word, for logs.
func (k Kind) Error() string { return string(k) }

// Failures of the request itself.
const (
	BadRequest       Kind = "bad_request"       // cannot be parsed, or contradicts itself
	MissingParameter Kind = "missing_parameter" // Details.Param names it
	BodyTooLarge     Kind = "body_too_large"
	BodyTooSlow      Kind = "body_too_slow"
	UnknownGrant     Kind = "unknown_grant" // no such grant_type is served
	UnknownAudience  Kind = "unknown_audience"
	ScopeNotAllowed  Kind = "scope_not_allowed" // a scope of a known API that this client may not have
	NotFound         Kind = "not_found"
	BadMethod        Kind = "bad_method"
)

// Failures of the client.
const (
	BadClient       Kind = "bad_client"        // unknown, disabled, or its credentials are wrong
	GrantNotAllowed Kind = "grant_not_allowed" // Details.Param is the grant type
	FactorOff       Kind = "factor_off"        // an "mfa: off" client asked for what needs a second factor
)

// Failures of the first factor.
const (
	WrongPassword Kind = "wrong_password" // also an unknown user: nobody outside can tell (R24)
	UserBlocked   Kind = "user_blocked"
	BadPassword   Kind = "bad_password" // a new password that policy refuses; Details.Param says why
)

// Failures of a refresh token or of a session that is stepped up.
const (
	BadRefreshToken  Kind = "bad_refresh_token"  // unknown, expired, revoked, or another client's
	UsedRefreshToken Kind = "used_refresh_token" // used up: its family ends
	SubjectGone      Kind = "subject_gone"       // its user was deleted
	UnmetACR         Kind = "unmet_acr"          // acr_values that no login here can reach
	StaleSession     Kind = "stale_session"      // it is too old to be stepped up
	StalePassword    Kind = "stale_password"     // the password was proved too long ago for this
)

// StepUpBegun is no failure though it goes the way of one: Details.Extra is all of the
// answer, an mfa_token that was asked for (RFC 9470 without a browser).
const StepUpBegun Kind = "step_up_begun"

// Failures of the second factor.
const (
	MFARequired         Kind = "mfa_required" // Details.Extra carries mfa_token and mfa_requirements
	MalformedMFAToken   Kind = "malformed_mfa_token"
	MFATokenExpired     Kind = "mfa_token_expired"
	ForeignMFAToken     Kind = "foreign_mfa_token"
	WrongOTP            Kind = "wrong_otp"
	UsedOTP             Kind = "used_otp" // right, but used before: refused, not counted
	WrongRecoveryCode   Kind = "wrong_recovery_code"
	UsedRecoveryCode    Kind = "used_recovery_code" // right, but used before: refused, not counted
	NoRecoveryCode      Kind = "no_recovery_code"
	NotEnrolled         Kind = "not_enrolled"         // an MFA grant, and the user has no active authenticator
	AssociationRequired Kind = "association_required" // a challenge, and the user has no active authenticator
	UnverifiedAddress   Kind = "unverified_address"   // a first factor, where the user's e-mail has to be verified for one
	AlreadyEnrolled     Kind = "already_enrolled"     // enrolling a further factor with an mfa_token
	UnsupportedType     Kind = "unsupported_type"     // enrolled, but not with the requested type
	UnknownFactor       Kind = "unknown_factor"       // no factor or channel of that name is served
	NoAuthenticator     Kind = "no_authenticator"     // unknown, inactive or another user's
	NotRemovable        Kind = "not_removable"        // recovery codes while there is a factor, or any without having proved one
	MalformedOOBCode    Kind = "malformed_oob_code"
	OOBCodeExpired      Kind = "oob_code_expired"
	ForeignOOBCode      Kind = "foreign_oob_code" // of another login than the mfa_token
	WrongBindingCode    Kind = "wrong_binding_code"
	BadPhoneNumber      Kind = "bad_phone_number"  // not E.164, or none that messages are sent to
	BadEmailAddress     Kind = "bad_email_address" // not one mailbox
	ForeignAddress      Kind = "foreign_address"   // to enroll, and not known to be the subject's own
	Pending             Kind = "pending"           // nobody has answered yet; Details.RetryAfter says when to ask again
	SlowDown            Kind = "slow_down"         // asked too soon; the same, and longer from now on
	Rejected            Kind = "rejected"          // the person said no
	TooManyMessages     Kind = "too_many_messages"
	TooManyFailures     Kind = "too_many_failures" // wrong ones; Details.RetryAfter says how long no other is looked at
	TooManyAttempts     Kind = "too_many_attempts" // passwords, or associations that wait
)

// Failures of a bearer token at /mfa/* and /userinfo.
const (
	NoBearer          Kind = "no_bearer"
	BadBearer         Kind = "bad_bearer" // garbage, consumed, of another audience
	InsufficientScope Kind = "insufficient_scope"
	BadAccessToken    Kind = "bad_access_token" // RFC 6750 invalid_token, at /userinfo
	ForeignToken      Kind = "foreign_token"    // a token to revoke that was issued to another client
)

// Failures of the gateway.
const (
	Unavailable   Kind = "unavailable"   // a dependency is down: 503 and Retry-After, never a token
	Overloaded    Kind = "overloaded"    // the hashing queue is full: 503 and Retry-After
	Undeliverable Kind = "undeliverable" // no message reaches the person in this way, also not later
	Internal      Kind = "internal"
)

// Details is a Kind with what the answer or the log needs beside it.
type Details struct {
	Kind       Kind
	Param      string         // fills the %s of a catalogue row
	RetryAfter time.Duration  // sent as Retry-After when positive
	Extra      map[string]any // further members of the answer
	Err        error          // the cause; its text goes to the log alone
}

// Error returns the kind's word and the cause's text, for logs.
func (d *Details) Error() string {
	if d.Err == nil {
		return d.Kind.Error()
	}
	return d.Kind.Error() + ": " + d.Err.Error()
}

// Unwrap lets errors.Is find the kind as well as the cause.
func (d *Details) Unwrap() []error { return []error{d.Kind, d.Err} }

// Because gives err a kind; nil stays nil. An err that already has a kind keeps it.
func Because(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	if Of(err) != Internal {
		return err
	}
	return &Details{Kind: kind, Err: err}
}

// Param is a kind with the parameter its description names.
func Param(kind Kind, param string) error { return &Details{Kind: kind, Param: param} }

// Of returns the first kind in err's chain, [Internal] when it has none.
func Of(err error) Kind {
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}

// Guess reports whether the failure is a wrong second factor, which counts towards
// the limits on attempts.
func (k Kind) Guess() bool {
	return k == WrongOTP || k == WrongRecoveryCode || k == WrongBindingCode
}

// Replay reports whether the failure is a right second factor that was used before.
// The client cannot tell it from a wrong one, but it is no guess.
func (k Kind) Replay() bool { return k == UsedOTP || k == UsedRecoveryCode }
