package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"testing"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
)

// grant serves grant types that need nothing; it notes what it was asked.
type grant struct {
	types   []string
	handled []fosite.Arguments
	fails   error
	silent  bool
}

var _ Grant = (*grant)(nil)

func (g *grant) GrantTypes() []string { return g.types }

func (*grant) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

func (g *grant) CanHandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) bool {
	return len(ar.GetGrantTypes()) == 1 && slices.Contains(g.types, ar.GetGrantTypes()[0])
}

func (g *grant) HandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) error {
	g.handled = append(g.handled, ar.GetGrantTypes())
	return g.fails
}

func (g *grant) PopulateTokenEndpointResponse(ctx context.Context, ar fosite.AccessRequester, out fosite.AccessResponder) error {
	if !g.CanHandleTokenEndpointRequest(ctx, ar) {
		return fosite.ErrUnknownRequest
	}
	if !g.silent {
		out.SetAccessToken("at of " + ar.GetClient().GetID())
		out.SetTokenType("Bearer")
	}
	return nil
}

func TestComposition(t *testing.T) {
	// Two handlers of one Go type: fosite's own Append would drop the second.
	first, second := &grant{types: []string{"a"}}, &grant{types: []string{"b", "c"}}
	p := NewProvider(&Authenticator{Registry: newHouse()}, first, second)
	handlers, ok := p.fosite.Config.(*fosite.Config)
	if !ok || len(handlers.TokenEndpointHandlers) != 2 || handlers.TokenEndpointHandlers[0] != first || handlers.TokenEndpointHandlers[1] != second {
		t.Fatalf("handlers: %+v", handlers)
	}
	if n := len(handlers.AuthorizeEndpointHandlers) + len(handlers.TokenIntrospectionHandlers) + len(handlers.RevocationHandlers) + len(handlers.PushedAuthorizeEndpointHandlers); n != 0 {
		t.Errorf("%d handlers that nobody asked for", n)
	}
	if got := p.GrantTypes(); !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Errorf("grant types %v", got)
	}
}

func TestToken(t *testing.T) {
	for _, c := range []struct {
		name, grant, client string
		change              func(*grant)
		want                fault.Kind
		handled             bool
	}{
		{"served", "a", "spa", nil, "", true},
		{"second handler", "b", "spa", nil, "", false},
		{"missing", "", "spa", nil, fault.MissingParameter, false},
		{"unknown", "x", "spa", nil, fault.UnknownGrant, false},
		{"case", "A", "spa", nil, fault.UnknownGrant, false},
		{"two in one", "a b", "spa", nil, fault.UnknownGrant, false},
		{"one twice", "a a", "spa", nil, fault.UnknownGrant, false},
		{"blanks around it", " a ", "spa", nil, fault.UnknownGrant, false},
		{"a blank", " ", "spa", nil, fault.UnknownGrant, false},
		{"unknown client", "a", "nobody", nil, fault.BadClient, false},
		{"no client", "a", "", nil, fault.BadClient, false},
		{"confidential without its secret", "a", "web", nil, fault.BadClient, false},
		{"refused", "a", "spa", func(g *grant) { g.fails = fault.WrongOTP }, fault.WrongOTP, true},
		{"broken", "a", "spa", func(g *grant) { g.fails = errors.New("hush") }, fault.Internal, true},
		{"nothing to handle after all", "a", "spa", func(g *grant) { g.fails = fosite.ErrUnknownRequest }, fault.Internal, true},
		{"no token came", "a", "spa", func(g *grant) { g.silent = true }, fault.Internal, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := &grant{types: []string{"a"}}
			if c.change != nil {
				c.change(first)
			}
			p := NewProvider(&Authenticator{Registry: newHouse()}, first, &grant{types: []string{"b"}})
			r := httptest.NewRequest(http.MethodPost, "/oauth/token?grant_type=a&client_id=spa", nil)
			r.PostForm = url.Values{"grant_type": {c.grant}, "client_id": {c.client}}
			r.Form = r.PostForm
			got, err := p.Token(t.Context(), r, &fosite.DefaultSession{})
			switch {
			case c.want == "" && (err != nil || !reflect.DeepEqual(got, map[string]any{"access_token": "at of spa", "token_type": "Bearer"})):
				t.Errorf("got %v, %v", got, err)
			case c.want != "" && (err == nil || fault.Of(err) != c.want || got != nil):
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			if (len(first.handled) == 1) != c.handled {
				t.Errorf("handled: %v", first.handled)
			}
		})
	}
}
