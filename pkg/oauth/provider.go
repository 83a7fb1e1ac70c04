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
)

// Grant is a fosite handler that says which grant types it serves.
type Grant interface {
	fosite.TokenEndpointHandler
	GrantTypes() []string
}

// Provider answers token requests.
type Provider struct {
	fosite *fosite.Fosite
	grants []Grant
}

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
	return &Provider{fosite: fosite.NewOAuth2Provider(nil, config), grants: grants}
}

// GrantTypes lists every grant type that is served, as discovery names it.
func (p *Provider) GrantTypes() []string {
	var out []string
	for _, g := range p.grants {
		out = append(out, g.GrantTypes()...)
	}
	return out
}

// Token answers a token request whose form was parsed already: the members of the
// answer, or a fault.
func (p *Provider) Token(ctx context.Context, r *http.Request, session fosite.Session) (map[string]any, error) {
	if r.PostForm.Get("grant_type") == "" {
		return nil, fault.Param(fault.MissingParameter, "grant_type")
	}
	request := fosite.NewAccessRequest(session)
	request.GrantTypes = fosite.Arguments{r.PostForm.Get("grant_type")}
	if !slices.ContainsFunc(p.grants, func(g Grant) bool { return g.CanHandleTokenEndpointRequest(ctx, request) }) {
		return nil, fault.UnknownGrant
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
