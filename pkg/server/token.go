package server

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/mfa"
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
	session := &grants.Session{Address: s.address(r), Forwarded: forwarded(r)}
	if session.Wait = preferredWait(r.Header); session.Wait > 0 && q.Factor == string(mfa.OOB) {
		q.Waits = true
		var end func()
		r, session.Resume, end = patient(w, r, session.Wait)
		defer end()
	}
	answer, err := s.Provider.Token(r.Context(), r, session)
	if err != nil {
		return err
	}
	return writeJSON(w, answer)
}
