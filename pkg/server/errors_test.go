package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/pkg/fault"
)

// lines are the lines of the log.
func (w *world) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(w.log.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			t.Fatal(err)
		}
		all = append(all, members)
	}
	return all
}

// A panic is an answer like any other failure; what it says stays inside.
func TestPanic(t *testing.T) {
	for _, value := range []any{hushPassword, errors.New(hushPassword), 271828, struct{ s string }{hushPassword}} {
		w := newWorld(t, issuerURL)
		h := w.serve("/x", func(http.ResponseWriter, *http.Request) error { panic(value) })
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, post("/x", hushPassword, formType))
		var got map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != http.StatusInternalServerError || got["error"] != "server_error" || len(got) != 2 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if strings.Contains(rec.Body.String(), "hush") {
			t.Errorf("the answer echoes: %s", rec.Body)
		}
		w.quiet(t)
		logged := w.lines(t)
		if len(logged) != 2 || logged[0]["level"] != "ERROR" || !strings.Contains(fmt.Sprint(logged[0]["cause"]), fmt.Sprintf("panic of type %T at", value)) ||
			!strings.Contains(fmt.Sprint(logged[0]["cause"]), "errors_test.go") {
			t.Errorf("logged %v", logged)
		}
	}
}

// A panic deep inside a grant, behind fosite, with the proof as its text.
func TestPanicInAGrant(t *testing.T) {
	w := newWorld(t, issuerURL)
	w.enroll()
	token := w.token(t, login(), http.StatusForbidden, "mfa_token")
	rec, got := w.do(t, send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", token, "otp", "panic"))
	if rec.Code != http.StatusInternalServerError || got["error"] != "server_error" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.quiet(t, token)
}

// A panic around the endpoints, here in the question whose page calls, is answered and
// logged as one within.
func TestPanicAroundTheEndpoints(t *testing.T) {
	w := newWorld(t, issuerURL)
	r := login()
	r.Header.Set("Origin", panicOrigin)
	rec, got := w.do(t, r)
	if rec.Code != http.StatusInternalServerError || got["error"] != "server_error" || len(got) != 2 || rec.Header().Get("X-Request-Id") == "" {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	w.quiet(t)
	if logged := w.lines(t); len(logged) != 2 || !strings.Contains(fmt.Sprint(logged[0]["cause"]), "panic of type string at") {
		t.Errorf("logged %v", logged)
	}
	if len(w.ended) != 1 || w.ended[0].Kind != fault.Internal || w.ended[0].Status != http.StatusInternalServerError {
		t.Errorf("the observer was told %+v", w.ended)
	}
}

// I7: what hangs becomes an answer when the time of a request is over.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, issuerURL)
		w.hangs = true
		h := w.Handler()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, login())
		if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
		var deadline bool
		w.serve("/x", func(_ http.ResponseWriter, r *http.Request) error {
			_, deadline = r.Context().Deadline()
			<-r.Context().Done()
			return fault.Because(fault.Unavailable, context.Cause(r.Context()))
		}).ServeHTTP(httptest.NewRecorder(), login())
		if !deadline {
			t.Error("a request may take for ever")
		}
	})
}

// What cannot be encoded is not sent in part.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	w := newWorld(t, issuerURL)
	rec := httptest.NewRecorder()
	w.serve("/x", func(rw http.ResponseWriter, _ *http.Request) error {
		return writeJSON(rw, map[string]any{"token": "hush", "f": func() {}})
	}).ServeHTTP(rec, login())
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "hush") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// A dependency that is down is 503 everywhere: never a token, never "not found".
func TestStoreDown(t *testing.T) {
	w := newWorld(t, issuerURL)
	access := w.token(t, login("scope", "openid"), http.StatusOK, "access_token")
	w.enroll()
	token, own := w.token(t, login(), http.StatusForbidden, "mfa_token"), w.webToken(t)
	w.down = errDown
	for name, r := range map[string]*http.Request{
		"password":       login(),
		"mfa":            send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", token, "otp", hushCode),
		"challenge":      send("/mfa/challenge", "client_id", "spa", "mfa_token", token),
		"associate":      send("/mfa/associate", "authenticator_types", "otp", "Authorization", "Bearer "+token),
		"authenticators": get("/mfa/authenticators", token),
		"userinfo":       get("/userinfo", access),
		"revoke":         send("/oauth/revoke", "client_id", "spa", "token", access),
		"revoke refresh": send("/oauth/revoke", "client_id", "spa", "token", "a refresh token"),
		"introspect":     web("/oauth/introspect", "token", own),
	} {
		rec, got := w.do(t, r)
		if rec.Code != http.StatusServiceUnavailable || got["error"] != "temporarily_unavailable" || rec.Header().Get("Retry-After") != "2" || len(got) != 2 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	w.quiet(t, token, access)
	for _, line := range w.lines(t)[2:] {
		if line["level"] == "ERROR" && !strings.Contains(fmt.Sprint(line["cause"]), errDown.Error()) {
			t.Errorf("the log does not say why: %v", line)
		}
	}
}

// One line for each request, one more for a failure of the gateway, and nothing in them
// that the client sent.
func TestLogHoldsNoSecret(t *testing.T) {
	w := newWorld(t, issuerURL)
	access := w.token(t, login("scope", "openid offline_access"), http.StatusOK, "access_token")
	w.enroll()
	token := w.token(t, login(), http.StatusForbidden, "mfa_token")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+hushSecret))
	requests := []*http.Request{
		login("username", hushPassword),
		send("/oauth/token?password="+hushPassword, "grant_type", "password"),
		send("/oauth/token/" + hushPassword),
		send("/oauth/token", "grant_type", hushPassword, "client_id", hushPassword, "client_secret", hushSecret),
		send("/oauth/token", "grant_type", "password", "username", "alice", "password", hushPassword, "Authorization", basic),
		send("/mfa/challenge", "client_id", "spa", "mfa_token", token),
		send("/mfa/associate", "authenticator_types", hushPassword, "Authorization", "Bearer "+token),
		send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", token, "otp", hushCode+"9"),
		send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", token, "otp", hushCode),
		send("/userinfo", "Authorization", "Bearer "+access),
		httptest.NewRequest(strings.ToUpper("X"+hushPassword), "/oauth/token", nil),
		httptest.NewRequest("hush-password-of-alice", "/oauth/token", nil),
	}
	before := len(w.lines(t))
	for _, r := range requests {
		r.Header.Set("User-Agent", hushPassword)
		w.do(t, r)
	}
	if n := len(w.lines(t)) - before; n != len(requests) {
		t.Errorf("%d lines for %d requests", n, len(requests))
	}
	w.quiet(t, token, access, basic, base64.StdEncoding.EncodeToString([]byte("web:"+hushSecret)))
	last := w.lines(t)[before+len(requests)-1]
	if last["method"] != "other" || last["route"] != "none" || last["status"] != 405.0 || last["kind"] != "bad_method" {
		t.Errorf("logged %v", last)
	}
	w.down = errDown
	w.do(t, login())
	w.quiet(t)
}
