package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// own asks for a token of "robot" for itself with an assertion.
func own(t *testing.T, w *gatewaytest.World, assertion string, more ...string) gatewaytest.Reply {
	t.Helper()
	return w.Token(t, append([]string{"grant_type", "client_credentials", "audience", things,
		"client_assertion", assertion, "client_assertion_type", gatewaytest.AssertionType}, more...)...)
}

// private_key_jwt at the token endpoint (RFC 7523; standards 7.4, ASVS 10.4.16).
func TestAssertion(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		done := own(t, w, w.Assertion(t, nil)).Want(t, http.StatusOK, "")
		equal(t, claims(t, w, done.Text("access_token"), "at+jwt"), map[string]any{"sub": "robot", "client_id": "robot", "aud": things})
		own(t, w, w.Assertion(t, nil), "client_id", "robot").Want(t, http.StatusOK, "")

		now := w.Clock.Now().Unix()
		for name, assertion := range map[string]string{
			"expired":           w.Assertion(t, map[string]any{"exp": now - 1}),
			"never expires":     w.Assertion(t, map[string]any{"exp": nil}),
			"expires too late":  w.Assertion(t, map[string]any{"exp": now + 301}),
			"for somebody else": w.Assertion(t, map[string]any{"aud": "https://evil.example/"}),
			"for the endpoint":  w.Assertion(t, map[string]any{"aud": w.URL + "oauth/token"}),
			"of somebody else":  w.Assertion(t, map[string]any{"iss": "service", "sub": "service"}),
			"about another":     w.Assertion(t, map[string]any{"sub": "web"}),
			"without a jti":     w.Assertion(t, map[string]any{"jti": nil}),
			"from the future":   w.Assertion(t, map[string]any{"iat": now + 120}),
			"signed by nobody":  strings.Join(strings.Split(w.Assertion(t, nil), ".")[:2], ".") + ".",
			"an access token":   done.Text("access_token"),
			"no assertion":      "garbage",
			"thousands of dots": strings.Repeat(".", 9000),
		} {
			t.Run(name, func(t *testing.T) {
				refused(t, own(t, w, assertion), http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
			})
		}
		for _, more := range [][]string{{"client_secret", gatewaytest.Secret}, {"client_id", "web", "client_secret", gatewaytest.Secret}, {"client_id", "service"}} {
			refused(t, own(t, w, w.Assertion(t, nil), more...), http.StatusUnauthorized, "invalid_client", "")
		}
		for _, pairs := range [][]string{{"client_id", "robot"}, {"client_id", "robot", "client_secret", gatewaytest.Secret}} {
			refused(t, w.Token(t, append(pairs, "grant_type", "client_credentials", "audience", things)...), http.StatusUnauthorized, "invalid_client", "")
		}
		refused(t, w.FormWith(t, "/oauth/token", basic("web", gatewaytest.Secret), append(w.Robot(t), "grant_type", "client_credentials", "audience", things)...),
			http.StatusUnauthorized, "invalid_client", "")

		// The client's own token can be asked about and ended, as a user's can.
		about := func(path string) gatewaytest.Reply {
			return w.Form(t, path, append(w.Robot(t), "token", done.Text("access_token"))...).Want(t, http.StatusOK, "")
		}
		if r := about("/oauth/introspect"); r.JSON["active"] != true || r.Text("sub") != "robot" || r.JSON["sid"] != nil {
			t.Errorf("introspected: %s", r.Body)
		}
		about("/oauth/revoke")
		if r := about("/oauth/introspect"); r.JSON["active"] != false {
			t.Errorf("introspected after its end: %s", r.Body)
		}
	})
}

// R25: an assertion is good once, on whatever gateway, also after the state store was
// lost; and what remembers it is swept.
func TestR25AssertionOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		assertion := w.Assertion(t, nil)
		won := 0
		for _, r := range gatewaytest.Race(parallel, func(int) gatewaytest.Reply { return own(t, w, assertion) }) {
			if r.Status == http.StatusOK {
				won++
				continue
			}
			refused(t, r, http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
		}
		if won != 1 {
			t.Errorf("one assertion was good %d times", won)
		}
		w.ForgetState(t)
		own(t, w, assertion).Want(t, http.StatusUnauthorized, "invalid_client")

		// It is used up by a request that fails for another reason, and at another endpoint.
		for _, spend := range []func(pairs []string) gatewaytest.Reply{
			func(pairs []string) gatewaytest.Reply {
				return w.Token(t, append(pairs, "grant_type", "client_credentials")...)
			},
			func(pairs []string) gatewaytest.Reply { return w.Form(t, "/mfa/challenge", pairs...) },
		} {
			pairs := w.Robot(t)
			missingOne := spend(pairs)
			missingOne.Want(t, http.StatusBadRequest, "invalid_request")
			refused(t, w.Token(t, append(pairs, "grant_type", "client_credentials", "audience", things)...), http.StatusUnauthorized, "invalid_client", "")
		}
		if dump := w.Dump(t); !strings.Contains(dump, "client_assertion") || strings.Contains(dump, assertion) {
			t.Error("the database does not remember what was used, or it remembers too much")
		}
		if strings.Contains(w.Log.String(), assertion) {
			t.Error("the log holds an assertion")
		}
		w.Clock.Wind(2 * time.Hour)
		if err := w.Administer(t).Sweep(t.Context(), w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		own(t, w, assertion).Want(t, http.StatusUnauthorized, "invalid_client")
	})
}

// A whole login of a client that signs: each step at the token endpoint with an assertion
// of its own; at the challenge the mfa_token is enough (1.3.2), at /mfa/associate the
// bearer token (1.3.1), but what is sent must hold.
func TestLoginOfAClientThatSigns(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		login := func(user string) string {
			return w.Token(t, append(w.Robot(t), "grant_type", "password", "username", user, "password", gatewaytest.Password)...).
				Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		}
		token := login("alice")
		w.Form(t, "/mfa/challenge", "client_id", "robot", "mfa_token", token).Want(t, http.StatusOK, "")
		w.Form(t, "/mfa/challenge", append(w.Robot(t), "mfa_token", token)...).Want(t, http.StatusOK, "")
		w.Form(t, "/mfa/challenge", "client_id", "robot", "mfa_token", token, "client_secret", gatewaytest.Secret).Want(t, http.StatusUnauthorized, "invalid_client")
		w.Form(t, "/mfa/challenge", "client_id", "robot", "mfa_token", token, "client_assertion", "x").Want(t, http.StatusUnauthorized, "invalid_client")
		w.Form(t, "/mfa/challenge", "client_id", "robot", "mfa_token", "x").Want(t, http.StatusForbidden, "invalid_grant")
		w.Form(t, "/mfa/challenge", "client_id", "desk", "mfa_token", token).Want(t, http.StatusUnauthorized, "invalid_client")
		w.Challenge(t, token).Want(t, http.StatusBadRequest, "invalid_request")

		finish := []string{"grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, alice.Seed, 0)}
		w.Token(t, append([]string{"client_id", "robot"}, finish...)...).Want(t, http.StatusUnauthorized, "invalid_client")
		w.Token(t, append(w.Robot(t), finish...)...).Want(t, http.StatusOK, "")

		first := login("carol")
		associate := func(more map[string]any) gatewaytest.Reply {
			members := map[string]any{"authenticator_types": []string{"otp"}}
			for name, value := range more {
				members[name] = value
			}
			return w.Associate(t, first, members)
		}
		good := w.Assertion(t, nil)
		associate(map[string]any{"client_assertion": good, "client_assertion_type": gatewaytest.AssertionType}).Want(t, http.StatusOK, "")
		associate(map[string]any{"client_assertion": good, "client_assertion_type": gatewaytest.AssertionType}).Want(t, http.StatusUnauthorized, "invalid_client")
		associate(map[string]any{"client_assertion_type": gatewaytest.AssertionType}).Want(t, http.StatusUnauthorized, "invalid_client")
		made := associate(nil).Want(t, http.StatusOK, "")
		w.Token(t, append(w.Robot(t), "grant_type", gatewaytest.GrantOTP, "mfa_token", first, "otp", w.Code(t, made.Text("secret"), 0))...).
			Want(t, http.StatusOK, "")
	})
}

// Libraries of before the audience was settled name the token endpoint, or both.
func TestAssertionForTheTokenEndpoint(t *testing.T) {
	w := gatewaytest.New(t, gatewaytest.SQLite(), "profile: auth0-compat")
	for _, audience := range []any{w.URL, w.URL + "oauth/token", []string{w.URL, w.URL + "oauth/token"}} {
		own(t, w, w.Assertion(t, map[string]any{"aud": audience})).Want(t, http.StatusOK, "")
	}
	for _, audience := range []any{w.URL + "mfa/challenge", []string{w.URL, "https://evil.example/"}} {
		own(t, w, w.Assertion(t, map[string]any{"aud": audience})).Want(t, http.StatusUnauthorized, "invalid_client")
	}
}

// A secret is replaced without a moment in which the client is locked out: first the new
// one beside the old, then the new one alone.
func TestTwoSecrets(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		const old, fresh = "service-secret-0123456789abcdef0123456789ab", "another-secret-0123456789abcdef0123456789ab"
		good := func(secret string, want bool) {
			t.Helper()
			r := w.Token(t, "grant_type", "client_credentials", "client_id", "service", "client_secret", secret, "audience", things)
			if want {
				r.Want(t, http.StatusOK, "")
				return
			}
			refused(t, r, http.StatusUnauthorized, "invalid_client", "")
		}
		good(old, true)
		good(fresh, false)
		w.Restart(t, "secret: "+old, "secrets: ["+fresh+", "+old+"]")
		good(old, true)
		good(fresh, true)
		w.Restart(t, "secrets: ["+fresh+", "+old+"]", "secret: "+fresh)
		good(old, false)
		good(fresh, true)
	})
}
