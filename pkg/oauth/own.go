package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// IssueToClient makes the access token of a client that acts for itself, and commits
// it with its event. It has no way to name a user, so that the gate stays the only way
// to a user's token: no session, no ID token, no refresh token.
//
// A client whose subject would be that of a user gets none: an API could not tell the
// two apart (RFC 9700, 4.15). That is fault.GrantNotAllowed.
func (i *Issuer) IssueToClient(ctx context.Context, a record.OwnAccess) (record.Tokens, error) {
	if a.Client == "" || a.Audience == "" {
		return record.Tokens{}, errors.New("no token for no client, or no API")
	}
	subject, gty := a.Client, a.Grant
	if i.o.Dialect == Auth0 {
		subject, gty = a.Client+"@clients", "client-credentials"
	}
	if err := i.nobody(ctx, subject, a.Grant); err != nil {
		return record.Tokens{}, err
	}
	ids, err := i.random(1)
	if err != nil {
		return record.Tokens{}, err
	}
	lifetime, err := i.lifetime(ctx, a.Audience)
	if err != nil {
		return record.Tokens{}, err
	}
	now := i.o.Now().UTC().Truncate(time.Millisecond)
	made := record.Issuance{
		At: now, Session: record.Session{Client: a.Client},
		Access: record.AccessToken{ID: ids[0], Audience: []string{a.Audience}, Scopes: a.Scopes, ExpiresAt: now.Add(lifetime)},
		Event: audit.Event{At: now, Type: audit.TokensIssued, Success: true, Client: a.Client, Grant: a.Grant,
			Address: a.Address},
	}
	access, err := i.signAccess(map[string]any{"sub": subject}, gty, made)
	if err != nil {
		return record.Tokens{}, err
	}
	if err := i.o.Store.Issue(ctx, made); err != nil {
		return record.Tokens{}, fault.Because(fault.Unavailable, fmt.Errorf("issue: %w", err))
	}
	return record.Tokens{Access: access, Type: "Bearer", Lifetime: lifetime, Scopes: a.Scopes}, nil
}

// nobody fails unless no user has the subject.
func (i *Issuer) nobody(ctx context.Context, subject, grant string) error {
	_, err := i.o.Users.User(ctx, subject)
	switch {
	case err == nil:
		return &fault.Details{Kind: fault.GrantNotAllowed, Param: grant, Err: errors.New("a user has the subject of this client")}
	case !errors.Is(err, fault.NotFound):
		return fault.Because(fault.Unavailable, fmt.Errorf("find the subject: %w", err))
	}
	return nil
}
