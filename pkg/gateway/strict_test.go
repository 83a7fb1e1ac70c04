package gateway_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Profile strict on the wire, also for a client that was registered under another profile
// and still has what strict takes away: C-01, C-02, C-13, C-17, C-18, C-19, C-21.
func TestStrict(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		const app, form, object = "https://app.example.test", "application/x-www-form-urlencoded", "application/json"
		admin := w.Administer(t)
		for _, c := range []record.Client{
			{ID: "spa", FirstParty: true, Grants: []string{"password", "password-realm", "refresh_token", "mfa"}, Origins: []string{app}, MFA: record.MFAEnrolled},
			{ID: "web", Confidential: true, SecretHashes: []string{secret.Hash(secret.New(gatewaytest.Secret))}, Grants: []string{"client_credentials"}},
		} {
			if _, err := admin.SaveClient(t.Context(), c, event(w)); err != nil {
				t.Fatal(err)
			}
		}

		// C-01, C-18: the password grants are neither served nor named, by either document.
		for _, grant := range []string{"password", "password-realm", gatewaytest.GrantRealm} {
			refused(t, w.Token(t, with("spa", "grant_type", grant, "username", "alice", "password", gatewaytest.Password)...),
				http.StatusBadRequest, "unsupported_grant_type", "")
		}
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			named, _ := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: path}).Want(t, http.StatusOK, "").JSON["grant_types_supported"].([]any)
			want := []any{gatewaytest.GrantOTP, gatewaytest.GrantRecovery, "refresh_token", "mfa_token", "client_credentials"}
			if !slices.Equal(named, want) {
				t.Errorf("%s names the grants %v", path, named)
			}
		}

		// C-02: 400; a client or a bearer token that proves nothing is 401 still.
		refused(t, w.OTP(t, "garbage", "123456"), http.StatusBadRequest, "invalid_grant", malformedToken)
		refused(t, w.Challenge(t, "garbage"), http.StatusBadRequest, "invalid_grant", malformedToken)
		refused(t, w.Token(t, with("spa", "grant_type", "refresh_token", "refresh_token", "garbage")...), http.StatusBadRequest, "invalid_grant", "")
		refused(t, w.Token(t, with("web", "grant_type", "refresh_token", "refresh_token", "garbage")...), http.StatusBadRequest, "unauthorized_client", "")
		refused(t, w.Token(t, "grant_type", "refresh_token", "client_id", "nobody"), http.StatusUnauthorized, "invalid_client", "")
		refused(t, w.Authenticators(t, "garbage"), http.StatusUnauthorized, "invalid_grant", badBearer)

		// C-13, C-17, C-19: each of these is read under the other profiles, or refused as here.
		send := func(path, contentType, body string, header map[string]string) gatewaytest.Reply {
			return w.Do(t, gatewaytest.Request{Method: http.MethodPost, Path: path, ContentType: contentType, Body: body, Header: header})
		}
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
			for name, r := range map[string]gatewaytest.Reply{
				"JSON":                     send(path, object, `{"client_id":"spa"}`, nil),
				"JSON under a form header": send(path, form, `{"client_id":"spa"}`, nil),
				"JSON under nothing":       send(path, "", `{"client_id":"spa"}`, nil),
				"a Bearer":                 send(path, form, "client_id=spa", gatewaytest.Bearer("x")),
				"client_id twice":          send(path, form, "client_id=spa&client_id=spa", nil),
			} {
				t.Run(name, func(t *testing.T) { refused(t, r, http.StatusBadRequest, "invalid_request", "") })
			}
		}
		refused(t, send("/mfa/challenge", form, `{"client_id":"spa","mfa_token":"x"}`, nil), http.StatusBadRequest, "invalid_request", "")
		refused(t, send("/mfa/challenge", object, `{"client_id":"spa","mfa_token":null}`, nil), http.StatusBadRequest, "invalid_request", "")
		refused(t, send("/mfa/challenge", object, `{"client_id":"spa","mfa_token":"x"}`, gatewaytest.Bearer("x")), http.StatusBadRequest, "invalid_request", "")
		refused(t, send("/mfa/challenge", object, `{"client_id":"spa","mfa_token":"x"}`, nil), http.StatusBadRequest, "invalid_grant", malformedToken)

		// C-21: no page gets an answer that it may read.
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/mfa/challenge", "/mfa/associate", "/mfa/authenticators", "/userinfo"} {
			asked := w.Do(t, gatewaytest.Request{Method: http.MethodOptions, Path: path,
				Header: map[string]string{"Origin": app, "Access-Control-Request-Method": http.MethodPost}})
			sent := send(path, form, "client_id=spa", map[string]string{"Origin": app})
			if asked.Header.Get("Access-Control-Allow-Origin") != "" || sent.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s is open to a page: %v, %v", path, asked.Header, sent.Header)
			}
		}
	}, "profile: strict", "tenant_files: []")
}
