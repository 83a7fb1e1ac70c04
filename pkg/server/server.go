// Package server is the gateway's HTTP face: one file for each endpoint, routes.go for
// the whole map. An endpoint parses, calls the domain and writes the answer; what goes
// wrong it returns, and errors.go hands that to the catalogue in package grants.
package server

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
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

// Options are what the server works with; all are needed.
type Options struct {
	URL       string // the issuer, with its trailing slash
	Proxies   []netip.Prefix
	Provider  *oauth.Provider
	Clients   *oauth.Authenticator
	Origins   Origins
	Verifier  *mfa.Verifier
	Registrar *mfa.Registrar
	Issuer    *oauth.Issuer
	Users     Users
	JWKS      func() []byte
	Kinds     bool // send "type" with each listed authenticator (Q3)
	Observer  Observer
	Requests  Requests
	Statuses  grants.Statuses // of refusals
	Log       *slog.Logger
	Now       func() time.Time
	Random    io.Reader
}

// Server answers requests.
type Server struct {
	Options
	tokenFields fields
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{Options: o, tokenFields: withClient(fields{
		"grant_type": one, "username": one, "password": one, "realm": one, "scope": one, "audience": many,
		"acr_values": one, "max_age": one, "mfa_token": one, "refresh_token": one, "access_token": one,
	})}
	for _, f := range o.Verifier.Factors {
		for _, p := range f.Params() {
			s.tokenFields[p] = one
		}
		if structured, ok := f.(mfa.Structured); ok {
			for _, p := range structured.Objects() {
				s.tokenFields[p] = object
			}
		}
	}
	return s
}
