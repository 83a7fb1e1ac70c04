package server

import (
	"net/http"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

// introspect serves POST /oauth/introspect (RFC 7662). The caller is a client that can
// prove who it is: whoever holds an id alone would learn which tokens are good.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) error {
	if err := s.readOAuth(r, aboutToken); err != nil {
		return err
	}
	client, err := s.Clients.Authenticate(r.Context(), r, r.PostForm)
	if err != nil {
		return err
	}
	if !client.Confidential {
		return fault.BadClient
	}
	token := secret.New(r.PostForm.Get("token"))
	if token.Empty() {
		return fault.Param(fault.MissingParameter, "token")
	}
	answer, err := s.Issuer.Introspect(r.Context(), token, client)
	if err != nil {
		return err
	}
	return writeJSON(w, answer)
}
