package gateway_test

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

// What SDKs compare byte for byte, and what else stands in section 3.6 and 4.
const (
	wrongPassword  = "Wrong email or password."
	malformedToken = "Malformed mfa_token"
	expiredToken   = "mfa_token is expired"
	foreignToken   = "mfa_token not issued to this client"
	invalidOTP     = "Invalid otp_code."
	rejected       = "MFA Authorization rejected."
	notEnrolled    = "User is not enrolled. You can use /mfa/associate endpoint to enroll the first authenticator."
	badBearer      = "The mfa_token provided is invalid. Try getting a new token."
)

// refused checks an error answer whole: status, code and, unless empty, the
// description, and the rules that hold for every one (Auth0 MFA API, 1.1 and 1.2).
func refused(t *testing.T, r gatewaytest.Reply, status int, code, description string) gatewaytest.Reply {
	t.Helper()
	r.Want(t, status, code)
	if description != "" {
		r.Say(t, description)
	}
	uncached(t, r)
	if r.Text("error_description") == "" {
		t.Errorf("no error_description in %s", r.Body)
	}
	if r.Header.Get("WWW-Authenticate") != "" {
		t.Error("WWW-Authenticate hides the body from client libraries")
	}
	for _, name := range []string{"statusCode", "code", "description", "errorCode", "message", "access_token", "id_token", "refresh_token"} {
		if _, ok := r.JSON[name]; ok {
			t.Errorf("member %s in %s", name, r.Body)
		}
	}
	return r
}

// uncached checks the headers that every answer with a secret in reach must have.
func uncached(t *testing.T, r gatewaytest.Reply) {
	t.Helper()
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") ||
		r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Pragma") != "no-cache" {
		t.Errorf("headers %v", r.Header)
	}
}

// missing checks the answer to a request without one of its parameters.
func missing(t *testing.T, r gatewaytest.Reply, name string) {
	t.Helper()
	refused(t, r, http.StatusBadRequest, "invalid_request", "Missing required parameter: "+name)
}

// ask sends a password as some client and returns the mfa_token that it gets.
func ask(t *testing.T, w *gatewaytest.World, client, username string, more ...string) string {
	t.Helper()
	r := w.Token(t, with(client, append([]string{"grant_type", "password", "username", username, "password", gatewaytest.Password}, more...)...)...)
	return refused(t, r, http.StatusForbidden, "mfa_required", "Multifactor authentication required").Text("mfa_token")
}

// with are the parameters of a request of a client.
func with(client string, pairs ...string) []string { return append(gatewaytest.As(client), pairs...) }

// basic is an Authorization header of a client.
func basic(id, secret string) map[string]string {
	return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

// Section 3.6: the first factor.
func TestCatalogueFirstFactor(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		known := refused(t, w.Login(t, "alice", "wrong"), http.StatusForbidden, "invalid_grant", wrongPassword)
		for _, name := range []string{"nobody", "dave", "nobody@example.test"} {
			if other := w.Login(t, name, "wrong"); other.Status != known.Status || other.Body != known.Body {
				t.Errorf("%s: %d %s differs from a known user with a wrong password", name, other.Status, other.Body)
			}
		}
		refused(t, w.Login(t, "dave", gatewaytest.Password), http.StatusForbidden, "unauthorized", "user is blocked")
		w.Login(t, "carol@example.test", gatewaytest.Password).Want(t, http.StatusOK, "")
		w.Login(t, "bob", "bob's imported password").Want(t, http.StatusOK, "")
		w.Login(t, "bob", "bob's imported password").Want(t, http.StatusOK, "") // upgraded by now

		const realm = "Username-Password-Authentication"
		for _, grant := range []string{"password", "password-realm", gatewaytest.GrantRealm} {
			carol := func(more ...string) gatewaytest.Reply {
				return w.Token(t, with("spa", append([]string{"grant_type", grant, "username", "carol", "password", gatewaytest.Password}, more...)...)...)
			}
			carol().Want(t, http.StatusOK, "")
			carol("realm", realm).Want(t, http.StatusOK, "")
			refused(t, carol("realm", "employees"), http.StatusBadRequest, "invalid_request", "")
		}
	})
}

// Section 3.6: what is missing, not allowed, or not from a client.
func TestCatalogueRequest(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		missing(t, w.Token(t, with("spa")...), "grant_type")
		for _, grant := range []string{"password", gatewaytest.GrantRealm} {
			missing(t, w.Token(t, with("spa", "grant_type", grant, "password", "x")...), "username")
			missing(t, w.Token(t, with("spa", "grant_type", grant, "username", "alice")...), "password")
		}
		missing(t, w.Token(t, with("spa", "grant_type", gatewaytest.GrantOTP, "otp", "123456")...), "mfa_token")
		missing(t, w.Token(t, with("spa", "grant_type", gatewaytest.GrantRecovery, "recovery_code", "x")...), "mfa_token")
		missing(t, w.Token(t, with("spa", "grant_type", "refresh_token")...), "refresh_token")
		missing(t, w.Token(t, with("spa", "grant_type", "mfa_token")...), "access_token")
		missing(t, w.Challenge(t, ""), "mfa_token")

		unknown := []string{"nonsense", "password mfa-otp", "mfa-", "mfa-otp ", "PASSWORD", "CLIENT_CREDENTIALS", "REFRESH_TOKEN", "mfa-oob",
			"http://auth0.com/oauth/grant-type/mfa-oob", "urn:ietf:params:oauth:grant-type:token-exchange"}
		for _, grant := range unknown {
			refused(t, w.Token(t, with("web", "grant_type", grant)...), http.StatusBadRequest, "unsupported_grant_type", "")
		}
		denied := [][2]string{{"legacy", gatewaytest.GrantOTP}, {"legacy", "mfa-otp"}, {"legacy", gatewaytest.GrantRecovery},
			{"legacy", gatewaytest.GrantRealm}, {"service", "password"}, {"service", "mfa-recovery-code"},
			{"legacy", "mfa_token"}, {"desk", "refresh_token"}, {"service", "refresh_token"}, {"service", "mfa_token"}}
		for _, c := range denied {
			refused(t, w.Token(t, with(c[0], "grant_type", c[1])...), http.StatusForbidden, "unauthorized_client",
				"Grant type '"+c[1]+"' not allowed for the client.")
		}
		clients(t, w)
	})
}

// clients: every way to authenticate one, right and wrong (1.3).
func clients(t *testing.T, w *gatewaytest.World) {
	t.Helper()
	carol := []string{"grant_type", "password", "username", "carol", "password", gatewaytest.Password}
	send := func(header map[string]string, pairs ...string) gatewaytest.Reply {
		return w.FormWith(t, "/oauth/token", header, append(pairs, carol...)...)
	}
	wrong := strings.Repeat("x", 44)
	for name, r := range map[string]gatewaytest.Reply{
		"none":                       send(nil),
		"unknown":                    send(nil, "client_id", "nobody"),
		"no secret":                  send(nil, "client_id", "web"),
		"wrong secret":               send(nil, "client_id", "web", "client_secret", wrong),
		"another's secret":           send(nil, "client_id", "desk", "client_secret", gatewaytest.Secret),
		"a public one with a secret": send(nil, "client_id", "spa", "client_secret", wrong),
		"basic, wrong":               send(basic("web", wrong)),
		"basic, empty":               send(basic("web", "")),
		"basic, garbage":             send(map[string]string{"Authorization": "Basic %%%"}),
		"basic and another id":       send(basic("web", gatewaytest.Secret), "client_id", "spa"),
		"basic and another secret":   send(basic("web", gatewaytest.Secret), "client_id", "web", "client_secret", wrong),
		"basic wrong, post right":    send(basic("web", wrong), "client_id", "web", "client_secret", gatewaytest.Secret),
	} {
		if r.Status != http.StatusUnauthorized || r.Text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
			continue
		}
		refused(t, r, http.StatusUnauthorized, "invalid_client", "")
	}
	for name, r := range map[string]gatewaytest.Reply{
		"post":            send(nil, with("web")...),
		"basic":           send(basic("web", gatewaytest.Secret)),
		"basic and id":    send(basic("web", gatewaytest.Secret), "client_id", "web"),
		"both":            send(basic("web", gatewaytest.Secret), with("web")...),
		"post and Bearer": send(gatewaytest.Bearer("anything"), with("web")...),
	} {
		if r.Text("error") != "mfa_required" {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
}

// flip changes the first character of a text in base64; the last one may hold unused bits.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// Section 3.6: every way in which an mfa_token is none.
func TestCatalogueMFAToken(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := ask(t, w, "spa", "alice")
		body, mac, _ := strings.Cut(token, ".")
		for _, bad := range []string{"garbage", ".", body, body + ".", "." + mac, flip(body) + "." + mac, body + "." + flip(mac),
			token + "A", token + ".A", token[1:], strings.Repeat("A", 5000), alice.Tokens.Text("access_token"), alice.Tokens.Text("refresh_token")} {
			refused(t, w.OTP(t, bad, w.Code(t, alice.Seed, 0)), http.StatusForbidden, "invalid_grant", malformedToken)
			refused(t, w.Recover(t, bad, alice.Recovery), http.StatusForbidden, "invalid_grant", malformedToken)
			refused(t, w.Challenge(t, bad), http.StatusForbidden, "invalid_grant", malformedToken)
		}

		// Another client's: said before the code is looked at, and nothing is used up.
		for _, client := range []string{"web", "kiosk"} {
			pairs := with(client, "mfa_token", token)
			refused(t, w.Form(t, "/mfa/challenge", pairs...), http.StatusBadRequest, "invalid_request", foreignToken)
			for _, code := range []string{w.Code(t, alice.Seed, 0), "wrong"} {
				refused(t, w.Token(t, append(pairs, "grant_type", gatewaytest.GrantOTP, "otp", code)...), http.StatusBadRequest, "invalid_request", foreignToken)
			}
		}

		// Good until the last second of its ten minutes, and then expired for everybody.
		w.Clock.Wind(10*time.Minute - time.Second)
		w.Challenge(t, token).Want(t, http.StatusOK, "")
		w.Clock.Wind(time.Second)
		refused(t, w.OTP(t, token, w.Code(t, alice.Seed, 0)), http.StatusUnauthorized, "expired_token", expiredToken)
		refused(t, w.Recover(t, token, alice.Recovery), http.StatusUnauthorized, "expired_token", expiredToken)
		refused(t, w.Challenge(t, token), http.StatusUnauthorized, "expired_token", expiredToken)
		refused(t, w.Token(t, with("web", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", "000000")...),
			http.StatusUnauthorized, "expired_token", expiredToken)

		// Consumed by the first success, with whatever it is tried then.
		fresh := ask(t, w, "spa", "alice")
		w.OTP(t, fresh, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		refused(t, w.OTP(t, fresh, w.Code(t, alice.Seed, 0)), http.StatusForbidden, "invalid_grant", malformedToken)
		refused(t, w.Recover(t, fresh, alice.Recovery), http.StatusForbidden, "invalid_grant", malformedToken)
		refused(t, w.Challenge(t, fresh), http.StatusForbidden, "invalid_grant", malformedToken)
	})
}

// Section 3.4: of several things that are wrong the first check speaks.
func TestCatalogueOrder(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		otp := []string{"grant_type", gatewaytest.GrantOTP}
		bad := append([]string{"client_id", "service", "client_secret", "wrong"}, otp...)
		refused(t, w.Token(t, bad...), http.StatusUnauthorized, "invalid_client", "")
		refused(t, w.Token(t, with("legacy", otp...)...), http.StatusForbidden, "unauthorized_client", "")
		missing(t, w.Token(t, with("spa", append(otp, "mfa_token", "garbage")...)...), "otp")
		missing(t, w.Token(t, with("spa", "grant_type", gatewaytest.GrantRecovery, "mfa_token", "garbage")...), "recovery_code")
		// A client that may not do it learns nothing about users and passwords.
		refused(t, w.Token(t, with("service", "grant_type", "password", "username", "dave", "password", gatewaytest.Password)...),
			http.StatusForbidden, "unauthorized_client", "")
		// What can never be had is said before the password is looked at.
		refused(t, w.Token(t, with("legacy", "grant_type", "password", "username", "alice", "password", "wrong", "max_age", "0")...),
			http.StatusForbidden, "unauthorized_client", "")
	})
}

// Section 3.6: one-time passwords.
func TestCatalogueOneTimePassword(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		w.Clock.Wind(2 * time.Minute)
		token := ask(t, w, "spa", "alice")
		// The step to come, and the one before the previous one.
		for _, step := range []int64{1, -2} {
			refused(t, w.OTP(t, token, w.Code(t, alice.Seed, step)), http.StatusForbidden, "invalid_grant", invalidOTP)
		}
		// The previous step is accepted, and with it nothing at or before it ever again.
		previous := w.Code(t, alice.Seed, -1)
		w.OTP(t, token, previous).Want(t, http.StatusOK, "")
		token = ask(t, w, "spa", "alice")
		refused(t, w.OTP(t, token, previous), http.StatusForbidden, "invalid_grant", invalidOTP)
		for _, variant := range []string{previous + " ", "+" + previous, previous[:3] + " " + previous[3:]} {
			refused(t, w.OTP(t, token, variant), http.StatusForbidden, "invalid_grant", invalidOTP)
		}
		// The current one is a step of its own; the mfa_token has survived the failures.
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// Sections 3.2, 3.6 and check A6: recovery codes.
func TestR10CatalogueRecoveryCode(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		shape := regexp.MustCompile(`^[A-Z0-9]{24}$`)
		if !shape.MatchString(alice.Recovery) {
			t.Errorf("recovery code %q", alice.Recovery)
		}
		token := ask(t, w, "spa", "alice", "scope", "openid")
		refused(t, w.Recover(t, token, "AAAAAAAAAAAAAAAAAAAAAAAA"), http.StatusForbidden, "invalid_grant", rejected)
		done := w.Recover(t, token, alice.Recovery).Want(t, http.StatusOK, "")
		uncached(t, done)
		if !done.Has("access_token", "id_token", "token_type", "expires_in", "scope", "recovery_code") {
			t.Errorf("members of %s", done.Body)
		}
		next := done.Text("recovery_code")
		if !shape.MatchString(next) || next == alice.Recovery {
			t.Errorf("the replacement is %q", next)
		}
		token = ask(t, w, "spa", "alice")
		refused(t, w.Recover(t, token, alice.Recovery), http.StatusForbidden, "invalid_grant", rejected)
		// As people type it: in small letters and in groups.
		typed := strings.ToLower(next[:8] + "-" + next[8:16] + " " + next[16:])
		w.Recover(t, token, typed).Want(t, http.StatusOK, "")

		seed := secret.New(alice.Seed)
		now := w.Clock.Now().Truncate(time.Millisecond)
		carol := mfa.Authenticator{ID: "totp|dev_AAAAAAAAAAAAAAAA", Subject: "auth0|carol", Type: mfa.OTP, Secret: seed,
			Algorithm: "SHA1", Digits: 6, Period: 30 * time.Second, CreatedAt: now, ConfirmedAt: now}
		half := mfa.Credential{Subject: carol.Subject, Transaction: &mfa.Transaction{Login: mfa.Login{Subject: carol.Subject, Client: "spa"}}}
		if err := w.Administer(t).Associate(t.Context(), half, nil, []mfa.Authenticator{carol}, event(w)); err != nil {
			t.Fatal(err)
		}
		token = ask(t, w, "spa", "carol")
		refused(t, w.Recover(t, token, next), http.StatusForbidden, "unsupported_challenge_type", "User does not have a recovery-code.")
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// Sections 3.6 and 4.5: who has no factor yet is told so, also while one is pending.
func TestCatalogueNotEnrolled(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "kiosk", "carol")
		otp := with("kiosk", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp")
		recovery := with("kiosk", "grant_type", gatewaytest.GrantRecovery, "mfa_token", token, "recovery_code")
		unenrolled := func(code string) {
			t.Helper()
			refused(t, w.Form(t, "/mfa/challenge", with("kiosk", "mfa_token", token)...), http.StatusUnauthorized, "association_required", notEnrolled)
			refused(t, w.Token(t, append(recovery, code)...), http.StatusUnauthorized, "unsupported_challenge_type", notEnrolled)
		}
		unenrolled("AAAAAAAAAAAAAAAAAAAAAAAA")
		refused(t, w.Token(t, append(otp, "123456")...), http.StatusUnauthorized, "unsupported_challenge_type", notEnrolled)

		made := w.Associate(t, token, map[string]any{"authenticator_types": []string{"otp"}}).Want(t, http.StatusOK, "")
		codes, _ := made.JSON["recovery_codes"].([]any)
		code, _ := codes[0].(string)
		unenrolled(code)
		refused(t, w.Token(t, append(otp, w.Code(t, made.Text("secret"), 1))...), http.StatusForbidden, "invalid_grant", invalidOTP)
		// The seed that waits belongs to this login and to no other.
		other := ask(t, w, "kiosk", "carol")
		refused(t, w.Token(t, with("kiosk", "grant_type", gatewaytest.GrantOTP, "mfa_token", other, "otp", w.Code(t, made.Text("secret"), 0))...),
			http.StatusUnauthorized, "unsupported_challenge_type", notEnrolled)
		w.Token(t, append(otp, w.Code(t, made.Text("secret"), 0))...).Want(t, http.StatusOK, "")
		refused(t, w.Form(t, "/mfa/challenge", with("kiosk", "mfa_token", other, "challenge_type", "oob")...),
			http.StatusUnauthorized, "unsupported_challenge_type", "")
	})
}

// Sections 3.2 and 3.3: the members of both answers.
func TestAnswersOfTheTokenEndpoint(t *testing.T) {
	integer := regexp.MustCompile(`"expires_in":([1-9][0-9]*)[,}]`)
	check := func(t *testing.T, r gatewaytest.Reply, scope, lifetime string) {
		t.Helper()
		r.Want(t, http.StatusOK, "")
		uncached(t, r)
		want := []string{"access_token", "token_type", "expires_in", "scope"}
		if slices.Contains(strings.Fields(scope), "openid") {
			want = append(want, "id_token")
		}
		if slices.Contains(strings.Fields(scope), "offline_access") {
			want = append(want, "refresh_token")
		}
		got := integer.FindStringSubmatch(r.Body)
		if !r.Has(want...) || r.Text("token_type") != "Bearer" || got == nil || got[1] != lifetime {
			t.Errorf("answer %s, want %v and expires_in %s", r.Body, want, lifetime)
		}
		if have, ok := r.JSON["scope"].(string); !ok || have != scope {
			t.Errorf("scope %v, want %q", r.JSON["scope"], scope)
		}
	}
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		for _, scope := range []string{"", "openid", "offline_access", "openid profile email offline_access"} {
			check(t, w.Login(t, "carol", gatewaytest.Password, "scope", scope), scope, "900")
			token := ask(t, w, "spa", "alice", "scope", scope)
			check(t, w.OTP(t, token, w.Code(t, alice.Seed, 0)), scope, "900")
			w.Clock.Wind(30 * time.Second)
		}
		// A narrower scope is given, a wider one is not; another audience is an error.
		token := ask(t, w, "spa", "alice", "scope", "openid email")
		refused(t, w.OTP(t, token, w.Code(t, alice.Seed, 0), "audience", "https://api.example.test/"), http.StatusBadRequest, "invalid_request", "")
		check(t, w.OTP(t, token, w.Code(t, alice.Seed, 0), "scope", "openid profile write:things"), "openid", "900")

		for user, want := range map[string]string{"alice": "challenge", "carol": "enroll"} {
			r := w.Token(t, with("web", "grant_type", "password", "username", user, "password", gatewaytest.Password)...)
			refused(t, r, http.StatusForbidden, "mfa_required", "Multifactor authentication required")
			need, _ := r.JSON["mfa_requirements"].(map[string]any)
			if !r.Has("error", "error_description", "mfa_token", "mfa_requirements") || len(need) != 1 {
				t.Errorf("%s: members of %s", user, r.Body)
			}
			var kinds []string
			list, _ := need[want].([]any)
			for _, e := range list {
				entry, _ := e.(map[string]any)
				kind, _ := entry["type"].(string)
				kinds = append(kinds, kind)
			}
			slices.Sort(kinds)
			if all := strings.Join(kinds, " "); all != map[string]string{"challenge": "otp recovery-code", "enroll": "otp"}[want] {
				t.Errorf("%s: %s names %q", user, want, all)
			}
			if legal := regexp.MustCompile(`^[A-Za-z0-9.*_-]+$`); !legal.MatchString(r.Text("mfa_token")) {
				t.Errorf("mfa_token %q does not fit into a header", r.Text("mfa_token"))
			}
		}
	})
}

// Q3: both extra members can be left out.
func TestWithoutRequirements(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		first := refused(t, w.Login(t, "alice", gatewaytest.Password), http.StatusForbidden, "mfa_required", "")
		if !first.Has("error", "error_description", "mfa_token") {
			t.Errorf("members of %s", first.Body)
		}
		for _, row := range w.Authenticators(t, first.Text("mfa_token")).Want(t, http.StatusOK, "").List {
			if _, ok := row["type"]; ok {
				t.Errorf("row %v has a type", row)
			}
		}
		w.OTP(t, first.Text("mfa_token"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	}, "errors: {mfa_requirements: off}")
}
