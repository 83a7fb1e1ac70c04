package server

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/pkg/form"
)

// web adds the confidential client's credentials.
func web(path string, pairs ...string) *http.Request {
	return send(path, append(pairs, "client_id", "web", "client_secret", hushSecret)...)
}

// webToken is an access token of the confidential client, which demands a second factor.
func (w *world) webToken(t *testing.T) string {
	t.Helper()
	w.enroll()
	token := w.token(t, web("/oauth/token", "grant_type", "password", "username", "alice", "password", hushPassword), http.StatusForbidden, "mfa_token")
	return w.token(t, web("/oauth/token", "grant_type", "mfa-otp", "mfa_token", token, "otp", hushCode), http.StatusOK, "access_token")
}

// exactly wants 200 with these bytes, and none of the headers that hide them.
func (w *world) exactly(t *testing.T, what string, r *http.Request, body string) {
	t.Helper()
	rec, _ := w.do(t, r)
	if rec.Code != http.StatusOK || rec.Body.String() != body || rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%s: %d %v %s", what, rec.Code, rec.Header(), rec.Body)
	}
}

// Whoever may not ask, and whatever is not a question, is refused at both endpoints, and
// never with a WWW-Authenticate.
func TestAboutATokenRefuses(t *testing.T) {
	w := newWorld(t, issuerURL)
	spa := w.token(t, login("scope", "openid"), http.StatusOK, "access_token")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("web:wrong"))
	for _, path := range []string{"/oauth/revoke", "/oauth/introspect"} {
		for _, c := range []struct {
			name   string
			r      *http.Request
			status int
			code   string
		}{
			{"nobody", send(path, "token", spa), 401, "invalid_client"},
			{"unknown", send(path, "token", spa, "client_id", "x"), 401, "invalid_client"},
			{"disabled", send(path, "token", spa, "client_id", "gone"), 401, "invalid_client"},
			{"no secret", send(path, "token", spa, "client_id", "web"), 401, "invalid_client"},
			{"wrong secret", send(path, "token", spa, "client_id", "web", "client_secret", "wrong"), 401, "invalid_client"},
			{"wrong basic", send(path, "token", spa, "Authorization", basic), 401, "invalid_client"},
			{"a token for a secret", send(path, "token", spa, "client_id", "web", "Authorization", "Bearer "+spa), 401, "invalid_client"},
			{"no token", web(path), 400, "invalid_request"},
			{"an empty token", web(path, "token", ""), 400, "invalid_request"},
			{"two tokens", web(path, "token", spa, "token", spa), 400, "invalid_request"},
			{"a token in the URL", web(path+"?token="+spa, "token_type_hint", "access_token"), 400, "invalid_request"},
			{"too large", web(path, "token", string(make([]byte, form.Limit))), 413, "invalid_request"},
		} {
			rec, got := w.do(t, c.r)
			if rec.Code != c.status || got["error"] != c.code || got["active"] != nil || rec.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s %s: %d %s", path, c.name, rec.Code, rec.Body)
			}
		}
	}
	if rec, got := w.do(t, send("/oauth/introspect", "token", spa, "client_id", "spa")); rec.Code != http.StatusUnauthorized || got["error"] != "invalid_client" {
		t.Errorf("a public client introspects: %d %s", rec.Code, rec.Body)
	}
	if len(w.issued) != 1 {
		t.Error("a token was revoked")
	}
	w.quiet(t, spa)
}

func TestRevoke(t *testing.T) {
	w := newWorld(t, issuerURL)
	for _, member := range []string{"access_token", "refresh_token"} {
		for _, encoded := range []string{formType, jsonType} {
			token := w.token(t, login("scope", "openid offline_access"), http.StatusOK, member)
			body := "client_id=spa&token_type_hint=nonsense&token=" + token
			if encoded == jsonType {
				body = `{"client_id":"spa","token_type_hint":null,"token":"` + token + `"}`
			}
			if rec, got := w.do(t, web("/oauth/revoke", "token", token)); rec.Code != http.StatusBadRequest || got["error"] != "invalid_request" || len(w.issued) != 1 {
				t.Errorf("another client's %s: %d %s", member, rec.Code, rec.Body)
			}
			w.exactly(t, member, post("/oauth/revoke", body, encoded), "{}\n")
			if len(w.issued) != 0 {
				t.Errorf("the %s was not revoked", member)
			}
			w.exactly(t, member+" again", post("/oauth/revoke", body, encoded), "{}\n")
		}
	}
	w.exactly(t, "garbage", send("/oauth/revoke", "client_id", "spa", "token", "x.y.z"), "{}\n")
	w.exactly(t, "a confidential client", web("/oauth/revoke", "token", "x"), "{}\n")
}

func TestIntrospect(t *testing.T) {
	w := newWorld(t, issuerURL)
	others := w.token(t, login("scope", "openid"), http.StatusOK, "access_token")
	own := w.webToken(t)
	rec, got := w.do(t, web("/oauth/introspect", "token", own))
	if rec.Code != http.StatusOK || got["active"] != true || got["client_id"] != "web" || got["sub"] != "auth0|alice" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	for name, token := range map[string]string{"another client's": others, "garbage": "x.y.z", "altered": own[:len(own)-2]} {
		w.exactly(t, name, web("/oauth/introspect", "token", token, "token_type_hint", "refresh_token"), "{\"active\":false}\n")
	}
	w.exactly(t, "revoked", web("/oauth/revoke", "token", own), "{}\n")
	w.exactly(t, "after its end", web("/oauth/introspect", "token", own), "{\"active\":false}\n")
}
