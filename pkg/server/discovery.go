package server

import (
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/oauth"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/signer"
)

// discovery serves both well-known documents (OIDC Discovery, 3; RFC 8414, 2). They
// name what is served and nothing else.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) error {
	signed := []string{oauth.ES256, oauth.RS256}
	return writeJSON(w, map[string]any{
		"issuer":                                s.URL,
		"token_endpoint":                        s.URL + pathToken,
		"revocation_endpoint":                   s.URL + pathRevoke,
		"introspection_endpoint":                s.URL + pathIntrospect,
		"userinfo_endpoint":                     s.URL + pathUserinfo,
		"jwks_uri":                              s.URL + pathJWKS,
		"mfa_challenge_endpoint":                s.URL + pathChallenge,
		"mfa_associate_endpoint":                s.URL + pathAssociate,
		"mfa_authenticators_endpoint":           s.URL + pathAuthenticators,
		"grant_types_supported":                 s.Provider.GrantTypes(),
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"token_endpoint_auth_signing_alg_values_supported":         signed,
		"revocation_endpoint_auth_signing_alg_values_supported":    signed,
		"introspection_endpoint_auth_signing_alg_values_supported": signed,
		"revocation_endpoint_auth_methods_supported":               []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"introspection_endpoint_auth_methods_supported":            []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"scopes_supported": []string{"openid", "profile", "email", "phone", "offline_access",
			grants.ScopeEnroll, grants.ScopeRead, grants.ScopeRemove},
		"acr_values_supported":                  []string{record.MultiFactor},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{oauth.RS256},
		"claims_supported": []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "acr", "sid", "at_hash",
			"name", "preferred_username", "email", "email_verified", "phone_number", "updated_at"},
	})
}

// jwks serves the published keys.
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(signer.CacheLife.Seconds())))
	// The client may have hung up; there is nobody left to tell.
	_, _ = w.Write(s.JWKS())
	return nil
}
