package server

import (
	"net/http"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
)

var associateFields = withClient(form.Fields{
	"authenticator_types": form.Many, "oob_channels": form.Many, "phone_number": form.One, "email": form.One,
})

// associate serves POST /mfa/associate.
func (s *Server) associate(w http.ResponseWriter, r *http.Request) error {
	if err := s.readMFA(r, associateFields); err != nil {
		return err
	}
	q, wanted, channels := seen(r.Context()), r.PostForm["authenticator_types"], r.PostForm["oob_channels"]
	q.Step, q.Factor, q.Channel = "associate", s.factorWord(wanted), channelWord(channels)
	c, err := s.credential(r, grants.ScopeEnroll)
	if err != nil {
		return err
	}
	if err := s.sameClient(r, r.PostForm, c); err != nil {
		return err
	}
	answer, err := s.Registrar.Associate(r.Context(), c, enrollment.Association{
		Wanted:   wanted,
		Channels: channels,
		Params:   map[string]string{"phone_number": r.PostForm.Get("phone_number"), "email": r.PostForm.Get("email")},
		Address:  s.address(r),
		Locale:   r.Header.Get("Accept-Language"),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, answer)
}
