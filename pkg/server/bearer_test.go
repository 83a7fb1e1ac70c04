package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/mfa"
)

// get is a GET with a bearer token; its Content-Type says JSON over an empty body, as
// some libraries send it (1.1.8).
func get(path, token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Content-Type", jsonType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

const invalidToken = "The mfa_token provided is invalid. Try getting a new token."

func TestBearerOfTheMFAEndpoints(t *testing.T) {
	w := newWorld(t, issuerURL)
	enroll := w.token(t, login("audience", issuerURL+"mfa", "scope", "enroll"), http.StatusOK, "access_token")
	reading := w.token(t, login("audience", issuerURL+"mfa/", "scope", "read:authenticators"), http.StatusOK, "access_token")
	elsewhere := w.token(t, login("scope", "openid"), http.StatusOK, "access_token")
	id := w.token(t, login("scope", "openid"), http.StatusOK, "id_token")
	w.enroll()
	token := w.token(t, login(), http.StatusForbidden, "mfa_token")
	spent := w.token(t, login(), http.StatusForbidden, "mfa_token")
	w.token(t, send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", spent, "otp", hushCode), http.StatusOK, "access_token")
	for _, c := range []struct {
		name, authorization string
		status              int
		code, description   string
	}{
		{"mfa_token", "Bearer " + token, 200, "", ""},
		{"any case, more blanks", "bEARER   " + token, 200, "", ""},
		{"access token", "Bearer " + reading, 200, "", ""},
		{"access token without the scope", "Bearer " + enroll, 403, "insufficient_scope", "Insufficient scope, expected: read:authenticators"},
		{"access token for another audience", "Bearer " + elsewhere, 401, "invalid_grant", invalidToken},
		{"ID token", "Bearer " + id, 401, "invalid_grant", invalidToken},
		{"spent", "Bearer " + spent, 401, "invalid_grant", invalidToken},
		{"tampered", "Bearer x" + token, 401, "invalid_grant", invalidToken},
		{"garbage", "Bearer x.y.z", 401, "invalid_grant", invalidToken},
		{"empty", "Bearer ", 401, "invalid_grant", invalidToken},
		{"another scheme", "Basic " + token, 401, "invalid_grant", invalidToken},
		{"no scheme", token, 401, "invalid_grant", invalidToken},
		{"nothing", "", 401, "invalid_grant", invalidToken},
	} {
		r := get("/mfa/authenticators?access_token="+token, "")
		r.Header.Set("Authorization", c.authorization)
		rec, got := w.do(t, r)
		if rec.Code != c.status || c.code != "" && (got["error"] != c.code || got["error_description"] != c.description) {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
		}
		if rec.Header().Get("WWW-Authenticate") != "" || rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Pragma") != "no-cache" {
			t.Errorf("%s: headers %v", c.name, rec.Header())
		}
	}
	w.Registrar.Now = func() time.Time { return noon.Add(10 * time.Minute) }
	rec, got := w.do(t, get("/mfa/authenticators", token))
	if rec.Code != http.StatusUnauthorized || got["error"] != "expired_token" || got["error_description"] != "mfa_token is expired" {
		t.Errorf("expired: %d %s", rec.Code, rec.Body)
	}
}

// 1.3.1: the bearer token is enough; client fields that come along must be right.
func TestClientFieldsBesideABearerToken(t *testing.T) {
	w := newWorld(t, issuerURL)
	mine := w.token(t, send("/oauth/token", "grant_type", "password", "client_id", "web", "client_secret", hushSecret,
		"username", "alice", "password", hushPassword), http.StatusForbidden, "mfa_token")
	for _, c := range []struct {
		name   string
		fields []string
		status int
		code   string
	}{
		{"none", nil, 200, ""},
		{"both", []string{"client_id", "web", "client_secret", hushSecret}, 200, ""},
		{"the id", []string{"client_id", "web"}, 200, ""},
		{"empty", []string{"client_id", "", "client_secret", ""}, 200, ""},
		{"a wrong secret", []string{"client_id", "web", "client_secret", "wrong"}, 401, "invalid_client"},
		{"a secret alone", []string{"client_secret", "wrong"}, 401, "invalid_client"},
		{"an unknown client", []string{"client_id", "nobody"}, 401, "invalid_client"},
		{"a disabled client", []string{"client_id", "gone"}, 401, "invalid_client"},
		{"another client", []string{"client_id", "spa"}, 400, "invalid_request"},
	} {
		w.authenticators = nil
		r := send("/mfa/associate", append([]string{"authenticator_types", "otp", "Authorization", "Bearer " + mine}, c.fields...)...)
		rec, got := w.do(t, r)
		if rec.Code != c.status || c.code != "" && got["error"] != c.code || (len(w.authenticators) == 1) != (c.status == 200) {
			t.Errorf("%s: %d %s, %d authenticators", c.name, rec.Code, rec.Body, len(w.authenticators))
		}
	}
}

func TestAssociate(t *testing.T) {
	w := newWorld(t, issuerURL)
	token := w.token(t, send("/oauth/token", "grant_type", "password", "client_id", "web", "client_secret", hushSecret,
		"username", "alice", "password", hushPassword), http.StatusForbidden, "mfa_token")
	for _, c := range []struct {
		contentType, body string
		status            int
		code              string
	}{
		{jsonType, `{"authenticator_types":["otp"]}`, 200, ""},
		{jsonType, `{"authenticator_types":"otp","oob_channels":null,"phone_number":null}`, 200, ""},
		{formType, `authenticator_types=otp`, 200, ""},
		{jsonType, `{}`, 400, "invalid_request"},
		{jsonType, `{"authenticator_types":[]}`, 400, "invalid_request"},
		{jsonType, `{"authenticator_types":["otp","oob"]}`, 400, "invalid_request"},
		{jsonType, `{"authenticator_types":["oob"]}`, 400, "invalid_request"},
		{jsonType, `{"authenticator_types":["oob"],"oob_channels":["sms"]}`, 400, "unsupported_challenge_type"},
		{jsonType, `{"authenticator_types":["email"]}`, 400, "unsupported_challenge_type"},
		{jsonType, `{"authenticator_types":{"otp":1}}`, 400, "invalid_request"},
	} {
		w.authenticators = nil
		r := post("/mfa/associate", c.body, c.contentType)
		r.Header.Set("Authorization", "Bearer "+token)
		rec, got := w.do(t, r)
		if rec.Code != c.status || c.code != "" && got["error"] != c.code || c.status == 200 && got["authenticator_type"] != "otp" {
			t.Errorf("%s: %d %s", c.body, rec.Code, rec.Body)
		}
	}
	w.enroll()
	rec, got := w.do(t, send("/mfa/associate", "authenticator_types", "otp", "Authorization", "Bearer "+token))
	if rec.Code != http.StatusForbidden || got["error"] != "access_denied" || got["error_description"] != "User is already enrolled." {
		t.Errorf("enrolled: %d %s", rec.Code, rec.Body)
	}
}

func TestChallenge(t *testing.T) {
	w := newWorld(t, issuerURL)
	w.enroll()
	token := w.token(t, login(), http.StatusForbidden, "mfa_token")
	confidential := w.token(t, send("/oauth/token", "grant_type", "password", "client_id", "web", "client_secret", hushSecret,
		"username", "alice", "password", hushPassword), http.StatusForbidden, "mfa_token")
	for _, c := range []struct {
		name   string
		fields []string
		status int
		code   string
	}{
		{"any", []string{"client_id", "spa", "mfa_token", token}, 200, ""},
		{"empty is any (1.1.6)", []string{"client_id", "spa", "mfa_token", token, "challenge_type", "", "authenticator_id", ""}, 200, ""},
		{"otp", []string{"client_id", "spa", "mfa_token", token, "challenge_type", "oob otp"}, 200, ""},
		{"alias", []string{"client_id", "spa", "mfa_token", token, "challenge_type", "totp"}, 200, ""},
		{"by id", []string{"client_id", "spa", "mfa_token", token, "authenticator_id", "totp|dev_1"}, 200, ""},
		{"confidential", []string{"client_id", "web", "client_secret", hushSecret, "mfa_token", confidential}, 200, ""},
		{"confidential without its secret (1.3.2)", []string{"client_id", "web", "mfa_token", confidential}, 401, "invalid_client"},
		{"oob alone", []string{"client_id", "spa", "mfa_token", token, "challenge_type", "oob"}, 401, "unsupported_challenge_type"},
		{"another id", []string{"client_id", "spa", "mfa_token", token, "authenticator_id", "totp|dev_2"}, 404, "invalid_authenticator"},
		{"no token", []string{"client_id", "spa"}, 400, "invalid_request"},
		{"no client", []string{"mfa_token", token}, 401, "invalid_client"},
		{"another client's token", []string{"client_id", "spa", "mfa_token", confidential}, 400, "invalid_request"},
		{"garbage", []string{"client_id", "spa", "mfa_token", "x"}, 403, "invalid_grant"},
		{"in the header alone", []string{"client_id", "spa", "Authorization", "Bearer " + token}, 400, "invalid_request"},
	} {
		rec, got := w.do(t, send("/mfa/challenge", c.fields...))
		if rec.Code != c.status || c.code != "" && got["error"] != c.code || c.status == 200 && !reflect.DeepEqual(got, map[string]any{"challenge_type": "otp"}) {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
		}
	}
	w.authenticators = nil
	if rec, got := w.do(t, send("/mfa/challenge", "client_id", "spa", "mfa_token", token)); rec.Code != http.StatusForbidden || got["error"] != "invalid_grant" {
		t.Errorf("the factors were taken away: %d %s", rec.Code, rec.Body)
	}
	fresh := w.token(t, send("/oauth/token", "grant_type", "password", "client_id", "web", "client_secret", hushSecret,
		"username", "alice", "password", hushPassword), http.StatusForbidden, "mfa_token")
	rec, got := w.do(t, send("/mfa/challenge", "client_id", "web", "client_secret", hushSecret, "mfa_token", fresh))
	if rec.Code != http.StatusUnauthorized || got["error"] != "association_required" {
		t.Errorf("not enrolled: %d %s", rec.Code, rec.Body)
	}
}

// The rows of the list have the contract's members and no other: an oob_channels would
// break one library (4.2).
func TestList(t *testing.T) {
	w := newWorld(t, issuerURL)
	token := w.token(t, login("audience", issuerURL+"mfa/"), http.StatusOK, "access_token")
	read := func() []map[string]any {
		rec, _ := w.do(t, get("/mfa/authenticators", token))
		var rows []map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &rows); err != nil || rec.Code != http.StatusOK || rows == nil {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return rows
	}
	if rows := read(); len(rows) != 0 {
		t.Errorf("rows %v", rows)
	}
	w.authenticators = []mfa.Authenticator{
		{ID: "totp|dev_1", Type: mfa.OTP, CreatedAt: noon, ConfirmedAt: noon, LastAuth: noon.Add(time.Millisecond)},
		{ID: "recovery-code|dev_2", Type: mfa.RecoveryCode, CreatedAt: noon},
		{ID: "sms|dev_3", Type: mfa.OOB, Channel: "sms", Name: "XXXXXXXX0042", CreatedAt: noon, ConfirmedAt: noon, DisabledAt: noon},
	}
	want := []map[string]any{
		{"id": "totp|dev_1", "authenticator_type": "otp", "type": "otp", "active": true, "created_at": "2026-03-04T12:00:00Z", "last_auth": "2026-03-04T12:00:00.001Z"},
		{"id": "recovery-code|dev_2", "authenticator_type": "recovery-code", "type": "recovery-code", "active": false, "created_at": "2026-03-04T12:00:00Z"},
		{"id": "sms|dev_3", "authenticator_type": "oob", "type": "phone", "oob_channel": "sms", "name": "XXXXXXXX0042", "active": false, "created_at": "2026-03-04T12:00:00Z"},
	}
	if rows := read(); !reflect.DeepEqual(rows, want) {
		t.Errorf("rows %v\nwant %v", rows, want)
	}
}

func TestUserinfo(t *testing.T) {
	w := newWorld(t, issuerURL)
	openid := w.token(t, login("scope", "openid email"), http.StatusOK, "access_token")
	without := w.token(t, login("scope", "email"), http.StatusOK, "access_token")
	elsewhere := w.token(t, login("audience", issuerURL+"mfa/", "scope", "enroll"), http.StatusOK, "access_token")
	id := w.token(t, login("scope", "openid"), http.StatusOK, "id_token")
	for _, c := range []struct {
		name, token, challenge string
		status                 int
		code                   string
	}{
		{"openid", openid, "", 200, ""},
		{"without openid", without, `Bearer error="insufficient_scope", scope="openid"`, 403, "insufficient_scope"},
		{"another audience", elsewhere, `Bearer error="invalid_token"`, 401, "invalid_token"},
		{"ID token", id, `Bearer error="invalid_token"`, 401, "invalid_token"},
		{"garbage", "x.y.z", `Bearer error="invalid_token"`, 401, "invalid_token"},
		{"nothing", "", "Bearer", 401, "invalid_token"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := get("/userinfo", c.token)
			r.Method = method
			rec, got := w.do(t, r)
			if rec.Code != c.status || rec.Header().Get("WWW-Authenticate") != c.challenge || c.code != "" && got["error"] != c.code {
				t.Errorf("%s %s: %d %v %s", method, c.name, rec.Code, rec.Header(), rec.Body)
			}
			if c.status == 200 && !reflect.DeepEqual(got, map[string]any{"sub": "auth0|alice", "email": "alice@example.test", "email_verified": true}) {
				t.Errorf("claims %v", got)
			}
		}
	}
	w.gone = true
	if rec, got := w.do(t, get("/userinfo", openid)); rec.Code != http.StatusUnauthorized || got["error"] != "invalid_token" {
		t.Errorf("a subject that is gone: %d %s", rec.Code, rec.Body)
	}
}

// The token endpoint as a client sees it, in both encodings.
func TestTokenEndpoint(t *testing.T) {
	w := newWorld(t, issuerURL)
	rec, got := w.do(t, post("/oauth/token", `{"grant_type":"password","client_id":"spa","username":"alice","password":"`+hushPassword+
		`","realm":null,"audience":null,"scope":"openid"}`, jsonType))
	if rec.Code != http.StatusOK || got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 || got["scope"] != "openid" ||
		got["access_token"] == nil || got["id_token"] == nil || len(got) != 5 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.enroll()
	rec, got = w.do(t, login())
	if rec.Code != http.StatusForbidden || got["error"] != "mfa_required" || got["mfa_token"] == nil || len(got) != 4 ||
		!reflect.DeepEqual(got["mfa_requirements"], map[string]any{"challenge": []any{map[string]any{"type": "otp"}}}) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		code   string
	}{
		{"two grant types in one", send("/oauth/token", "grant_type", "password mfa-otp", "client_id", "spa", "username", "alice", "password", hushPassword), 400, "unsupported_grant_type"},
		{"two grant types", send("/oauth/token", "grant_type", "password", "grant_type", "mfa-otp", "client_id", "spa"), 400, "invalid_request"},
		{"unknown grant", send("/oauth/token", "grant_type", "urn:x", "client_id", "spa"), 400, "unsupported_grant_type"},
		{"no grant", send("/oauth/token", "client_id", "spa"), 400, "invalid_request"},
		{"credentials in the URL", send("/oauth/token?client_id=spa&password="+hushPassword, "grant_type", "password", "username", "alice"), 400, "invalid_request"},
		{"a body too large", send("/oauth/token", "x", string(make([]byte, form.Limit))), 413, "invalid_request"},
		{"wrong password", send("/oauth/token", "grant_type", "password", "client_id", "spa", "username", "alice", "password", "x"), 403, "invalid_grant"},
		{"unknown client", send("/oauth/token", "grant_type", "password", "client_id", "x", "username", "alice", "password", "x"), 401, "invalid_client"},
		{"bearer is ignored", login("Authorization", "Bearer x"), 403, "mfa_required"},
		{"wrong basic", login("Authorization", "Basic d2ViOng="), 401, "invalid_client"},
	} {
		rec, got := w.do(t, c.r)
		if rec.Code != c.status || got["error"] != c.code || got["access_token"] != nil || rec.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
		}
	}
	if len(w.issued) != 1 {
		t.Errorf("%d issuances", len(w.issued))
	}
}
