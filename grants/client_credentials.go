package grants

import (
	"context"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

const grantClientCredentials = "client_credentials"

// ClientIssuer makes the access token of a client that acts for itself, and commits it.
type ClientIssuer interface {
	IssueToClient(ctx context.Context, a record.OwnAccess) (record.Tokens, error)
}

// ClientCredentials handles the grant of clients that act for themselves (RFC 6749,
// 4.4). Nobody is logged in, so there is nothing for the gate to judge.
type ClientCredentials struct {
	issuing
	to ClientIssuer
}

var _ fosite.TokenEndpointHandler = (*ClientCredentials)(nil)

// NewClientCredentials makes the handler.
func NewClientCredentials(o Options, to ClientIssuer) *ClientCredentials {
	return &ClientCredentials{issuing{o, func(grant string) (string, bool) {
		return grantClientCredentials, grant == grantClientCredentials
	}}, to}
}

// GrantTypes lists what the handler serves, as discovery names it.
func (*ClientCredentials) GrantTypes() []string { return []string{grantClientCredentials} }

// HandleTokenEndpointRequest finds out what the client may have.
func (c *ClientCredentials) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	name, ok := c.serves(ar)
	if !ok {
		return fosite.ErrUnknownRequest
	}
	r, err := c.check(ctx, ar, name)
	if err != nil {
		return err
	}
	if !r.client.Confidential { // an id is no proof
		return fault.Param(fault.GrantNotAllowed, r.grant)
	}
	r.session.own, err = c.own(ctx, r)
	return err
}

// PopulateTokenEndpointResponse issues the access token.
func (c *ClientCredentials) PopulateTokenEndpointResponse(ctx context.Context, ar fosite.AccessRequester, out fosite.AccessResponder) error {
	session, ok := ar.GetSession().(*Session)
	if _, mine := c.serves(ar); !ok || !mine {
		return fosite.ErrUnknownRequest
	}
	tokens, err := c.to.IssueToClient(ctx, session.own)
	if err != nil {
		return err
	}
	answer(out, tokens)
	return nil
}

// own resolves audience and scopes. The gateway's own audiences are about users and
// never a client's. mfa_scopes bind users alone: a machine has no second factor.
func (c *ClientCredentials) own(ctx context.Context, r request) (record.OwnAccess, error) {
	if len(r.form["audience"]) == 0 {
		return record.OwnAccess{}, fault.Param(fault.MissingParameter, "audience")
	}
	api, allowed, err := c.reach(ctx, r.client, r.form["audience"])
	if err != nil {
		return record.OwnAccess{}, err
	}
	if c.gateways(api) {
		return record.OwnAccess{}, fault.UnknownAudience
	}
	scopes, err := ownScopes(strings.Fields(r.form.Get("scope")), api, allowed)
	return record.OwnAccess{
		Client: r.client.ID, Grant: r.grant, Audience: api.Audience, Scopes: scopes, Address: r.session.Address,
	}, err
}

// ownScopes are those that were asked for, none named: all. One that the API does not
// know is dropped; one that this client may not have is an error.
func ownScopes(asked []string, api record.API, allowed []string) ([]string, error) {
	open := func(scope string) bool { return len(allowed) == 0 || slices.Contains(allowed, scope) }
	if len(asked) == 0 {
		return slices.DeleteFunc(slices.Clone(api.Scopes), func(s string) bool { return !open(s) }), nil
	}
	var scopes []string
	for _, scope := range asked {
		switch {
		case !slices.Contains(api.Scopes, scope) || slices.Contains(scopes, scope):
		case !open(scope):
			return nil, fault.ScopeNotAllowed
		default:
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}
