package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// structured is a factor whose proof is an object, as WebAuthn's is.
type structured struct{ code }

var _ mfa.Structured = structured{}

func (structured) Params() []string { return []string{"otp", "authn_response"} }

func (structured) Objects() []string { return []string{"authn_response"} }

// A parameter that a factor declares as an object reaches it as JSON; no other may be
// one.
func TestObjectParameter(t *testing.T) {
	s := New(Options{Requests: Requests{JSON: true, Tolerant: true}, Verifier: mfa.NewVerifier(mfa.Options{Factors: []mfa.Factor{structured{}}})})
	read := func(body string) (url.Values, error) {
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		err := s.readOAuth(r, s.tokenFields)
		return r.PostForm, err
	}
	sent, err := read(`{"grant_type": "x", "authn_response": {"id": "a\n", "response": {"n": [1, 2]}}}`)
	if got := sent.Get("authn_response"); err != nil || got != `{"id":"a\n","response":{"n":[1,2]}}` {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := read(`{"otp": {"id": "a"}}`); fault.Of(err) != fault.BadRequest {
		t.Errorf("an object where a value belongs: %v", err)
	}
}
