package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

// bearer is the token of the Authorization header (RFC 6750, 2.1), empty if there is
// none.
func bearer(r *http.Request) secret.Text {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return secret.Text{}
	}
	return secret.New(strings.TrimSpace(token))
}

// credential reads the bearer token of /mfa/*: an mfa_token, or an access token for
// the /mfa/ audience that has the scope.
func (s *Server) credential(r *http.Request, scope string) (mfa.Credential, error) {
	token := bearer(r)
	if token.Empty() {
		return mfa.Credential{}, fault.NoBearer
	}
	c, err := s.Registrar.Credential(r.Context(), token)
	if !errors.Is(err, fault.BadBearer) {
		return c, err
	}
	c, err = s.Issuer.Credential(r.Context(), token, scope)
	if err == nil {
		Known(r.Context(), c.Client)
	}
	if errors.Is(err, fault.BadAccessToken) {
		return mfa.Credential{}, fault.BadBearer
	}
	return c, err
}

// sameClient checks the client fields that some libraries send beside the bearer
// token: they must be right, and the token's (Auth0 MFA API, 1.3.1).
func (s *Server) sameClient(r *http.Request, form url.Values, c mfa.Credential) error {
	if !slices.ContainsFunc(proof, form.Has) {
		return nil
	}
	client, _, err := s.Clients.Identify(r.Context(), r, form)
	if err != nil {
		return err
	}
	if client.ID != c.Client {
		return fault.ForeignMFAToken
	}
	return nil
}
