// Package oauth composes fosite: client authentication, the token endpoint's provider,
// and the tokens themselves, which it makes, signs and verifies.
package oauth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// Grant is a fosite handler that says which grant types it serves.
type Grant interface {
	fosite.TokenEndpointHandler
	GrantTypes() []string
}

// An Early grant may decide a request, of a client that is authenticated, before fosite
// looks at it: fosite costs more than the answer to somebody who polls.
type Early interface {
	Early(ctx context.Context, client record.Client, form url.Values, session fosite.Session) error
}

// Provider answers token requests.
type Provider struct {
	fosite  *fosite.Fosite
	clients *Authenticator
	grants  []Grant
	types   []string
}

// authenticated is the key of the client that was authenticated before fosite asks for it.
// An assertion is good once (RFC 7523, 3).
type authenticated struct{}

// NewProvider composes fosite with the grants. The list is handed over as it is:
// fosite's own way of adding handlers drops the second of a Go type without a word.
func NewProvider(clients *Authenticator, grants ...Grant) *Provider {
	handlers := make(fosite.TokenEndpointHandlers, len(grants))
	for i, g := range grants {
		handlers[i] = g
	}
	config := &fosite.Config{
		TokenEndpointHandlers: handlers,
		ClientAuthenticationStrategy: func(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
			if c, ok := ctx.Value(authenticated{}).(record.Client); ok {
				return client{c}, nil
			}
			c, err := clients.Authenticate(ctx, r, form)
			if err != nil {
				return nil, err
			}
			return client{c}, nil
		},
		// fosite fills these in lazily, which is a data race.
		ScopeStrategy:            fosite.ExactScopeStrategy,
		AudienceMatchingStrategy: fosite.ExactAudienceMatchingStrategy,
	}
	p := &Provider{fosite: fosite.NewOAuth2Provider(nil, config), clients: clients, grants: grants}
	for _, g := range grants {
		p.types = append(p.types, g.GrantTypes()...)
	}
	return p
}

// GrantTypes lists every grant type that is served, as discovery names it.
func (p *Provider) GrantTypes() []string { return p.types }

// Token answers a token request whose form was parsed already: the members of the
// answer, or a fault.
func (p *Provider) Token(ctx context.Context, r *http.Request, session fosite.Session) (map[string]any, error) {
	if r.PostForm.Get("grant_type") == "" {
		return nil, fault.Param(fault.MissingParameter, "grant_type")
	}
	request := &fosite.AccessRequest{GrantTypes: fosite.Arguments{r.PostForm.Get("grant_type")}}
	i := slices.IndexFunc(p.grants, func(g Grant) bool { return g.CanHandleTokenEndpointRequest(ctx, request) })
	if i < 0 {
		return nil, fault.UnknownGrant
	}
	if early, ok := p.grants[i].(Early); ok {
		client, err := p.clients.Authenticate(ctx, r, r.PostForm)
		if err == nil {
			err = early.Early(ctx, client, r.PostForm, session)
		}
		if err != nil {
			return nil, fmt.Errorf("token request: %w", err)
		}
		ctx = context.WithValue(ctx, authenticated{}, client)
	}
	accepted, err := p.fosite.NewAccessRequest(ctx, r, session)
	if err != nil {
		return nil, fmt.Errorf("token request: %w", err)
	}
	answer, err := p.fosite.NewAccessResponse(ctx, accepted)
	if err != nil {
		return nil, fmt.Errorf("token answer: %w", err)
	}
	return answer.ToMap(), nil
}
