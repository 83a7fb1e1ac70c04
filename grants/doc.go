// Package grants adapts the gateway to fosite: the password grants that can answer
// mfa_required, and one handler for every MFA grant type.
//
// A grant does three things. It checks what no grant may skip ([Options] and the file
// check.go: client, grant type, scopes), it lets the domain judge, and it has tokens
// issued for the clearance that came of it. What went wrong leaves as a fault; the
// catalogue in errors.go is the only place where a fault becomes an OAuth error.
package grants

import (
	"context"

	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Issuer makes the tokens of a clearance and commits them with everything that the
// login uses up, together or not at all.
type Issuer interface {
	Issue(ctx context.Context, c mfa.Clearance) (record.Tokens, error)
}

// Options are what the grants work with; all but Manage are needed.
type Options struct {
	Registry record.Registry
	Users    identity.Verifier
	// Passwords limits wrong ones.
	Passwords *throttle.Passwords
	Verifier  *mfa.Verifier
	Issuer    Issuer
	// Manage reads an access token for /mfa/ that may enroll; what it associated it may
	// confirm in the place of an mfa_token. Nil where there are no such tokens; then their
	// audience is unknown.
	Manage func(ctx context.Context, token secret.Text, scope string) (mfa.Credential, error)
	// URL is the issuer, with its trailing slash. The audiences of /mfa/ and /userinfo
	// are below it.
	URL string
}

// MFAAudience is the audience of tokens that manage authenticators.
func MFAAudience(issuer string) string { return issuer + "mfa/" }

// UserinfoAudience is the audience of a token that was asked for without one.
func UserinfoAudience(issuer string) string { return issuer + "userinfo" }

// The scopes of the /mfa/ audience.
const (
	ScopeEnroll = "enroll"
	ScopeRead   = "read:authenticators"
	ScopeRemove = "remove:authenticators"
)
