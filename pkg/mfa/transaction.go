package mfa

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/record"
)

// Origin says what a login began with.
type Origin string

// The origins. Further ones come with other systems' wire.
const (
	FromPassword   Origin = "password"
	FromRefresh    Origin = "refresh"
	FromStepUp     Origin = "step_up"    // a live access token
	FromManagement Origin = "management" // an access token for /mfa/ confirms what it associated
)

// Login is what a client asked for and a subject has proved so far.
type Login struct {
	Subject       string         `json:"subject"`
	Client        string         `json:"client"`
	Origin        Origin         `json:"origin"`
	Grant         string         `json:"grant"` // the grant type it began with
	Scopes        []string       `json:"scopes"`
	Audience      []string       `json:"audience"`
	Proofs        []record.Proof `json:"proofs"`
	Session       string         `json:"session,omitempty"` // a session in hand, when refreshing or stepping up
	Address       string         `json:"address,omitempty"`
	KeyThumbprint string         `json:"jkt,omitempty"` // RFC 9449: the key that must finish it
	// Until bounds the tokens that are issued without a further proof; zero: nothing does.
	Until time.Time `json:"until,omitzero"`
	// Access is the id of the access token in hand, when stepping up: what comes of it
	// without a further proof ends with it, and so does what waits for one.
	Access string `json:"access,omitempty"`
	// Rotates is the refresh token that the login uses up; nil: none.
	Rotates *record.Rotation `json:"rotates,omitempty"`
	// Continuation is the origin's own, opaque here: what it goes on with once the login
	// is cleared.
	Continuation json.RawMessage `json:"continuation,omitempty"`
}

// Transaction is the state between "first factor right" and "tokens issued"; its
// handle is the mfa_token.
type Transaction struct {
	ID        string    `json:"id"` // derived from the mfa_token, which is stored nowhere
	Login     Login     `json:"login"`
	Factors   []string  `json:"factors,omitempty"` // the ids of the factors that the subject had when it began
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Reset reports whether the subject had factors when the transaction began and has none
// of them any more. Then somebody took them away, and what the password alone had
// reached is over: it must not enroll another one (D.5, invariant 3).
func (t Transaction) Reset(all []Authenticator) bool {
	return len(t.Factors) > 0 && !slices.ContainsFunc(factors(all), func(id string) bool { return slices.Contains(t.Factors, id) })
}

// factors are the ids of the active factors.
func factors(all []Authenticator) []string {
	var ids []string
	for _, a := range all {
		if Enrolled([]Authenticator{a}) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// Expired reports whether the transaction is over at the given moment.
func (t Transaction) Expired(now time.Time) bool { return !now.Before(t.ExpiresAt) }

// TransactionStore keeps transactions until they end or expire. It may lose them:
// then their subjects log in again. That none succeeds twice is not its task but
// that of record.Redemption.
type TransactionStore interface {
	// CreateTransaction keeps a transaction until its ExpiresAt. An ID that exists
	// already is an error and changes nothing.
	CreateTransaction(ctx context.Context, t Transaction) error
	// Transaction returns a live transaction or fault.NotFound.
	Transaction(ctx context.Context, id string) (Transaction, error)
	// EndTransaction forgets a transaction. Ending one that is gone is no error.
	EndTransaction(ctx context.Context, id string) error
}
