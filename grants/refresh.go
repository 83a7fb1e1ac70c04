package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const grantRefreshToken = "refresh_token"

// RefreshStore finds refresh tokens, and ends the families of those that are used twice.
type RefreshStore interface {
	record.RefreshTokens
	record.Revoker
}

// Refresh handles the refresh token grant (RFC 6749, 6). Each token is used once: the
// answer has its successor. A second factor may be demanded first; then the token stays as
// it is until the MFA grant, which returns the successor.
type Refresh struct {
	issuing
	store RefreshStore
}

var _ fosite.TokenEndpointHandler = (*Refresh)(nil)

// NewRefresh makes the handler.
func NewRefresh(o Options, store RefreshStore) *Refresh {
	return &Refresh{issuing{o, func(grant string) (string, bool) {
		return grantRefreshToken, grant == grantRefreshToken
	}}, store}
}

// GrantTypes lists what the handler serves, as discovery names it.
func (*Refresh) GrantTypes() []string { return []string{grantRefreshToken} }

// HandleTokenEndpointRequest finds the session behind the token and asks the gate what
// else is needed.
func (f *Refresh) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	name, ok := f.serves(ar)
	if !ok {
		return fosite.ErrUnknownRequest
	}
	r, err := f.check(ctx, ar, name)
	if err != nil {
		return err
	}
	token, err := r.take("refresh_token")
	if err != nil {
		return err
	}
	n, err := f.renewal(ctx, r, token)
	if err != nil {
		return err
	}
	w, err := f.more(ctx, r, held{n.Rotation.Audience, n.Rotation.Scopes})
	if err != nil {
		return err
	}
	if w.wider { // RFC 6749, 6: nothing that the login did not give
		return fault.ScopeNotAllowed
	}
	r.session.clearance, err = f.Verifier.Begin(ctx, mfa.Login{
		Subject: n.Session.Subject, Client: r.client.ID, Origin: mfa.FromRefresh, Grant: r.grant,
		Scopes: w.scopes, Audience: w.audience, Proofs: n.Session.Proofs, Session: n.Session.ID,
		Address: r.session.Address, Rotates: &n.Rotation,
	}, w.demand)
	if errors.Is(err, fault.MFARequired) && !n.UsedAt.IsZero() {
		// The leeway is for parallel requests; a login under way needs a token of its own.
		return fault.BadRefreshToken
	}
	return err
}

// renewal is what the token of a request stands for. One that was used up before its
// leeway ends its family: somebody has it who should not (RFC 9700, 4.14.2).
func (f *Refresh) renewal(ctx context.Context, r request, token secret.Text) (record.Renewal, error) {
	now := f.Verifier.Now().UTC()
	n, err := f.store.RefreshToken(ctx, secret.Hash(token), r.client.ID, now)
	if err != nil {
		return record.Renewal{}, fault.Because(fault.Unavailable, fmt.Errorf("refresh: %w", err))
	}
	n.Rotation.Leeway = r.client.RefreshLeeway
	if !n.UsedAt.IsZero() && (n.Rotation.Leeway <= 0 || !now.Before(n.UsedAt.Add(n.Rotation.Leeway))) {
		return record.Renewal{}, f.reused(ctx, n.Rotation.Hash, audit.Event{Client: r.client.ID, Grant: r.grant, Address: r.session.Address})
	}
	return n, nil
}

// PopulateTokenEndpointResponse issues the tokens. Of parallel uses one was first, and the
// others end what it got: which of them is the thief nobody knows.
func (f *Refresh) PopulateTokenEndpointResponse(ctx context.Context, ar fosite.AccessRequester, out fosite.AccessResponder) error {
	err := f.issuing.PopulateTokenEndpointResponse(ctx, ar, out)
	session, ok := ar.GetSession().(*Session)
	if !ok || !errors.Is(err, fault.UsedRefreshToken) {
		return err
	}
	l := session.clearance.Login()
	return f.reused(ctx, l.Rotates.Hash, audit.Event{Client: l.Client, Grant: l.Grant, Address: l.Address})
}

// reused ends the session of a refresh token that was used twice, and fails so.
func (f *Refresh) reused(ctx context.Context, hash string, e audit.Event) error {
	e.At, e.Type, e.Reason = f.Verifier.Now().UTC(), audit.TokensReused, fault.UsedRefreshToken.Error()
	if err := f.store.Revoke(ctx, record.Revocation{Client: e.Client, Refresh: hash, Event: e}); err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("end a family: %w", err))
	}
	return fault.UsedRefreshToken
}
