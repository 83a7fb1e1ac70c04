package grants

import (
	"context"
	"strings"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/record"
)

// issuing is what every grant of this package shares: which requests are its own, and
// how tokens are issued for what its Handle call cleared.
type issuing struct {
	Options
	// name is the tenant's name for a grant type that this handler serves.
	name func(grant string) (string, bool)
}

// serves reports whether a request is this handler's. Exactly one grant type: fosite
// splits the parameter at blanks, and two would run two grants.
func (i issuing) serves(ar fosite.AccessRequester) (string, bool) {
	if len(ar.GetGrantTypes()) != 1 {
		return "", false
	}
	return i.name(ar.GetGrantTypes()[0])
}

// CanSkipClientAuth implements fosite.TokenEndpointHandler: no grant can.
func (issuing) CanSkipClientAuth(context.Context, fosite.AccessRequester) bool { return false }

// CanHandleTokenEndpointRequest implements fosite.TokenEndpointHandler.
func (i issuing) CanHandleTokenEndpointRequest(_ context.Context, ar fosite.AccessRequester) bool {
	_, ok := i.serves(ar)
	return ok
}

// PopulateTokenEndpointResponse issues the tokens, all of them in one commit.
func (i issuing) PopulateTokenEndpointResponse(ctx context.Context, ar fosite.AccessRequester, out fosite.AccessResponder) error {
	session, ok := ar.GetSession().(*Session)
	if _, mine := i.serves(ar); !ok || !mine {
		return fosite.ErrUnknownRequest
	}
	tokens, err := i.Issuer.Issue(ctx, session.clearance)
	if err = i.Verifier.Finish(ctx, session.clearance, err); err != nil {
		return err
	}
	for name, value := range session.clearance.Reply() {
		out.SetExtra(name, value)
	}
	answer(out, tokens)
	return nil
}

// answer writes the members of every token answer (RFC 6749, 5.1).
func answer(out fosite.AccessResponder, tokens record.Tokens) {
	out.SetAccessToken(tokens.Access.Reveal())
	out.SetTokenType(tokens.Type)
	out.SetExtra("expires_in", int64(tokens.Lifetime.Seconds()))
	out.SetExtra("scope", strings.Join(tokens.Scopes, " "))
	if !tokens.ID.Empty() {
		out.SetExtra("id_token", tokens.ID.Reveal())
	}
	if !tokens.Refresh.Empty() {
		out.SetExtra("refresh_token", tokens.Refresh.Reveal())
	}
}
