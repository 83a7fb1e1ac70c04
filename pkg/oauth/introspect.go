package oauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Introspect describes an access token to an authenticated client (RFC 7662, 2.2): to
// the one it was issued to, and to those that may have an API among its audiences.
// Nothing else is said of a token that does not hold than of one that is none of the
// caller's, or no access token at all. It fails with fault.Unavailable.
func (i *Issuer) Introspect(ctx context.Context, token secret.Text, caller record.Client) (map[string]any, error) {
	c, err := i.verify(ctx, token)
	if err == nil {
		err = i.concerns(ctx, c, caller)
	}
	if err == nil {
		err = i.alive(ctx, c)
	}
	switch {
	case errors.Is(err, fault.BadAccessToken):
		return map[string]any{"active": false}, nil
	case err != nil:
		return nil, err
	}
	return c.described(), nil
}

// concerns fails unless the caller may look at a token.
func (i *Issuer) concerns(ctx context.Context, c claims, caller record.Client) error {
	if c.Client == caller.ID {
		return nil
	}
	for _, a := range c.Audience {
		if _, ok := caller.Audiences[a]; caller.Audiences != nil && !ok {
			continue
		}
		// The gateway's own audiences are no APIs: their tokens are for the gateway.
		switch _, err := i.o.Registry.API(ctx, a); {
		case err == nil:
			return nil
		case !errors.Is(err, fault.NotFound):
			return fault.Because(fault.Unavailable, fmt.Errorf("find the API of a token: %w", err))
		}
	}
	return fault.BadAccessToken
}

// described are the members of the answer about a token that holds. How the subject
// was authenticated is what the token says (RFC 9470, 6.2; O-AC-1).
func (c claims) described() map[string]any {
	out := map[string]any{
		"active": true, "iss": c.Issuer, "sub": c.Subject, "aud": audience(c.Audience), "client_id": c.Client,
		"jti": c.ID, "iat": c.Issued, "exp": c.Expires, "scope": c.Scope, "token_type": "Bearer",
	}
	if c.Session != "" {
		out["sid"] = c.Session
	}
	if c.AuthTime != 0 {
		out["auth_time"] = c.AuthTime
	}
	if len(c.AMR) > 0 {
		out["amr"] = c.AMR
	}
	if c.ACR != "" {
		out["acr"] = c.ACR
	}
	return out
}
