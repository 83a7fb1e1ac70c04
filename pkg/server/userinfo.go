package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/oauth"
)

// userinfo serves GET and POST /userinfo (OIDC Core, 5.3). Here the token is a bearer
// token of RFC 6750, so a refusal does carry a WWW-Authenticate header.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) error {
	claims, err := s.profile(r)
	switch kind := fault.Of(err); {
	case err == nil:
		return writeJSON(w, claims)
	case kind == fault.BadAccessToken && bearer(r).Empty():
		w.Header().Set("WWW-Authenticate", "Bearer")
	case kind == fault.BadAccessToken:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case kind == fault.InsufficientScope:
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
	}
	return err
}

func (s *Server) profile(r *http.Request) (map[string]any, error) {
	access, err := s.Issuer.Read(r.Context(), bearer(r), grants.UserinfoAudience(s.URL))
	if err != nil {
		return nil, err
	}
	Known(r.Context(), access.Client)
	if !slices.Contains(access.Scopes, "openid") {
		return nil, fault.Param(fault.InsufficientScope, "openid")
	}
	user, err := s.Users.User(r.Context(), access.Subject)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.BadAccessToken
	}
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("find the subject: %w", err))
	}
	return oauth.Profile(user, access.Scopes), nil
}
