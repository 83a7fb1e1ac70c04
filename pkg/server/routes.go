package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/sallyport/sallyport/pkg/fault"
)

// The paths of the gateway, below the issuer's.
const (
	pathToken          = "oauth/token"
	pathUserinfo       = "userinfo"
	pathAssociate      = "mfa/associate"
	pathChallenge      = "mfa/challenge"
	pathAuthenticators = "mfa/authenticators"
	pathJWKS           = ".well-known/jwks.json"
	pathOpenID         = ".well-known/openid-configuration"
	pathOAuth          = ".well-known/oauth-authorization-server"
)

// Handler is the whole map. Paths are compared as they were sent: a cleaned one would
// be answered with a redirect, and the client would send its credentials again (B-74).
func (s *Server) Handler() http.Handler {
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	prefix := s.prefix()
	for _, route := range []struct {
		method, path string
		do           endpoint
	}{
		{http.MethodPost, prefix + pathToken, s.token},
		{http.MethodPost, prefix + pathAssociate, s.associate},
		{http.MethodPost, prefix + pathChallenge, s.challenge},
		{http.MethodGet, prefix + pathAuthenticators, s.authenticators},
		{http.MethodGet, prefix + pathUserinfo, s.userinfo},
		{http.MethodPost, prefix + pathUserinfo, s.userinfo},
		{http.MethodGet, prefix + pathJWKS, s.jwks},
		{http.MethodGet, prefix + pathOpenID, s.discovery},
		{http.MethodGet, prefix + pathOAuth, s.discovery},
	} {
		r.Methods(route.method).Path(route.path).Handler(s.serve(route.path, route.do))
	}
	if prefix != "/" {
		// RFC 8414, 3.1: the well-known part goes before the issuer's path.
		inserted := "/" + pathOAuth + strings.TrimSuffix(prefix, "/")
		r.Methods(http.MethodGet).Path(inserted).Handler(s.serve(inserted, s.discovery))
	}
	r.NotFoundHandler = s.serve("none", func(http.ResponseWriter, *http.Request) error { return fault.NotFound })
	r.MethodNotAllowedHandler = s.serve("none", func(w http.ResponseWriter, req *http.Request) error {
		w.Header().Set("Allow", allowed(r, req))
		return fault.BadMethod
	})
	return r
}

// prefix is the path of the issuer; everything is served below it.
func (s *Server) prefix() string {
	u, err := url.Parse(s.URL)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.Path
}

// allowed lists the methods that the path of a request has.
func allowed(r *mux.Router, req *http.Request) string {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		probe := req.Clone(req.Context())
		probe.Method = m
		var match mux.RouteMatch
		if r.Match(probe, &match) && match.MatchErr == nil {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}
