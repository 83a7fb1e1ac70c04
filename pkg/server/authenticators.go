package server

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// listed is one row of GET /mfa/authenticators. There is no oob_channels member: an
// array of that name stops one client library from reading the list at all.
type listed struct {
	ID        string `json:"id"`
	AuthType  string `json:"authenticator_type"`
	Active    bool   `json:"active"`
	Type      string `json:"type,omitempty"`
	Channel   string `json:"oob_channel,omitempty"`
	Name      string `json:"name,omitempty"`
	CreatedAt string `json:"created_at"`
	LastAuth  string `json:"last_auth,omitempty"`
}

// authenticators serves GET /mfa/authenticators.
func (s *Server) authenticators(w http.ResponseWriter, r *http.Request) error {
	c, err := s.credential(r, grants.ScopeRead)
	if err != nil {
		return err
	}
	all, err := s.Registrar.List(r.Context(), c)
	if err != nil {
		return err
	}
	rows := make([]listed, len(all))
	for i, a := range all {
		rows[i] = s.row(a)
	}
	return writeJSON(w, rows)
}

func (s *Server) row(a mfa.Authenticator) listed {
	l := listed{
		ID: a.ID, AuthType: string(a.Type), Active: a.Usable(), Channel: a.Channel, Name: a.Name,
		CreatedAt: a.CreatedAt.Format(time.RFC3339Nano),
	}
	if s.Kinds {
		l.Type = a.Kind()
	}
	if !a.LastAuth.IsZero() {
		l.LastAuth = a.LastAuth.Format(time.RFC3339Nano)
	}
	return l
}
