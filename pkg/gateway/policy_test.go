package gateway_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

const things = "https://api.example.test/"

// password sends the right password of a user as some client.
func password(t *testing.T, w *gatewaytest.World, client, username string, more ...string) gatewaytest.Reply {
	t.Helper()
	return w.Token(t, with(client, append([]string{"grant_type", "password", "username", username, "password", gatewaytest.Password}, more...)...)...)
}

// Part 7: who is asked for a second factor, by client, scope and audience.
func TestWhoIsAsked(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		w.Enroll(t, "alice")
		manage := w.URL + "mfa/"
		acr := []string{"acr_values", record.MultiFactor}
		for _, c := range []struct {
			client, user string
			more         []string
			status       int
			code, scope  string // the error, or the scope that was granted
		}{
			{"kiosk", "carol", nil, 403, "mfa_required", ""},
			{"web", "carol", nil, 403, "mfa_required", ""},
			{"spa", "carol", nil, 200, "", ""},
			{"desk", "carol", nil, 200, "", ""},
			{"legacy", "carol", nil, 200, "", ""},
			{"spa", "alice", nil, 403, "mfa_required", ""},
			{"desk", "alice", nil, 403, "mfa_required", ""},
			{"legacy", "alice", nil, 200, "", ""},
			{"batch", "alice", nil, 200, "", ""},

			// One of mfa_scopes demands the factor, also by not being named among all; an
			// off client goes without.
			{"spa", "carol", []string{"audience", things, "scope", "read:things"}, 200, "", "read:things"},
			{"spa", "carol", []string{"audience", things, "scope", "write:things"}, 403, "mfa_required", ""},
			{"spa", "carol", []string{"audience", things}, 403, "mfa_required", ""},
			{"legacy", "carol", []string{"audience", things}, 200, "", "read:things"},
			{"legacy", "alice", []string{"audience", things, "scope", "openid write:things read:things"}, 200, "", "openid read:things"},

			// A scope that nobody knows is dropped, one that the client may not have is an
			// error, and all means all that it may have.
			{"spa", "carol", []string{"audience", things, "scope", "read:things nonsense openid openid"}, 200, "", "read:things openid"},
			{"desk", "carol", []string{"audience", things, "scope", "write:things"}, 400, "invalid_scope", ""},
			{"desk", "carol", []string{"audience", things}, 200, "", "read:things"},
			{"desk", "carol", []string{"scope", "openid offline_access"}, 200, "", "openid"}, // no refresh_token grant
			{"spa", "carol", []string{"audience", "https://other.example.test/"}, 403, "access_denied", ""},
			{"spa", "carol", []string{"audience", things, "audience", manage}, 400, "invalid_request", ""},
			{"spa", "carol", []string{"scope", "read:things openid"}, 200, "", "openid"},

			// The audience of the factors themselves: at once without one, never without it.
			{"spa", "carol", []string{"audience", manage}, 200, "", "enroll read:authenticators remove:authenticators"},
			{"web", "carol", []string{"audience", strings.TrimSuffix(manage, "/"), "scope", "enroll"}, 200, "", "enroll"},
			{"spa", "alice", []string{"audience", manage, "scope", "enroll"}, 403, "mfa_required", ""},
			{"legacy", "carol", []string{"audience", manage}, 403, "unauthorized_client", ""},
			{"batch", "alice", []string{"audience", manage}, 403, "unauthorized_client", ""},

			{"spa", "carol", acr, 403, "mfa_required", ""},
			{"legacy", "carol", acr, 403, "unauthorized_client", ""},
			{"legacy", "carol", []string{"max_age", "60"}, 403, "unauthorized_client", ""},
			{"spa", "carol", []string{"max_age", "60"}, 200, "", ""},
			{"spa", "carol", []string{"max_age", "soon"}, 400, "invalid_request", ""},
			{"spa", "carol", []string{"acr_values", "urn:example:other"}, 200, "", ""},
		} {
			r := password(t, w, c.client, c.user, c.more...)
			if r.Status != c.status || r.Text("error") != c.code || r.Text("scope") != c.scope {
				t.Errorf("%s, %s %v: got %d %s, want %d %s %q", c.client, c.user, c.more, r.Status, r.Body, c.status, c.code, c.scope)
			}
		}
	})
}

// claims verifies a token with the published keys alone and returns what it says.
func claims(t *testing.T, w *gatewaytest.World, token, kind string) map[string]any {
	t.Helper()
	keys := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/jwks.json"}).Want(t, http.StatusOK, "")
	var out map[string]any
	if err := signer.VerifyWithJWKS([]byte(keys.Body), token, kind, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// equal compares some claims with what they should be.
func equal(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(got[name], value) {
			t.Errorf("claim %s: %v, want %v", name, got[name], value)
		}
	}
}

// Part 8: the claims of both tokens, and that the published keys verify them.
func TestTokens(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		began := w.Clock.Now().Unix()
		token := ask(t, w, "spa", "alice", "audience", things, "scope", "openid profile email read:things write:things")
		w.Clock.Wind(7 * time.Second)
		done := w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		now := float64(w.Clock.Now().Unix())
		access, id := claims(t, w, done.Text("access_token"), "at+jwt"), claims(t, w, done.Text("id_token"), "JWT")
		equal(t, access, map[string]any{
			"iss": w.URL, "sub": "auth0|alice", "aud": []any{things, w.URL + "userinfo"}, "client_id": "spa",
			"scope": "openid profile email read:things write:things", "iat": now, "exp": now + 900,
			"auth_time": now, "amr": []any{"pwd", "otp", "mfa"}, "acr": record.MultiFactor,
		})
		half := sha256.Sum256([]byte(done.Text("access_token")))
		equal(t, id, map[string]any{
			"iss": w.URL, "sub": "auth0|alice", "aud": "spa", "iat": now, "exp": now + 3600, "nonce": nil,
			"name": "Alice Example", "email": "alice@example.test", "email_verified": true, "phone_number": nil,
			"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
		})
		for _, name := range []string{"amr", "acr", "auth_time", "sid"} {
			if access[name] == nil || !reflect.DeepEqual(access[name], id[name]) {
				t.Errorf("claim %s: %v in the access token, %v in the ID token", name, access[name], id[name])
			}
		}
		if access["jti"] == nil || access["jti"] == "" {
			t.Error("no jti")
		}

		// By a recovery code, and by the password alone.
		recovered := w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")
		equal(t, claims(t, w, recovered.Text("access_token"), "at+jwt"), map[string]any{
			"amr": []any{"pwd", "recovery_code", "mfa"}, "acr": record.MultiFactor, "aud": w.URL + "userinfo"})
		single := password(t, w, "spa", "carol", "scope", "openid").Want(t, http.StatusOK, "")
		for kind, name := range map[string]string{"at+jwt": "access_token", "JWT": "id_token"} {
			equal(t, claims(t, w, single.Text(name), kind), map[string]any{"amr": []any{"pwd"}, "acr": nil, "auth_time": float64(began + 7)})
		}
		if a, b := claims(t, w, single.Text("access_token"), "at+jwt"), access; a["sid"] == b["sid"] || a["jti"] == b["jti"] {
			t.Error("two logins share their session or their token id")
		}
		w.Clock.Wind(30 * time.Second)
		equal(t, claims(t, w, manage(t, w, "alice", alice, ""), "at+jwt"), map[string]any{"aud": w.URL + "mfa/", "exp": now + 30 + 600})
		// A token that was changed, or is of the other kind, does not verify.
		keys := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/jwks.json"})
		var none map[string]any
		text := done.Text("access_token")
		if signer.VerifyWithJWKS([]byte(keys.Body), text[:len(text)-6]+"AAAAAA", "at+jwt", &none) == nil ||
			signer.VerifyWithJWKS([]byte(keys.Body), done.Text("id_token"), "at+jwt", &none) == nil {
			t.Error("a token verifies that should not")
		}
	})
}

// The profile that speaks Auth0's dialect of access tokens.
func TestTokensOfAuth0Compat(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		done := w.OTP(t, ask(t, w, "spa", "alice", "scope", "openid"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		if done.JSON["expires_in"] != float64(86400) {
			t.Errorf("expires_in %v", done.JSON["expires_in"])
		}
		access := claims(t, w, done.Text("access_token"), "JWT")
		equal(t, access, map[string]any{"azp": "spa", "gty": gatewaytest.GrantOTP, "client_id": nil, "amr": nil, "acr": nil})
		equal(t, claims(t, w, done.Text("id_token"), "JWT"), map[string]any{"aud": "spa", "amr": nil, "acr": nil})
		equal(t, userinfo(t, w, done.Text("access_token")).Want(t, http.StatusOK, "").JSON, map[string]any{"sub": "auth0|alice"})
		// Both are of one type here, and yet an ID token opens nothing.
		userinfo(t, w, done.Text("id_token")).Want(t, http.StatusUnauthorized, "invalid_token")
	}, "profile: auth0-compat")
}

// Part 8: what both well-known documents say, and the published keys.
func TestDiscovery(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		document := discovery(t, w)
		other := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/oauth-authorization-server"}).Want(t, http.StatusOK, "")
		if document.Body != other.Body {
			t.Errorf("two documents:\n%s\n%s", document.Body, other.Body)
		}
		equal(t, document.JSON, map[string]any{
			"issuer": w.URL, "token_endpoint": w.URL + "oauth/token", "userinfo_endpoint": w.URL + "userinfo",
			"jwks_uri": w.URL + ".well-known/jwks.json", "mfa_challenge_endpoint": w.URL + "mfa/challenge",
			"revocation_endpoint": w.URL + "oauth/revoke", "introspection_endpoint": w.URL + "oauth/introspect",
			"grant_types_supported":                            []any{"password", gatewaytest.GrantRealm, gatewaytest.GrantOTP, gatewaytest.GrantRecovery, "refresh_token", "mfa_token", "client_credentials"},
			"token_endpoint_auth_methods_supported":            []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
			"token_endpoint_auth_signing_alg_values_supported": []any{"ES256", "RS256"},
			"id_token_signing_alg_values_supported":            []any{"RS256"}, "subject_types_supported": []any{"public"},
		})
		for name, value := range document.JSON {
			text, ok := value.(string)
			if !ok || name == "issuer" {
				continue
			}
			// Each endpoint that is named is served.
			path := "/" + strings.TrimPrefix(text, w.URL)
			if r := w.Do(t, gatewaytest.Request{Method: http.MethodOptions, Path: path}); r.Status != http.StatusMethodNotAllowed {
				t.Errorf("%s: %s answers %d", name, path, r.Status)
			}
		}
		keys, _ := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/jwks.json"}).Want(t, http.StatusOK, "").JSON["keys"].([]any)
		var algorithms []string
		for _, k := range keys {
			key, _ := k.(map[string]any)
			algorithm, _ := key["alg"].(string)
			algorithms = append(algorithms, algorithm)
			need := map[string][]string{"RS256": {"alg", "e", "kid", "kty", "n", "use"}, "ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"}}[algorithm]
			var members []string
			for name := range key {
				members = append(members, name)
			}
			if slices.Sort(members); !slices.Equal(members, need) || key["use"] != "sig" {
				t.Errorf("a key with the members %v", members)
			}
		}
		if slices.Sort(algorithms); !slices.Equal(algorithms, []string{"ES256", "RS256"}) {
			t.Errorf("keys for %v", algorithms)
		}
	})
}

func userinfo(t *testing.T, w *gatewaytest.World, token string) gatewaytest.Reply {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo", Header: gatewaytest.Bearer(token)})
}

// OIDC Core, 5.3: /userinfo.
func TestUserinfo(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		all := password(t, w, "spa", "carol", "scope", "openid profile email phone").Want(t, http.StatusOK, "").Text("access_token")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := w.Do(t, gatewaytest.Request{Method: method, Path: "/userinfo", Header: gatewaytest.Bearer(all)}).Want(t, http.StatusOK, "")
			uncached(t, r)
			equal(t, r.JSON, map[string]any{"sub": "auth0|carol", "name": "Carol Example", "preferred_username": "carol",
				"email": "carol@example.test", "email_verified": false, "phone_number": nil, "amr": nil, "iss": nil})
		}
		bare := password(t, w, "spa", "carol", "audience", things, "scope", "openid read:things").Want(t, http.StatusOK, "").Text("access_token")
		if r := userinfo(t, w, bare).Want(t, http.StatusOK, ""); !r.Has("sub") {
			t.Errorf("openid alone opens %s", r.Body)
		}

		challenge := func(r gatewaytest.Reply, status int, code, header string) {
			t.Helper()
			r.Want(t, status, code)
			if got := r.Header.Get("WWW-Authenticate"); got != header {
				t.Errorf("WWW-Authenticate %q, want %q", got, header)
			}
		}
		challenge(w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/userinfo"}), http.StatusUnauthorized, "invalid_token", "Bearer")
		const invalid = `Bearer error="invalid_token"`
		challenge(userinfo(t, w, "garbage"), http.StatusUnauthorized, "invalid_token", invalid)
		noOpenID := password(t, w, "spa", "carol", "scope", "email").Want(t, http.StatusOK, "").Text("access_token")
		challenge(userinfo(t, w, noOpenID), http.StatusForbidden, "insufficient_scope", `Bearer error="insufficient_scope", scope="openid"`)
		elsewhere := password(t, w, "spa", "carol", "audience", things, "scope", "read:things").Want(t, http.StatusOK, "").Text("access_token")
		challenge(userinfo(t, w, elsewhere), http.StatusUnauthorized, "invalid_token", invalid)

		// A token dies with its user at once, and with its time.
		admin := w.Administer(t)
		if err := admin.SetUserBlocked(t.Context(), "auth0|carol", true, event(w)); err != nil {
			t.Fatal(err)
		}
		challenge(userinfo(t, w, all), http.StatusUnauthorized, "invalid_token", invalid)
		if err := admin.SetUserBlocked(t.Context(), "auth0|carol", false, event(w)); err != nil {
			t.Fatal(err)
		}
		userinfo(t, w, all).Want(t, http.StatusOK, "")
		w.Clock.Wind(15 * time.Minute)
		challenge(userinfo(t, w, all), http.StatusUnauthorized, "invalid_token", invalid)
	})
}

// R27, I9: what an administrator ends is over, in the middle of a login too.
func TestEndedInTheMiddle(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		alice := w.Enroll(t, "alice")
		token := ask(t, w, "spa", "alice")
		if err := admin.SetUserBlocked(t.Context(), "auth0|alice", true, event(w)); err != nil {
			t.Fatal(err)
		}
		code := w.Code(t, alice.Seed, 0)
		refused(t, w.OTP(t, token, code), http.StatusForbidden, "unauthorized", "user is blocked")
		refused(t, w.Recover(t, token, alice.Recovery), http.StatusForbidden, "unauthorized", "user is blocked")
		refused(t, password(t, w, "spa", "alice"), http.StatusForbidden, "unauthorized", "user is blocked")
		if err := admin.SetUserBlocked(t.Context(), "auth0|alice", false, event(w)); err != nil {
			t.Fatal(err)
		}
		// Nothing of what was refused is used up.
		w.OTP(t, token, code).Want(t, http.StatusOK, "")
		w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")

		// Nor can a blocked user enroll what would let somebody in later.
		token = ask(t, w, "kiosk", "carol")
		if err := admin.SetUserBlocked(t.Context(), "auth0|carol", true, event(w)); err != nil {
			t.Fatal(err)
		}
		refused(t, w.Associate(t, token, anOTP), http.StatusUnauthorized, "invalid_grant", badBearer)
		if err := admin.SetUserBlocked(t.Context(), "auth0|carol", false, event(w)); err != nil {
			t.Fatal(err)
		}

		// what somebody began with the old password is not finished with the new one.
		token = ask(t, w, "spa", "alice")
		w.Clock.Wind(30 * time.Second)
		setPassword(t, w, admin, "auth0|alice", "another password altogether")
		refused(t, w.OTP(t, token, w.Code(t, alice.Seed, 0)), http.StatusForbidden, "invalid_grant", malformedToken)
		setPassword(t, w, admin, "auth0|alice", gatewaytest.Password)
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")

		// A user who loses the factors has to enroll again, and the old seed is nothing.
		token = ask(t, w, "kiosk", "alice")
		if n, err := admin.ResetFactors(t.Context(), "auth0|alice", event(w)); err != nil || n != 2 {
			t.Fatalf("%d factors were reset: %v", n, err)
		}
		w.Clock.Wind(30 * time.Second)
		refused(t, w.Token(t, with("kiosk", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, alice.Seed, 0))...),
			http.StatusForbidden, "invalid_grant", malformedToken)
		// Nor does what the password had reached before enroll another factor.
		refused(t, w.Associate(t, token, anOTP), http.StatusUnauthorized, "invalid_grant", badBearer)
		refused(t, w.Authenticators(t, token), http.StatusUnauthorized, "invalid_grant", badBearer)
		refused(t, w.Form(t, "/mfa/challenge", with("kiosk", "mfa_token", token)...), http.StatusForbidden, "invalid_grant", malformedToken)
	})
}

func setPassword(t *testing.T, w *gatewaytest.World, admin *gateway.Administration, user, password string) {
	t.Helper()
	hash, err := admin.Passwords.Hash(t.Context(), secret.New(password))
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.SetPassword(t.Context(), user, hash, event(w)); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until it is so, for ten seconds at most.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	for !so() {
		select {
		case <-end:
			t.Fatalf("after a minute it is not so: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Part 2, seams: an applied file is not applied again, and one that changed takes back
// neither what an administrator did nor what a user has become.
func TestRestart(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		admin := w.Administer(t)
		open := ask(t, w, "spa", "alice")
		old := w.Login(t, "carol", gatewaytest.Password, "scope", "openid").Want(t, http.StatusOK, "")
		setPassword(t, w, admin, "auth0|carol", "another password altogether")
		if r := userinfo(t, w, old.Text("access_token")); r.Status != http.StatusUnauthorized {
			t.Errorf("a token of the old password: %d %s", r.Status, r.Body)
		}
		before := w.Login(t, "carol", "another password altogether", "scope", "openid").Want(t, http.StatusOK, "")
		for _, err := range []error{
			admin.SetUserBlocked(t.Context(), "auth0|bob", true, event(w)),
			admin.SetClientDisabled(t.Context(), "legacy", true, event(w)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		kept := func() {
			t.Helper()
			refused(t, w.Login(t, "carol", gatewaytest.Password), http.StatusForbidden, "invalid_grant", wrongPassword)
			w.Login(t, "carol", "another password altogether").Want(t, http.StatusOK, "")
			refused(t, w.Login(t, "bob", "bob's imported password"), http.StatusForbidden, "unauthorized", "user is blocked")
			refused(t, password(t, w, "legacy", "carol"), http.StatusUnauthorized, "invalid_client", "")
			claims(t, w, before.Text("id_token"), "JWT") // the keys are the same
			userinfo(t, w, before.Text("access_token")).Want(t, http.StatusOK, "")
		}
		log := len(w.Log.String())
		w.Restart(t)
		if text := w.Log.String()[log:]; strings.Contains(text, "msg=applied") {
			t.Errorf("an unchanged file was applied again:\n%s", text)
		}
		kept()
		// With a state store of its own the login goes on where it was.
		if w.State() != nil {
			w.OTP(t, open, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		} else {
			refused(t, w.OTP(t, open, w.Code(t, alice.Seed, 0)), http.StatusForbidden, "invalid_grant", malformedToken)
		}
		w.Clock.Wind(30 * time.Second)

		w.Restart(t, "name: Carol Example", "name: Carol Changed", "id: kiosk\n    name: Public, demands a second factor", "id: kiosk\n    name: Renamed")
		kept()
		r := w.Login(t, "carol", "another password altogether", "scope", "openid profile").Want(t, http.StatusOK, "")
		equal(t, claims(t, w, r.Text("id_token"), "JWT"), map[string]any{"name": "Carol Changed"})
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}
