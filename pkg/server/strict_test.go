package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
)

// newStrict is a world that reads as RFC 6749 has it, and answers so.
func newStrict(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, issuerURL)
	w.Requests, w.Statuses = Requests{}, grants.StatusesRFC6749
	return w
}

// C-13, C-19: what is not tolerated, each with what it is instead.
func TestIntolerant(t *testing.T) {
	oauth := body{known: knownFields}
	for name, r := range map[string]*http.Request{
		"JSON":                      post("/", `{"otp":"1"}`, jsonType),
		"JSON under a form header":  post("/", `{"otp":"1"}`, formType),
		"JSON without a header":     post("/", `{"otp":"1"}`),
		"a form without a header":   post("/", "otp=1"),
		"a form called JSON":        post("/", "otp=1", jsonType),
		"a form with another type":  post("/", "otp=1", "text/plain"),
		"a parameter that is twice": post("/", "otp=1&otp=1", formType),
	} {
		if err := oauth.read(r); fault.Of(err) != fault.BadRequest || r.PostForm != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	mfa := body{known: knownFields, json: true}
	for name, r := range map[string]*http.Request{
		"JSON under a form header": post("/", `{"otp":"1"}`, formType),
		"JSON without a header":    post("/", `{"otp":"1"}`),
		"null (B-24)":              post("/", `{"otp":null}`, jsonType),
		"a number":                 post("/", `{"otp":123456}`, jsonType),
		"a boolean":                post("/", `{"otp":true}`, jsonType),
		"null in a list":           post("/", `{"audience":["a",null]}`, jsonType),
	} {
		if err := mfa.read(r); fault.Of(err) != fault.BadRequest || r.PostForm != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// RFC 6749, 3.2: unknown and empty parameters are ignored.
	for name, c := range map[string]struct {
		b body
		r *http.Request
	}{
		"a form":                  {oauth, post("/", "otp=1&scope=&x=1&x=2", formType)},
		"a form in capitals":      {oauth, post("/", "otp=1", "Application/X-WWW-Form-URLEncoded;charset=UTF-8")},
		"JSON at the MFA API":     {mfa, post("/", `{"otp":"1","scope":"","x":null}`, jsonType)},
		"a form at the MFA API":   {mfa, post("/", "otp=1", formType)},
		"a list where one may be": {mfa, post("/", `{"otp":"1","audience":[]}`, jsonType)},
	} {
		if err := c.b.read(c.r); err != nil || c.r.PostForm.Encode() != "otp=1" {
			t.Errorf("%s: %v, %v", name, err, c.r.PostForm)
		}
	}
}

// 1.1.12: a Bearer header beside a client's proof is ignored where that is tolerated.
func TestBearerBesideAClient(t *testing.T) {
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/mfa/challenge"} {
		for _, header := range []string{"Bearer x", "bearer", "Digest x", "x"} {
			send := func(w *world) (int, string) {
				rec, members := w.do(t, form(path, "client_id", "spa", "Authorization", header))
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
			return form("/oauth/token", "grant_type", "password", "client_id", "spa", "username", "alice", "password", "wrong")
		}, "invalid_grant", 403, 400},
		{func() *http.Request {
			return form("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", "x", "otp", "1")
		}, "invalid_grant", 403, 400},
		{func() *http.Request { return form("/mfa/challenge", "client_id", "spa", "mfa_token", "x") }, "invalid_grant", 403, 400},
		{func() *http.Request { return form("/oauth/token", "grant_type", "password", "client_id", "nobody") }, "invalid_client", 401, 401},
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
