package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
)

const unverified = "The first authenticator is for users with a verified email address."

// C-10: where the first factor needs a verified address, whoever has but a password of
// somebody without one enrolls nothing, by neither credential; who has a factor adds
// another one as before.
func TestFirstFactorNeedsAVerifiedAddress(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		const enroll = "enroll read:authenticators"
		open := ask(t, w, "web", "carol")
		refused(t, w.Associate(t, open, anOTP), http.StatusForbidden, "access_denied", unverified)
		manage := password(t, w, "spa", "carol", "audience", w.URL+"mfa/", "scope", enroll).Want(t, http.StatusOK, "").Text("access_token")
		refused(t, w.Associate(t, manage, anOTP), http.StatusForbidden, "access_denied", unverified)
		if n := len(w.Authenticators(t, manage).Want(t, http.StatusOK, "").List); n != 0 {
			t.Errorf("%d authenticators are left", n)
		}
		if !strings.Contains(w.Dump(t), "unverified_address") {
			t.Error("the refusal is not recorded")
		}

		alice := w.Enroll(t, "alice") // whose address is verified
		strongly := w.OTP(t, ask(t, w, "spa", "alice", "audience", w.URL+"mfa/", "scope", enroll), w.Code(t, alice.Seed, 0)).
			Want(t, http.StatusOK, "").Text("access_token")
		w.Restart(t, "email: alice@example.test\n    email_verified: true", "email: alice@example.test\n    email_verified: false")
		w.Associate(t, strongly, anOTP).Want(t, http.StatusOK, "")
	}, "enrollment: {first: verified_address}")
}

// Profile strict behind the login that it does not begin: sessions that were opened before
// it go on by its rules. C-08, C-10, C-11, C-15, C-20.
func TestStrictSessions(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		before := map[string]string{}
		for _, name := range []string{"alice", "carol"} {
			before[name] = password(t, w, "spa", name, "audience", apiThings, "scope", "openid offline_access read:things").
				Want(t, http.StatusOK, "").Text("refresh_token")
		}
		w.Restart(t, "access_token_lifetime: 15m", "access_token_lifetime: 3m")
		w.Restart(t, "profile: recommended", "profile: strict", "tenant_files: [tenant.yaml]", "tenant_files: []")

		// demand goes on with a session that a second factor is demanded of.
		demand := func(token string) string {
			t.Helper()
			return refresh(t, w, token, "scope", "openid offline_access write:things").Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		}
		refused(t, w.Associate(t, demand(before["carol"]), anOTP), http.StatusForbidden, "access_denied", unverified) // C-10

		open := demand(before["alice"])
		made := w.Associate(t, open, anOTP).Want(t, http.StatusOK, "")
		codes, _ := made.JSON["recovery_codes"].([]any)
		if len(codes) != 10 {
			t.Fatalf("C-15: %d recovery codes, want 10", len(codes))
		}
		seed := made.Text("secret")
		refused(t, w.OTP(t, open, w.Code(t, seed, -1)), http.StatusBadRequest, "invalid_grant", "Invalid otp_code.") // C-08
		tokens := w.OTP(t, open, w.Code(t, seed, 0)).Want(t, http.StatusOK, "")
		if tokens.JSON["expires_in"] != float64(180) {
			t.Errorf("C-11: expires_in %v, want that of the API", tokens.JSON["expires_in"])
		}
		if got := claims(t, w, tokens.Text("access_token"), "at+jwt"); got["acr"] != record.MultiFactor { // C-04, C-20
			t.Errorf("acr %v, want %s, and no level of assurance", got["acr"], record.MultiFactor)
		}

		// C-15: a code is good once, nothing replaces it, and the others stay good.
		access := tokens.Text("access_token")
		anew := func() string {
			t.Helper()
			r := stepUp(t, w, access, "max_age", "0").Want(t, http.StatusOK, "")
			if r.JSON["expires_in"] != float64(300) {
				t.Errorf("C-11: an mfa_token for %v seconds, want 300", r.JSON["expires_in"])
			}
			return r.Text("mfa_token")
		}
		for i, code := range codes[:2] {
			text, _ := code.(string)
			if got := w.Recover(t, anew(), text).Want(t, http.StatusOK, ""); got.JSON["recovery_code"] != nil {
				t.Errorf("C-15: code %d was replaced: %s", i, got.Body)
			}
			refused(t, w.Recover(t, anew(), text), http.StatusBadRequest, "invalid_grant", "MFA Authorization rejected.")
		}
	}, "profile: recommended", "tenant_files: [tenant.yaml]")
}

// Q2: a throttled code is answered as the switch says.
func TestThrottledIsInvalidRequest(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token, wrong := ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 100)
		for range 4 {
			w.OTP(t, token, wrong).Want(t, http.StatusForbidden, "invalid_grant")
		}
		w.OTP(t, token, wrong) // looked at or not: then the wait has begun
		r := w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusTooManyRequests, "invalid_request").Say(t, tooMany)
		if r.Header.Get("Retry-After") == "" || r.Header.Get("X-RateLimit-Reset") == "" {
			t.Errorf("headers %v", r.Header)
		}
		for range 11 { // passwords have nothing to do with it
			r = w.Login(t, "carol", "wrong")
		}
		r.Want(t, http.StatusTooManyRequests, "too_many_attempts")
	}, "errors: {throttled: invalid_request}")
}

// A confidential client without any grant introspects, and gets no token of any kind.
func TestIntrospectsAlone(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		w.Restart(t, "    grants: [client_credentials]\n  - id: desk", "  - id: desk")
		token := weak(t, w).Text("access_token")
		if r := w.Form(t, "/oauth/introspect", with("service", "token", token)...).Want(t, http.StatusOK, ""); r.JSON["active"] != true {
			t.Errorf("introspected %s", r.Body)
		}
		for _, grant := range []string{"client_credentials", "password", "refresh_token", gatewaytest.GrantOTP} {
			refused(t, w.Token(t, with("service", "grant_type", grant, "audience", apiThings, "username", "carol", "password", gatewaytest.Password,
				"refresh_token", "x", "mfa_token", "x", "otp", "123456")...), http.StatusForbidden, "unauthorized_client", "")
		}
	})
}

// The start looks at what was registered under other settings: what contradicts these is
// refused, and what is not served is named (C-01, C-11, C-21, C-22).
func TestReviewOfTheDatabase(t *testing.T) {
	w := gatewaytest.New(t, gatewaytest.SQLite(), "profile: recommended", "tenant_files: [tenant.yaml]", "passwords: {min_length: 15}")
	admin := w.Administer(t)
	typo := record.Client{ID: "typo", Confidential: true, Audiences: map[string][]string{"https://api.exmaple.test/": nil, apiThings: {"read:everything"}, w.URL + "mfa/": nil}}
	if _, err := admin.SaveClient(t.Context(), typo, event(w)); err != nil {
		t.Fatal(err)
	}
	reviewed := func(change func(*config.Config)) string {
		t.Helper()
		o := w.Options(t)
		change(o.Config)
		a, err := gateway.Administer(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = a.Close() }()
		lines, err := a.Review(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	const unknown = "client typo: audiences: the API " + apiThings + " has no scope read:everything; the client never gets it\n" +
		"client typo: audiences: there is no API https://api.exmaple.test/; the client gets no token for it before a tenant file has it"
	if got := reviewed(func(*config.Config) {}); got != unknown {
		t.Errorf("what fits is found as well:\n%s", got)
	}
	got := reviewed(func(c *config.Config) { c.Passwords.MinLength = 8 })
	for _, id := range []string{"spa", "legacy", "desk", "batch"} {
		want := "client " + id + ": mfa: profile recommended takes passwords.min_length 8 only where every login has a second factor"
		if !strings.Contains(got, want) || !strings.Contains(got, "or disable it with `sallyport clients disable "+id+"`") {
			t.Errorf("%s is not found in\n%s", id, got)
		}
	}
	if strings.Contains(got, "client web: ") || strings.Contains(got, "client service: ") {
		t.Errorf("who lets no password stand alone is found as well:\n%s", got)
	}
	got = reviewed(func(c *config.Config) { c.Profile = config.Strict })
	for _, want := range []string{
		"api " + apiThings + ": access_token_lifetime: profile strict takes at most 5m",
		"client spa: grants: profile strict refuses the password grants (RFC 9700, 2.4); remove them, or choose another profile; until then they are not served",
		"client spa: origins: profile strict refuses calls from browsers",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if err := admin.SetClientDisabled(t.Context(), "typo", true, event(w)); err != nil {
		t.Fatal(err)
	}
	if got := reviewed(func(*config.Config) {}); got != "" {
		t.Errorf("of a disabled client:\n%s", got)
	}
}

// The profiles that people can log in with, on the wire: C-02, C-04, C-05, C-08,
// C-11, C-12, C-13, C-15, C-19, C-20, C-21.
func TestProfilesOnTheWire(t *testing.T) {
	const app, object = "https://app.example.test", "application/json"
	for _, p := range []struct {
		profile, kind string
		acr           any
		life          float64
		daily         int
	}{
		{"auth0-compat", "JWT", nil, 86400, 240},
		{"recommended", "at+jwt", record.MultiFactor, 900, 25},
		{"nist", "at+jwt", record.MultiFactor, 900, 25},
	} {
		t.Run(p.profile, func(t *testing.T) {
			t.Parallel()
			w := gatewaytest.New(t, gatewaytest.SQLite(), "profile: "+p.profile)
			alice := w.Enroll(t, "alice")
			if n := strings.Count(alice.Recovery, ""); n != 25 {
				t.Errorf("C-15: a recovery code of %d characters", n-1)
			}
			open := ask(t, w, "spa", "alice")
			next := w.Recover(t, open, alice.Recovery).Want(t, http.StatusOK, "").Text("recovery_code")
			refused(t, w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery), http.StatusForbidden, "invalid_grant", "") // C-02
			w.Recover(t, ask(t, w, "spa", "alice"), next).Want(t, http.StatusOK, "")
			w.Clock.Wind(time.Minute)
			done := w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, -1)).Want(t, http.StatusOK, "") // C-08
			if done.JSON["expires_in"] != p.life {
				t.Errorf("C-11: expires_in %v", done.JSON["expires_in"])
			}
			if got := claims(t, w, done.Text("access_token"), p.kind)["acr"]; got != p.acr {
				t.Errorf("C-04, C-20: acr %v, want %v", got, p.acr)
			}

			login := func(body string, header map[string]string) gatewaytest.Reply {
				return w.Do(t, gatewaytest.Request{Method: http.MethodPost, Path: "/oauth/token", ContentType: object, Body: body, Header: header})
			}
			const carol = `{"grant_type":"password","username":"carol","password":"` + gatewaytest.Password + `","realm":null,"client_id":`
			login(carol+`"spa"}`, nil).Want(t, http.StatusOK, "")                                       // C-13, C-19
			for origin, allowed := range map[string]string{app: app, "https://evil.example.test": ""} { // C-21
				got := login(carol+`"spa"}`, map[string]string{"Origin": origin}).Header.Get("Access-Control-Allow-Origin")
				if got != allowed {
					t.Errorf("C-21: a page of %s may read what %q may", origin, got)
				}
			}

			// C-05: of a day so many wrong codes are looked at, whoever ends the waits between.
			looked := 0
			for range p.daily/4 + 2 {
				token := ask(t, w, "spa", "alice")
				looked += guesses(t, w, token, alice.Seed, 4)
				w.Clock.Wind(30 * time.Second)
				w.OTP(t, token, w.Code(t, alice.Seed, 0))
			}
			if looked != p.daily {
				t.Errorf("C-05: %d wrong codes were looked at, want %d", looked, p.daily)
			}
		})
	}
}
