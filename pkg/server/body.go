package server

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/form"
)

// proof are the parameters by which a client names and proves itself in a body.
var proof = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// withClient adds them.
func withClient(known form.Fields) form.Fields {
	for _, name := range proof {
		known[name] = form.One
	}
	return known
}

// readOAuth reads the body of an endpoint of OAuth, where a client proves itself.
func (s *Server) readOAuth(r *http.Request, known form.Fields) error {
	if err := s.basicAlone(r); err != nil {
		return err
	}
	return form.Reader{Known: known, JSON: s.Requests.JSON, Tolerant: s.Requests.Tolerant}.Read(r)
}

// readMFA reads the body of an endpoint of the MFA API, whose language is JSON.
func (s *Server) readMFA(r *http.Request, known form.Fields) error {
	return form.Reader{Known: known, JSON: true, Tolerant: s.Requests.Tolerant}.Read(r)
}

// basicAlone refuses an Authorization header by which no client can prove itself.
// Published samples send a Bearer (1.1.12); it means nothing here.
func (s *Server) basicAlone(r *http.Request) error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if s.Requests.Tolerant || scheme == "" || strings.EqualFold(scheme, "Basic") {
		return nil
	}
	return fault.Param(fault.BadRequest, "A client proves itself by Basic, or in the body.")
}
