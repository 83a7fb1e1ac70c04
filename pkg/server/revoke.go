package server

import (
	"net/http"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/secret"
)

// aboutToken are the parameters of a request about one token. The hint says nothing that the
// token does not show itself.
var aboutToken = withClient(form.Fields{"token": form.One, "token_type_hint": form.One})

// revoke serves POST /oauth/revoke (RFC 7009).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := s.readOAuth(r, aboutToken); err != nil {
		return err
	}
	client, err := s.Clients.Authenticate(r.Context(), r, r.PostForm)
	if err != nil {
		return err
	}
	token := secret.New(r.PostForm.Get("token"))
	if token.Empty() {
		return fault.Param(fault.MissingParameter, "token")
	}
	if err := s.Issuer.Revoke(r.Context(), token, client.ID, s.address(r)); err != nil {
		return err
	}
	return writeJSON(w, struct{}{})
}
