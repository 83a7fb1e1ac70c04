package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Revoke ends a token of an authenticated client (RFC 7009, 2.1): an access token alone,
// a refresh token with all that its login yielded. Nobody has to say which of the two it
// is. What is no token, or over already, is no error; another client's is
// fault.ForeignToken, and a store that is down fault.Unavailable.
func (i *Issuer) Revoke(ctx context.Context, token secret.Text, client, address string) error {
	now := i.o.Now().UTC().Truncate(time.Millisecond)
	r := record.Revocation{Client: client, Event: audit.Event{
		At: now, Type: audit.TokensRevoked, Success: true, Client: client, Address: address,
	}}
	c, err := i.verify(ctx, token)
	switch {
	case err == nil:
		r.Access = c.ID
	case errors.Is(err, fault.BadAccessToken):
		r.Refresh = secret.Hash(token)
	default:
		return err
	}
	if err := i.o.Revoker.Revoke(ctx, r); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("revoke: %w", err))
	}
	return nil
}
