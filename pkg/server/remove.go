package server

import (
	"net/http"
	"net/url"

	"github.com/gorilla/mux"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
)

// remove serves DELETE /mfa/authenticators/{id}. An mfa_token removes nothing.
func (s *Server) remove(w http.ResponseWriter, r *http.Request) error {
	c, err := s.credential(r, grants.ScopeRemove)
	if err != nil {
		return err
	}
	if c.Transaction != nil {
		return fault.Param(fault.InsufficientScope, grants.ScopeRemove)
	}
	// The router matches paths as they were sent, so the id is escaped still.
	id, err := url.PathUnescape(mux.Vars(r)["id"])
	if err != nil {
		return fault.NoAuthenticator
	}
	if err := s.Registrar.Remove(r.Context(), c, id, s.address(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
