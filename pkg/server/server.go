// Package server is the gateway's HTTP face: form.One file for each endpoint, routes.go for
// the whole map. An endpoint parses, calls the domain and writes the answer; what goes
// wrong it returns, and errors.go hands that to the catalogue in package grants.
package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/oauth"
)

// Users finds the subject of /userinfo.
type Users interface {
	User(ctx context.Context, id string) (identity.User, error)
}

// Requests says what is read beyond what RFC 6749 has.
type Requests struct {
	JSON     bool // at the endpoints of OAuth
	Tolerant bool // what published samples get wrong (Auth0 MFA API, 1.1)
}

// A Face is a protocol that the server speaks beside OAuth, with refusals of its own shape.
type Face struct {
	Endpoints []Endpoint
	Refuse    Refuse
}

// Endpoint is a path of a face below the issuer's.
type Endpoint struct {
	Method, Path string
	// Do answers a request from an address, or explains why it cannot.
	Do func(w http.ResponseWriter, r *http.Request, address string) error
}

// Refuse writes a failure, and says of what kind it is.
type Refuse func(w http.ResponseWriter, err error) fault.Kind

// Options are what the server works with; all are needed.
type Options struct {
	URL       string // the issuer, with its trailing slash
	Proxies   []netip.Prefix
	Provider  *oauth.Provider
	Clients   *oauth.Authenticator
	Origins   Origins
	Verifier  *mfa.Verifier
	Registrar *enrollment.Registrar
	Issuer    *oauth.Issuer
	Users     Users
	JWKS      func() []byte
	Kinds     bool // send "type" with each listed authenticator (Q3)
	Observer  Observer
	Requests  Requests
	Faces     []Face
	Errors    grants.Errors
	Log       *slog.Logger
	Now       func() time.Time
	Random    io.Reader
}

// Server answers requests.
type Server struct {
	Options
	tokenFields form.Fields
	prefix      string // as [prefixOf] has it
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{Options: o, prefix: prefixOf(o.URL), tokenFields: withClient(form.Fields{
		"grant_type": form.One, "username": form.One, "password": form.One, "realm": form.One, "scope": form.One, "audience": form.Many,
		"acr_values": form.One, "max_age": form.One, "mfa_token": form.One, "refresh_token": form.One, "access_token": form.One,
	})}
	for _, f := range o.Verifier.Factors {
		for _, p := range f.Params() {
			s.tokenFields[p] = form.One
		}
		if structured, ok := f.(mfa.Structured); ok {
			for _, p := range structured.Objects() {
				s.tokenFields[p] = form.Object
			}
		}
	}
	return s
}
