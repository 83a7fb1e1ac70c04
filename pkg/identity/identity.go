// Package identity knows subjects and checks their first factor.
//
// A [Verifier] turns credentials for a connection into a [User]. The one made here,
// [Passwords], checks passwords: hashing is gated, an unknown user costs the same as
// a wrong password, and imported hashes are upgraded at the next success.
package identity

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// DefaultConnection is the connection, and the only realm, of the gateway's own users.
const DefaultConnection = "Username-Password-Authentication"

// User is a subject.
type User struct {
	ID            string // the "sub" of tokens
	Username      string // as it was given, not normalized
	Email         string
	EmailVerified bool
	PhoneNumber   string // E.164
	Name          string
	Blocked       bool
	Reported      bool // a device denied a login as somebody else's, with the password of now; only where users are listed
	UpdatedAt     time.Time
	PasswordAt    time.Time // when the password was set; zero where it is not the gateway's
}

// Credentials are what somebody presents as a first factor.
type Credentials struct {
	Connection string
	Username   string // a user name or an e-mail address
	Password   secret.Text
}

// Identity is the outcome of a first factor that held.
type Identity struct {
	User    User
	Methods []string  // amr values proved here or upstream
	At      time.Time // when they were
}

// Verifier checks a first factor. It may create the user it returns (an upstream
// directory). With a refusal comes the user that was named, if there is one: for the
// record, never for the answer (R24). It fails with fault.WrongPassword, fault.UserBlocked (only after the
// right password), fault.Overloaded or fault.Unavailable.
type Verifier interface {
	Verify(ctx context.Context, c Credentials) (Identity, error)
}

// UserStore finds users for [Passwords].
type UserStore interface {
	// UserByIdentifier returns the user that the normalized identifier names at the
	// connection, and its password hash (empty when it has none), or fault.NotFound.
	UserByIdentifier(ctx context.Context, connection, normalized string) (User, string, error)
	// HashOfEachCost returns one password hash for each [Cost] that hashes of the
	// store have, at most limit.
	HashOfEachCost(ctx context.Context, limit int) ([]string, error)
	// ReplacePasswordHash sets a new hash if the old one is still in place; it is no
	// error if it is not.
	ReplacePasswordHash(ctx context.Context, userID, from, to string) error
}
