// Package signer signs tokens and publishes the keys that verify them.
//
// It is the only package that imports jwx, so that the next version of that library
// is a change of this folder alone.
package signer

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// Key is a signing key as it is kept.
type Key struct {
	ID        string      // "kid"
	Algorithm string      // "ES256" or "RS256"
	Private   secret.Text // the private key as a JWK; sealed at rest by the store
	CreatedAt time.Time
	SignsAt   time.Time // from when on it signs; published before (O-JW-3)
	RetiresAt time.Time // from when on it is not published, zero while nobody knows
}

// KeyStore keeps signing keys.
type KeyStore interface {
	// SigningKeys returns every key, in the order in which they sign.
	SigningKeys(ctx context.Context) ([]Key, error)
	// AddFirstSigningKey adds a key unless its algorithm has one already, and reports
	// whether it did: of any number of nodes that start together one makes the key.
	AddFirstSigningKey(ctx context.Context, k Key) (bool, error)
}
