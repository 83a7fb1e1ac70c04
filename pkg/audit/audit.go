// Package audit is the record of who proved what, when, and what came of it.
//
// An [Event] is a row that is only ever added. The event of an issuance is written
// in the transaction that issues (record.Issuance), the event of a refusal in the
// one that counts it; everything else goes through a [Log]. No event carries a
// secret.
//
// What is committed is sealed afterwards, so that nobody who issues waits for anybody
// else: a [Seal] for each record, in the order in which a sealer sees them. [Verify]
// finds what was done to sealed records.
package audit

import (
	"context"
	"time"
)

// Type names what happened.
type Type string

// The events of a login, of enrollment and of administration.
const (
	TokensIssued    Type = "tokens.issued"
	TokensRevoked   Type = "tokens.revoked" // by the client that they were issued to
	TokensReused    Type = "tokens.reused"  // a refresh token that was used up: its session ended
	TokensRefused   Type = "tokens.refused" // all factors held, and yet nothing was issued: a lost race, a blocked user
	PasswordRefused Type = "password.refused"
	FactorDemanded  Type = "factor.demanded" // the first factor held, mfa_required was answered
	FactorRefused   Type = "factor.refused"
	Confirmed       Type = "authenticator.confirmed" // a new one is active
	CodeUsed        Type = "recovery_code.used"
	PasswordChanged Type = "password.changed"
	Disabled        Type = "authenticator.disabled" // by too many wrong proofs
	Asked           Type = "challenge.sent"         // a second device was asked
	Approved        Type = "challenge.approved"     // and its person said yes
	Denied          Type = "challenge.denied"
	Reported        Type = "challenge.reported" // denied, and it was somebody else who logged in
	AnswerRefused   Type = "answer.refused"     // a device's answer that is late, forged, replayed or about another login
	DeviceChanged   Type = "device.changed"
	DeviceGone      Type = "device.unreachable"  // its push service knows it no more
	Undelivered     Type = "message.undelivered" // its provider gave up after having accepted it
	Associated      Type = "authenticator.associated"
	Removed         Type = "authenticator.removed"
	UserChanged     Type = "user.changed"
	ClientChanged   Type = "client.changed"
	APIChanged      Type = "api.changed"
	KeyCreated      Type = "key.created"
	KeyChosen       Type = "key.chosen"  // a sealing key that every node holds
	KeyRemoved      Type = "key.removed" // a sealing key that nothing is sealed with
)

// Event is one row of the record.
type Event struct {
	At             time.Time
	Type           Type
	Success        bool
	Reason         string   // the fault.Kind of a refusal, or what was changed
	Subject        string   // whom it concerns, empty when nobody is known
	Client         string   // the OAuth client, empty for administration
	Session        string   // the session that was made or used
	Transaction    string   // the id of the login between its factors: what a demand and its answers share
	Authenticators []string // the authenticators that were tried or changed
	Grant          string   // the grant type, or the command of an administrator
	Address        string   // the end user's IP address as far as it can be trusted
}

// A Query chooses records by the time of their events.
type Query struct {
	Since, Until time.Time // from and before; zero: no bound
	After        string    // the id of the last record of the page before
	Limit        int
	// Abandoned chooses demands for a second factor, made before this time, that no tokens
	// followed; zero: everything.
	Abandoned time.Time
}

// Log takes events that belong to no other transaction.
type Log interface {
	// Append adds one event. An error means that it is not recorded.
	Append(ctx context.Context, e Event) error
}
