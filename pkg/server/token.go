package server

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/grants"
)

// token serves POST /oauth/token.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	if err := s.readOAuth(r, s.tokenFields); err != nil {
		return err
	}
	q := seen(r.Context())
	q.Grant = s.grantWord(r.PostForm.Get("grant_type"))
	if factor, ok := strings.CutPrefix(q.Grant, "mfa-"); ok {
		q.Step, q.Factor = "verify", s.factorWord([]string{factor})
	}
	answer, err := s.Provider.Token(r.Context(), r, &grants.Session{Address: s.address(r), Forwarded: forwarded(r)})
	if err != nil {
		return err
	}
	return writeJSON(w, answer)
}
