package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/grants"
)

// newStrict is a world that reads as RFC 6749 has it, and answers so.
func newStrict(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, issuerURL)
	w.Requests, w.Errors = Requests{}, grants.Errors{Statuses: grants.StatusesRFC6749}
	return w
}

// 1.1.12: a Bearer header beside a client's proof is ignored where that is tolerated.
func TestBearerBesideAClient(t *testing.T) {
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/mfa/challenge"} {
		for _, header := range []string{"Bearer x", "bearer", "Digest x", "x"} {
			send := func(w *world) (int, string) {
				rec, members := w.do(t, send(path, "client_id", "spa", "Authorization", header))
				text, _ := members["error_description"].(string)
				return rec.Code, text
			}
			const refusal = "A client proves itself by Basic, or in the body."
			if code, text := send(newStrict(t)); code != http.StatusBadRequest || text != refusal {
				t.Errorf("%s with %q: %d %s", path, header, code, text)
			}
			if code, text := send(newWorld(t, issuerURL)); text == refusal {
				t.Errorf("%s with %q, tolerant: %d %s", path, header, code, text)
			}
		}
	}
}

// C-02: the same refusals with the status of RFC 6749, 5.2.
func TestStatusOfRefusals(t *testing.T) {
	strict, tolerant := newStrict(t), newWorld(t, issuerURL)
	for _, c := range []struct {
		r        func() *http.Request
		code     string
		own, rfc int
	}{
		{func() *http.Request { return login("password", "wrong") }, "invalid_request", 400, 400},
		{func() *http.Request {
			return send("/oauth/token", "grant_type", "password", "client_id", "spa", "username", "alice", "password", "wrong")
		}, "invalid_grant", 403, 400},
		{func() *http.Request {
			return send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", "x", "otp", "1")
		}, "invalid_grant", 403, 400},
		{func() *http.Request { return send("/mfa/challenge", "client_id", "spa", "mfa_token", "x") }, "invalid_grant", 403, 400},
		{func() *http.Request { return send("/oauth/token", "grant_type", "password", "client_id", "nobody") }, "invalid_client", 401, 401},
		{func() *http.Request { return httptest.NewRequest(http.MethodGet, "/mfa/authenticators", nil) }, "invalid_grant", 401, 401},
	} {
		for w, want := range map[*world]int{tolerant: c.own, strict: c.rfc} {
			rec, members := w.do(t, c.r())
			if rec.Code != want || members["error"] != c.code {
				t.Errorf("%d %s, want %d %s", rec.Code, rec.Body, want, c.code)
			}
		}
	}
}

// B-72: nothing of a body that took too long is looked at, and it is no trouble of ours.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, issuerURL)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	rec, members := w.do(t, login().WithContext(ctx))
	if rec.Code != http.StatusRequestTimeout || members["error"] != "invalid_request" || len(w.issued) > 0 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
