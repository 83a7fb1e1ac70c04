package record

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A Consumption is something that a login uses up, as data: it is applied with the
// tokens and the audit event, or not at all. Each is one of the types below.
type Consumption interface {
	// Spent is the failure when somebody else was first.
	Spent() fault.Kind
}

// Redemption ends a handle that lives in the state store. Its row in SQL is the
// fence: a state store that lost or resurrected the handle changes nothing (standards
// 6.2).
type Redemption struct {
	Kind      string // "mfa_token"; "client_assertion", "consent_proof" and "receipt" (Redeemer)
	Hash      string // the handle's id as the state store knows it
	ExpiresAt time.Time
	// Began is when the login of an mfa_token did: one from before its subject reported that
	// somebody else logs in is over.
	Began time.Time
}

// Spent reports a consumed mfa_token as one that cannot be read (section 3.6).
func (Redemption) Spent() fault.Kind { return fault.MalformedMFAToken }

// StepUse accepts a time step of a one-time password, once ever: only a step greater
// than the last accepted one can be used (RFC 6238, 5.2; T-4).
type StepUse struct {
	Authenticator string
	Step          int64
}

// Spent reports a step that was accepted before.
func (StepUse) Spent() fault.Kind { return fault.UsedOTP }

// CodeUse spends a recovery code of an authenticator and adds the one that replaces
// it, if any.
type CodeUse struct {
	Authenticator string
	Hash          string // secret.Hash of the canonical code
	Replacement   string // the same of the new code; empty: none
}

// Spent reports a recovery code that was used before.
func (CodeUse) Spent() fault.Kind { return fault.UsedRecoveryCode }

// Approval uses up an out-of-band challenge that was answered, together with the
// authenticator's success. A no uses it up as well, at once: whatever the state store
// remembers later, it was said.
type Approval struct {
	Authenticator string
	Challenge     string // its id
	ExpiresAt     time.Time
}

// Spent implements Consumption.
func (Approval) Spent() fault.Kind { return fault.Rejected }

// BindingCode uses up an out-of-band challenge whose code came back, together with the
// authenticator's success: if it is the authenticator's latest, and too many wrong codes
// did not end it. What its message took from budgets of unanswered ones is given back.
type BindingCode struct {
	Authenticator string
	Challenge     string // its id
	ExpiresAt     time.Time
}

// Spent implements Consumption.
func (BindingCode) Spent() fault.Kind { return fault.WrongBindingCode }

// InHand lets tokens be issued only while the access token that was sent for them is not
// revoked. Nothing is used up.
type InHand struct{ Access string }

// Spent reports that it was revoked meanwhile.
func (InHand) Spent() fault.Kind { return fault.BadAccessToken }

// NoFactor lets tokens be issued for a password alone only while the subject has no
// active authenticator: one that was enrolled since must be asked for.
type NoFactor struct{}

// Spent asks the client to come again: then the factor is demanded.
func (NoFactor) Spent() fault.Kind { return fault.Unavailable }

// Confirmation activates a pending authenticator, its twins (same group) and the
// recovery codes that were associated under the same handle.
type Confirmation struct {
	Authenticator string
	Handle        string // what it was associated under: a transaction or access token id
	First         bool   // only if the subject has no active authenticator yet
}

// Spent reports a confirmation that lost against another enrollment.
func (Confirmation) Spent() fault.Kind { return fault.MalformedMFAToken }

// Rotation uses up a refresh token, whose successor the same issuance holds (RFC 9700,
// 4.14.2).
type Rotation struct {
	Hash      string    `json:"hash"`     // secret.Hash of the token
	Family    string    `json:"family"`   // the successor's as well
	Audience  []string  `json:"audience"` // and these: what it may be used for stays as it was
	Scopes    []string  `json:"scopes"`
	ExpiresAt time.Time `json:"expires_at"` // of the whole family: no login lasts for ever
	// Leeway is how long after its first use the token may be used again, at most
	// [FurtherUses] times: for clients that refresh in parallel. It is not kept: what waits
	// for a second factor has none.
	Leeway time.Duration `json:"-"`
}

// FurtherUses bounds the uses of a refresh token within its leeway, after the first.
const FurtherUses = 5

// Spent reports a refresh token that was used up before.
func (Rotation) Spent() fault.Kind { return fault.UsedRefreshToken }

// AccessToken is what is kept of an issued access token.
type AccessToken struct {
	ID            string // jti
	Audience      []string
	Scopes        []string
	ExpiresAt     time.Time
	KeyThumbprint string // jkt of a DPoP-bound token (RFC 9449); empty for Bearer
	Parent        string // the id of the access token that it was had for, without a proof; it ends with that
}

// RefreshToken is what is kept of an issued refresh token.
type RefreshToken struct {
	Hash          string // secret.Hash of the token
	Family        string // all tokens that rotation made of the first
	Audience      []string
	Scopes        []string
	ExpiresAt     time.Time
	KeyThumbprint string
}

// OwnAccess is what a client gets for itself (RFC 6749, 4.4). It has no place for a
// subject, a session or a proof: nothing that is issued for it can be a user's.
type OwnAccess struct {
	Client   string
	Grant    string // the grant type, for the record
	Audience string // the one API
	Scopes   []string
	Address  string
}

// Issuance is a finished login: what it uses up, and what it yields.
type Issuance struct {
	At time.Time
	// Session is made here, or one that is there gets its new proofs; without CreatedAt
	// it has to be there (fault.NotFound when it is over). With neither ID nor Subject it
	// names the client that acts for itself.
	Session  Session
	Consumes []Consumption
	Access   AccessToken
	Refresh  *RefreshToken // nil: none
	Event    audit.Event
}

// Own reports whether the issuance is a client's for itself. One that names a session
// or a user at all is a user's.
func (i Issuance) Own() bool { return i.Session.ID == "" && i.Session.Subject == "" }

// Store keeps issuances.
type Store interface {
	// Issue commits all of an issuance or nothing. The subject must exist and not be
	// blocked (fault.UserBlocked), the client not be disabled (fault.BadClient). One
	// that a client has for itself has no refresh token and no proof (fault.Internal). Of
	// any number of concurrent issuances that consume the same thing exactly one
	// succeeds; the others get the consumption's Spent kind.
	Issue(ctx context.Context, i Issuance) error
	// AccessTokenActive reports whether the token with this jti was issued and neither
	// it, its session, its client nor its subject has been revoked since.
	AccessTokenActive(ctx context.Context, id string, now time.Time) (bool, error)
}

// Redeemer ends what is used up alone, without an issuance.
type Redeemer interface {
	// Redeem reports whether it was the first to end this, of any number of concurrent
	// ones on any number of nodes. What it ended stays so until it expires.
	Redeem(ctx context.Context, r Redemption) (bool, error)
}

// Receiver is a [Redeemer] of what has an event.
type Receiver interface {
	Redeemer
	// Receive is Redeem with the event, which is recorded with the first one, or that was
	// none.
	Receive(ctx context.Context, r Redemption, e audit.Event) (bool, error)
}

// Sessions finds sessions.
type Sessions interface {
	// Session returns a session with its proofs, or fault.NotFound when it is unknown or
	// was revoked.
	Session(ctx context.Context, id string) (Session, error)
}

// Renewal is what a refresh token stands for.
type Renewal struct {
	Rotation Rotation  // without a leeway: that is the client's
	Session  Session   // with its proofs
	UsedAt   time.Time // of its first use; zero: it is good
}

// RefreshTokens finds refresh tokens.
type RefreshTokens interface {
	// RefreshToken returns what a token of the client stands for, also when it was used up.
	// It fails with fault.BadRefreshToken when it is unknown, another client's, expired or
	// revoked, with fault.SubjectGone, or with fault.UserBlocked.
	RefreshToken(ctx context.Context, hash, client string, now time.Time) (Renewal, error)
}

// Tokens are the answer to a finished login.
type Tokens struct {
	Access   secret.Text
	ID       secret.Text // empty unless openid was granted
	Refresh  secret.Text // empty unless offline_access was granted
	Type     string      // "Bearer"
	Lifetime time.Duration
	Scopes   []string
}
