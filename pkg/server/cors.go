package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"

	"github.com/sallyport/sallyport/pkg/fault"
)

// Origins knows the web origins of clients.
type Origins interface {
	// HasOrigin reports whether a client that is not disabled has the origin, compared
	// as text: scheme, host and port alike.
	HasOrigin(ctx context.Context, origin string) (bool, error)
}

// What web pages may send and read (Auth0 MFA API, 1.4). There are no credentials in
// the sense of CORS: the gateway looks at no cookie.
var crossOrigin = cors.Options{
	AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions},
	AllowedHeaders: []string{"Authorization", "Content-Type", "Auth0-Client", "DPoP", "Prefer"},
	ExposedHeaders: []string{"DPoP-Nonce", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Location"},
	MaxAge:         600,
}

// browsers lets web pages call: those of any origin what everybody may read anyway,
// those of a client's origin what clients call. It stands around the map, which has no
// OPTIONS and would answer a preflight with 405.
func (s *Server) browsers(routes http.Handler) http.Handler {
	answering := func(allowed bool) http.Handler {
		o := crossOrigin
		o.AllowOriginFunc = func(string) bool { return allowed }
		return cors.New(o).Handler(routes)
	}
	anybody, known, unknown := cors.New(crossOrigin).Handler(routes), answering(true), answering(false)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		sortRequested(r.Header)
		switch path := strings.TrimPrefix(r.URL.EscapedPath(), s.prefix); {
		case s.readByAll(r.URL.EscapedPath()):
			anybody.ServeHTTP(w, r)
		case path != pathToken && path != pathRevoke && path != pathUserinfo && !strings.HasPrefix(path, "mfa/"):
			routes.ServeHTTP(w, r)
		default:
			ok, err := s.calledBy(r)
			switch {
			case err != nil:
				s.serve("cors", func(http.ResponseWriter, *http.Request) error { return err }).ServeHTTP(w, r)
			case ok:
				known.ServeHTTP(w, r)
			default:
				unknown.ServeHTTP(w, r)
			}
		}
	})
}

// readByAll reports whether a path is that of keys or discovery.
func (s *Server) readByAll(path string) bool {
	prefix := s.prefix
	return slices.Contains([]string{prefix + pathJWKS, prefix + pathOpenID, prefix + pathOAuth, s.beforeIssuer()}, path)
}

// calledBy reports whether a request comes from a web page of a client.
func (s *Server) calledBy(r *http.Request) (bool, error) {
	origins := r.Header.Values("Origin")
	if len(origins) != 1 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), handlerDeadline)
	defer cancel()
	ok, err := s.Origins.HasOrigin(ctx, origins[0])
	if err != nil {
		return false, fault.Because(fault.Unavailable, fmt.Errorf("find the origin: %w", err))
	}
	return ok, nil
}

// sortRequested writes the names of the headers that a page wants to send as browsers
// do, in small letters and sorted: the check relies on it, and what only acts as a
// browser may not do it.
func sortRequested(h http.Header) {
	const name = "Access-Control-Request-Headers"
	if len(h.Values(name)) == 0 {
		return
	}
	names := strings.Split(strings.ToLower(strings.Join(h.Values(name), ",")), ",")
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
	}
	slices.Sort(names)
	h.Set(name, strings.Join(slices.Compact(names), ","))
}
