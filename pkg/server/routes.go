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
	pathRevoke         = "oauth/revoke"
	pathIntrospect     = "oauth/introspect"
	pathUserinfo       = "userinfo"
	pathAssociate      = "mfa/associate"
	pathChallenge      = "mfa/challenge"
	pathAuthenticators = "mfa/authenticators"
	pathAuthenticator  = "mfa/authenticators/{id}"
	pathJWKS           = ".well-known/jwks.json"
	pathOpenID         = ".well-known/openid-configuration"
	pathOAuth          = ".well-known/oauth-authorization-server"
)

// Handler is the whole map, as web pages may call it too.
func (s *Server) Handler() http.Handler {
	return s.guarded(s.asSent(lastOfChunks(s.browsers(s.Routes()))))
}

// guarded stands around all that is not an endpoint: what panics there is answered and
// logged as in one. net/http would log the panic's value, which may hold what a client sent
//
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.protected(w, r, func(w http.ResponseWriter, r *http.Request) error {
			next.ServeHTTP(w, r)
			return nil
		})
		if err != nil {
			s.serve("none", func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP(w, r)
		}
	})
}

// asSent refuses a path that the router would see otherwise than it was sent: net/url writes
// one anew that holds characters which belong escaped, and %2f becomes a slash then (B-74).
// A bar is the one such character that clients may send, in ids.
func (s *Server) asSent(next http.Handler) http.Handler {
	nothing := s.serve("none", func(http.ResponseWriter, *http.Request) error { return fault.NotFound })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent := r.URL.RawPath; sent != "" && strings.ReplaceAll(sent, "|", "%7C") != r.URL.EscapedPath() {
			nothing.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// lastOfChunks ends a connection of HTTP/1 after a body in chunks. A Content-Length that
// came along was dropped before anybody here could see it; a proxy that went by that one
// takes what follows for another request, and this one must not (RFC 9112, 6.1; B-60).
func lastOfChunks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Routes is the whole map. Paths are compared as they were sent: a cleaned one would
// be answered with a redirect, and the client would send its credentials again (B-74).
func (s *Server) Routes() *mux.Router {
	r := mux.NewRouter().SkipClean(true).UseEncodedPath()
	prefix := s.prefix
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	// The path is compared before the method, or the router forgets that only the
	// method was wrong and answers 404.
	route := func(path string, do endpoint, methods ...string) {
		r.Path(path).Methods(methods...).Handler(s.serve(path, oneCredential(do)))
	}
	route(prefix+pathToken, s.token, post...)
	route(prefix+pathRevoke, s.revoke, post...)
	route(prefix+pathIntrospect, s.introspect, post...)
	route(prefix+pathAssociate, s.associate, post...)
	route(prefix+pathChallenge, s.challenge, post...)
	route(prefix+pathAuthenticators, s.authenticators, get...)
	route(prefix+pathAuthenticator, s.remove, http.MethodDelete)
	route(prefix+pathUserinfo, s.userinfo, append(post, get...)...)
	route(prefix+pathJWKS, s.jwks, get...)
	route(prefix+pathOpenID, s.discovery, get...)
	route(prefix+pathOAuth, s.discovery, get...)
	for _, f := range s.Faces {
		for _, e := range f.Endpoints {
			r.Path(prefix + e.Path).Methods(e.Method).Handler(s.serveAs(prefix+e.Path, func(w http.ResponseWriter, r *http.Request) error {
				return e.Do(w, r, s.address(r))
			}, f.Refuse))
		}
	}
	if prefix != "/" {
		route(s.beforeIssuer(), s.discovery, get...)
	}
	r.NotFoundHandler = s.serve("none", func(http.ResponseWriter, *http.Request) error { return fault.NotFound })
	r.MethodNotAllowedHandler = s.serve("none", func(w http.ResponseWriter, req *http.Request) error {
		w.Header().Set("Allow", allowed(r, req))
		return fault.BadMethod
	})
	return r
}

// oneCredential refuses two Authorization headers: what stands before the gateway may look at
// the other one (RFC 9110, 11.6.2; RFC 6750, 2).
func oneCredential(do endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		if len(r.Header.Values("Authorization")) > 1 {
			return fault.Param(fault.BadRequest, "Repeated header: Authorization")
		}
		return do(w, r)
	}
}

// prefixOf is the path of the issuer, escaped as it comes in requests; everything is
// served below it.
func prefixOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.EscapedPath()
}

// beforeIssuer is the path of discovery with the well-known part before the issuer's
// own path (RFC 8414, 3.1).
func (s *Server) beforeIssuer() string { return "/" + pathOAuth + strings.TrimSuffix(s.prefix, "/") }

// allowed lists the methods that the path of a request has.
func allowed(r *mux.Router, req *http.Request) string {
	var methods []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		probe := req.Clone(req.Context())
		probe.Method = m
		var match mux.RouteMatch
		if r.Match(probe, &match) && match.MatchErr == nil {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}
