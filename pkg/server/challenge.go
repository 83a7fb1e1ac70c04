package server

import (
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

var challengeFields = withClient(form.Fields{"mfa_token": form.One, "challenge_type": form.One, "authenticator_id": form.One})

// challenge serves POST /mfa/challenge. The client proves itself as at the token
// endpoint, or by the mfa_token, which is in the body.
func (s *Server) challenge(w http.ResponseWriter, r *http.Request) error {
	if err := s.basicAlone(r); err != nil {
		return err
	}
	if err := s.readMFA(r, challengeFields); err != nil {
		return err
	}
	allowed := strings.Fields(r.PostForm.Get("challenge_type"))
	q := seen(r.Context())
	q.Step, q.Factor = "challenge", s.factorWord(allowed)
	client, proved, err := s.Clients.Holder(r.Context(), r, r.PostForm)
	if err != nil {
		return err
	}
	token := r.PostForm.Get("mfa_token")
	if token == "" {
		return fault.Param(fault.MissingParameter, "mfa_token")
	}
	address := s.address(r)
	if proved && client.Forwards() {
		address = forwarded(r) // all its users have its own; empty: that of the login counts
	}
	answer, err := s.Verifier.Challenge(r.Context(), mfa.ChallengeRequest{
		Token:         secret.New(token),
		Client:        client.ID,
		Allowed:       allowed,
		Authenticator: r.PostForm.Get("authenticator_id"),
		Binding:       client.Binding, Address: address, Agent: r.UserAgent(), Locale: r.Header.Get("Accept-Language"),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, answer)
}
