// Package throttle limits attempts (SP 800-63B, 3.2.2 "Rate Limiting").
//
// Failures are counted where the attacker cannot reset them: by user and by
// authenticator, in SQL, in a transaction that no failing request rolls back
// (R9, R17). Success ends the count of the authenticator that succeeded, with the
// tokens (record.Store).
package throttle

import (
	"context"

	"github.com/sallyport/sallyport/pkg/audit"
)

// Failure is one wrong second factor.
type Failure struct {
	Subject        string
	Authenticators []string // those that the wrong proof was held against
	Event          audit.Event
}

// Counter counts failures durably.
type Counter interface {
	// CountFailure adds one failure to the user and to each authenticator, with the
	// audit event, in a transaction of its own. Of any number of concurrent calls
	// each is counted.
	CountFailure(ctx context.Context, f Failure) error
}
