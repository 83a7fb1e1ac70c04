package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	unknownRefresh = "Unknown or invalid refresh token."
	goneRefresh    = "The refresh_token was generated for a user who doesn't exist anymore."
	apiThings      = "https://api.example.test/"
)

// refresh uses a refresh token of "spa".
func refresh(t testing.TB, w *gatewaytest.World, token string, more ...string) gatewaytest.Reply {
	t.Helper()
	return w.Token(t, append([]string{"grant_type", "refresh_token", "client_id", "spa", "refresh_token", token}, more...)...)
}

// weak logs carol in, who has no factor.
func weak(t testing.TB, w *gatewaytest.World, more ...string) gatewaytest.Reply {
	t.Helper()
	pairs := append([]string{"audience", apiThings, "scope", "openid offline_access read:things"}, more...)
	return w.Login(t, "carol", gatewaytest.Password, pairs...).Want(t, http.StatusOK, "")
}

// strong logs somebody in who has an authenticator app, and winds to the next step.
func strong(t testing.TB, w *gatewaytest.World, username, seed string, more ...string) gatewaytest.Reply {
	t.Helper()
	pairs := append([]string{"audience", apiThings, "scope", "openid offline_access read:things"}, more...)
	open := w.Login(t, username, gatewaytest.Password, pairs...).Want(t, http.StatusForbidden, "mfa_required")
	tokens := w.OTP(t, open.Text("mfa_token"), w.Code(t, seed, 0)).Want(t, http.StatusOK, "")
	w.Clock.Wind(30 * time.Second)
	return tokens
}

// each refresh token is used once. Whoever uses one again ends the session,
// for nobody knows which of the two is the thief.
func TestRefreshTokenRotates(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		first := weak(t, w)
		w.Clock.Wind(time.Hour)
		second := refresh(t, w, first.Text("refresh_token")).Want(t, http.StatusOK, "")
		if !second.Has("access_token", "id_token", "refresh_token", "scope", "expires_in", "token_type") ||
			second.Text("scope") != "openid offline_access read:things" || second.Text("refresh_token") == first.Text("refresh_token") {
			t.Fatalf("answer %s", second.Body)
		}
		old, now := claims(t, w, first.Text("access_token"), "at+jwt"), claims(t, w, second.Text("access_token"), "at+jwt")
		for _, name := range []string{"sub", "sid", "auth_time", "client_id", "scope"} {
			if old[name] != now[name] {
				t.Errorf("%s was %v and is %v", name, old[name], now[name])
			}
		}
		third := refresh(t, w, second.Text("refresh_token"), "scope", "read:things").Want(t, http.StatusOK, "")
		if third.Text("scope") != "read:things" || third.Text("id_token") != "" {
			t.Errorf("narrower: %s", third.Body)
		}
		// RFC 6749, 6: the successor is as wide as the login.
		fourth := refresh(t, w, third.Text("refresh_token")).Want(t, http.StatusOK, "")
		if fourth.Text("scope") != "openid offline_access read:things" {
			t.Errorf("again: %s", fourth.Body)
		}
		userinfo(t, w, fourth.Text("access_token")).Want(t, http.StatusOK, "")

		refresh(t, w, second.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		refresh(t, w, fourth.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		userinfo(t, w, fourth.Text("access_token")).Want(t, http.StatusUnauthorized, "invalid_token")
		if !strings.Contains(w.Dump(t), "tokens.reused") {
			t.Error("the reuse is not on record")
		}
		// Another login of the same user knows nothing of it.
		refresh(t, w, weak(t, w).Text("refresh_token")).Want(t, http.StatusOK, "")
	})
}

// The rows of section 3.6 and RFC 6749, 6 that concern refresh tokens.
func TestRefreshTokenRefused(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := weak(t, w).Text("refresh_token")
		refresh(t, w, "").Want(t, http.StatusBadRequest, "invalid_request").Say(t, "Missing required parameter: refresh_token")
		for _, bad := range []string{"x", token + "x", strings.ToUpper(token), weak(t, w).Text("access_token")} {
			refresh(t, w, bad).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		}
		for _, client := range []string{"web", "kiosk", "legacy"} {
			r := w.Token(t, with(client, "grant_type", "refresh_token", "refresh_token", token)...)
			r.Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		}
		for _, client := range []string{"desk", "service"} {
			r := w.Token(t, with(client, "grant_type", "refresh_token", "refresh_token", token)...)
			r.Want(t, http.StatusForbidden, "unauthorized_client").Say(t, "Grant type 'refresh_token' not allowed for the client.")
		}
		w.Token(t, "grant_type", "refresh_token", "client_id", "web", "client_secret", "wrong", "refresh_token", token).
			Want(t, http.StatusUnauthorized, "invalid_client")
		refresh(t, w, token, "scope", "read:things email").Want(t, http.StatusBadRequest, "invalid_scope")
		refresh(t, w, token, "audience", w.URL+"mfa/").Want(t, http.StatusBadRequest, "invalid_request")
		refresh(t, w, token, "max_age", "soon").Want(t, http.StatusBadRequest, "invalid_request")
		// None of this has used it up; nor does what nobody knows.
		next := refresh(t, w, token, "audience", apiThings, "scope", "openid unheard:of", "redirect_uri", "https://app.example.test/").
			Want(t, http.StatusOK, "")
		if next.Text("scope") != "openid" {
			t.Errorf("scope %q", next.Text("scope"))
		}
		w.Clock.Wind(31 * 24 * time.Hour) // no login lasts for ever, however often it is refreshed
		refresh(t, w, next.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
	})
}

// the successors are over when the first one would be.
func TestRefreshFamilyEnds(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := weak(t, w).Text("refresh_token")
		for range 2 {
			w.Clock.Wind(14 * 24 * time.Hour)
			token = refresh(t, w, token).Want(t, http.StatusOK, "").Text("refresh_token")
		}
		w.Clock.Wind(3 * 24 * time.Hour)
		refresh(t, w, token).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
	})
}

// A user who is blocked, has another password, or was deleted refreshes nothing.
func TestRefreshTokenEndsWithItsUser(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		a := w.Administer(t)
		carol := audit.Event{At: w.Clock.Now(), Type: audit.UserChanged, Success: true, Subject: "auth0|carol"}
		done := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		token := weak(t, w).Text("refresh_token")
		done(a.SetUserBlocked(t.Context(), carol.Subject, true, carol))
		refresh(t, w, token).Want(t, http.StatusForbidden, "unauthorized").Say(t, "user is blocked")
		done(a.SetUserBlocked(t.Context(), carol.Subject, false, carol))
		token = refresh(t, w, token).Want(t, http.StatusOK, "").Text("refresh_token")
		hash, err := a.Passwords.Hash(t.Context(), secret.New(gatewaytest.Password))
		done(err)
		w.Clock.Wind(time.Second)
		done(a.SetPassword(t.Context(), carol.Subject, hash, carol))
		refresh(t, w, token).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		token = weak(t, w).Text("refresh_token")
		done(a.DeleteUser(t.Context(), carol.Subject, carol))
		refresh(t, w, token).Want(t, http.StatusForbidden, "invalid_grant").Say(t, goneRefresh)
		w.Token(t, with("web", "grant_type", "refresh_token", "refresh_token", token)...).
			Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh) // that is for its own client to know
		w.Restart(t) // the tenant file has her still
		w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Wrong email or password.")
		refresh(t, w, token).Want(t, http.StatusForbidden, "invalid_grant").Say(t, goneRefresh)
	})
}

// of any number of parallel uses one succeeds.
func TestRefreshTokenOnce(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := weak(t, w).Text("refresh_token")
		won := gatewaytest.OneWins(t, gatewaytest.Race(parallel, func(int) gatewaytest.Reply { return refresh(t, w, token) }))
		refresh(t, w, won.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		userinfo(t, w, won.Text("access_token")).Want(t, http.StatusUnauthorized, "invalid_token")
	})
}

// A client with a leeway may use a token five times more in its time, each time for a pair
// of the same family; after it the family ends.
func TestRefreshLeeway(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		w.Restart(t, "name: Example SPA\n", "name: Example SPA\n    refresh_leeway: 10s\n")
		token := weak(t, w).Text("refresh_token")
		won := gatewaytest.Winners(t, gatewaytest.Race(parallel, func(int) gatewaytest.Reply { return refresh(t, w, token) }))
		if len(won) != 1+record.FurtherUses {
			t.Fatalf("%d of %d got tokens, want %d", len(won), parallel, 1+record.FurtherUses)
		}
		w.Clock.Wind(9 * time.Second)
		for _, r := range won[1:] {
			refresh(t, w, r.Text("refresh_token")).Want(t, http.StatusOK, "")
		}
		// What demands a second factor holds no token that is used up.
		refresh(t, w, token, "scope", "write:things").Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		userinfo(t, w, won[0].Text("access_token")).Want(t, http.StatusOK, "")
		w.Clock.Wind(time.Second)
		refresh(t, w, token).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		for _, r := range won {
			userinfo(t, w, r.Text("access_token")).Want(t, http.StatusUnauthorized, "invalid_token")
		}
		refresh(t, w, won[0].Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
	})
}

// A10: a scope that demands the second factor leaves the refresh token as it is, until the
// MFA grant returns its successor. What a session proved is not asked for again (fixtures,
// settled points).
func TestRefreshStepsUp(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		old := weak(t, w)
		carol := w.Enroll(t, "carol")
		// She has a factor now, so it is asked for whatever the scope (R2); nothing is used up.
		refresh(t, w, old.Text("refresh_token")).Want(t, http.StatusForbidden, "mfa_required")
		open := refresh(t, w, old.Text("refresh_token"), "scope", "write:things openid").Want(t, http.StatusForbidden, "mfa_required")
		if !open.Say(t, "Multifactor authentication required").Has("error", "error_description", "mfa_token", "mfa_requirements") {
			t.Errorf("answer %s", open.Body)
		}
		done := w.OTP(t, open.Text("mfa_token"), w.Code(t, carol.Seed, 0)).Want(t, http.StatusOK, "")
		if done.Text("scope") != "write:things openid" || done.Text("refresh_token") == "" || done.Text("id_token") == "" {
			t.Fatalf("answer %s", done.Body)
		}
		c := claims(t, w, done.Text("access_token"), "at+jwt")
		if c["acr"] != record.MultiFactor || c["sid"] != claims(t, w, old.Text("access_token"), "at+jwt")["sid"] {
			t.Errorf("claims %v", c)
		}
		w.Clock.Wind(time.Hour)
		again := refresh(t, w, done.Text("refresh_token"), "scope", "write:things").Want(t, http.StatusOK, "")
		if again.Text("scope") != "write:things" {
			t.Errorf("answer %s", again.Body)
		}
		plain := refresh(t, w, again.Text("refresh_token")).Want(t, http.StatusOK, "")
		if plain.Text("scope") != "openid offline_access read:things" {
			t.Errorf("answer %s", plain.Body)
		}
		// auth_time satisfies the policy, or not.
		plain = refresh(t, w, plain.Text("refresh_token"), "max_age", "3700").Want(t, http.StatusOK, "")
		stale := refresh(t, w, plain.Text("refresh_token"), "max_age", "3500").Want(t, http.StatusForbidden, "mfa_required")
		fresh := w.OTP(t, stale.Text("mfa_token"), w.Code(t, carol.Seed, 0)).Want(t, http.StatusOK, "")
		if at := claims(t, w, fresh.Text("access_token"), "at+jwt")["auth_time"]; at != float64(w.Clock.Now().Unix()) {
			t.Errorf("auth_time %v", at)
		}
		refresh(t, w, old.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
		refresh(t, w, fresh.Text("refresh_token")).Want(t, http.StatusForbidden, "invalid_grant").Say(t, unknownRefresh)
	})
}

// Two mfa_tokens of one refresh token never yield two successors, nor one of them beside a
// refresh that went through.
func TestOneSuccessor(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		old := weak(t, w)
		carol := w.Enroll(t, "carol")
		token := old.Text("refresh_token")
		step := func(token string) string {
			return refresh(t, w, token, "scope", "write:things").Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		}
		var several []string
		for range 10 {
			several = append(several, step(token))
		}
		seeds := []func() string{
			func() string { return w.Code(t, carol.Seed, -1) }, func() string { return w.Code(t, carol.Seed, 0) },
		}
		w.Clock.Wind(30 * time.Second)
		won := gatewaytest.OneWins(t, gatewaytest.Race(parallel, func(i int) gatewaytest.Reply {
			return w.OTP(t, several[i%len(several)], seeds[i%2]())
		}))
		w.Clock.Wind(30 * time.Second)
		for _, dead := range several {
			w.OTP(t, dead, w.Code(t, carol.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
			w.Authenticators(t, dead).Want(t, http.StatusUnauthorized, "invalid_grant")
			w.Challenge(t, dead).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		}
		// An mfa_token dies with the refresh token, and its use is no reuse.
		waits := refresh(t, w, won.Text("refresh_token"), "max_age", "0").Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		next := refresh(t, w, won.Text("refresh_token")).Want(t, http.StatusOK, "")
		w.OTP(t, waits, w.Code(t, carol.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		refresh(t, w, next.Text("refresh_token")).Want(t, http.StatusOK, "")
	})
}

// C-10: who has a session need not be the one who opened it, so its first factor is
// enrolled only shortly after the password; also by way of a token for /mfa/.
func TestFirstFactorNeedsAFreshPassword(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		api, manage := weak(t, w), w.Login(t, "carol", gatewaytest.Password, "audience", w.URL+"mfa/",
			"scope", "enroll offline_access").Want(t, http.StatusOK, "")
		step := func() string {
			return refresh(t, w, api.Text("refresh_token"), "scope", "write:things").Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
		}
		w.Clock.Wind(9 * time.Minute)
		early := step()
		w.Associate(t, early, anOTP).Want(t, http.StatusOK, "")
		w.Clock.Wind(2 * time.Minute)
		for _, late := range []string{early, step(), refresh(t, w, manage.Text("refresh_token")).Want(t, http.StatusOK, "").Text("access_token")} {
			w.Associate(t, late, anOTP).Want(t, http.StatusUnauthorized, "insufficient_user_authentication")
		}
		made := w.Associate(t, w.Login(t, "carol", gatewaytest.Password, "audience", apiThings, "scope", "write:things").
			Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token"), anOTP)
		made.Want(t, http.StatusOK, "")
	})
}

// A client that asks nobody for a factor refreshes as it logs in: without what needs one.
func TestRefreshWithoutFactors(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		w.Enroll(t, "alice")
		first := w.Token(t, "grant_type", "password", "client_id", "legacy", "username", "alice", "password", gatewaytest.Password,
			"audience", apiThings, "scope", "read:things write:things offline_access").Want(t, http.StatusOK, "")
		again := func(token string, more ...string) gatewaytest.Reply {
			return w.Token(t, append([]string{"grant_type", "refresh_token", "client_id", "legacy", "refresh_token", token}, more...)...)
		}
		token := first.Text("refresh_token")
		again(token, "max_age", "60").Want(t, http.StatusForbidden, "unauthorized_client")
		next := again(token, "scope", "read:things write:things").Want(t, http.StatusOK, "")
		if next.Text("scope") != "read:things" {
			t.Errorf("scope %q", next.Text("scope"))
		}
	})
}
