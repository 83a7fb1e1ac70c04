package record

import (
	"context"

	"github.com/sallyport/sallyport/pkg/audit"
)

// Revocation ends a token of a client: because it wants that (RFC 7009), or because a
// refresh token was used twice. One of Access and Refresh names the token.
type Revocation struct {
	Client  string
	Access  string      // the id of an access token
	Refresh string      // secret.Hash of a refresh token, also of one that was used up
	Event   audit.Event // its time is that of the end; the store adds subject and session
}

// Revoker ends tokens before their time.
type Revoker interface {
	// Revoke ends an access token, or a refresh token with its session: everything that
	// the same login yielded, and what waits to step it up (RFC 7009, 2.1). The event
	// is recorded with it, if anything ended. A token that is unknown, or over already, is
	// no error. Another client's is left alone: fault.ForeignToken.
	Revoke(ctx context.Context, r Revocation) error
}
