package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A passage is a request of somebody who is going to be stopped, and its answers: while it
// is open, and when it is shut.
type passage struct {
	name       string
	knock      knock
	open, shut answer
}

type knock func(w *gatewaytest.World) gatewaytest.Reply

// An answer says what is wrong with a reply, nothing when it is the one.
type answer func(r gatewaytest.Reply) string

func answers(status int, code, description string) answer {
	return func(r gatewaytest.Reply) string {
		if r.Status == status && r.Text("error") == code && (description == "" || r.Text("error_description") == description) {
			return ""
		}
		return fmt.Sprintf("%d %s, want %d %s %s", r.Status, r.Body, status, code, description)
	}
}

var (
	fine      = answers(http.StatusOK, "", "")
	asksMore  = answers(http.StatusForbidden, "mfa_required", "")
	noBearer  = answers(http.StatusUnauthorized, "invalid_grant", badBearer)
	noToken   = answers(http.StatusUnauthorized, "invalid_token", "")
	noClient  = answers(http.StatusUnauthorized, "invalid_client", "")
	noUser    = answers(http.StatusForbidden, "unauthorized", "user is blocked")
	malformed = answers(http.StatusForbidden, "invalid_grant", malformedToken)
)

func isActive(r gatewaytest.Reply) string {
	if r.JSON["active"] == true {
		return ""
	}
	return fmt.Sprintf("%d %s, want an active token", r.Status, r.Body)
}

func isInactive(r gatewaytest.Reply) string {
	if r.Status == http.StatusOK && r.Body == inactive {
		return ""
	}
	return fmt.Sprintf("%d %s, want %s", r.Status, r.Body, inactive)
}

// toPage is an answer that a page of the origin can read, or cannot.
func toPage(origin string) answer {
	return func(r gatewaytest.Reply) string {
		if got := r.Header.Get("Access-Control-Allow-Origin"); got != origin {
			return fmt.Sprintf("%d for the origin %q, want %q", r.Status, got, origin)
		}
		return ""
	}
}

// within wants every passage to be open or shut within a second: whatever is asked later
// than that must have the right answer. The promise is about the time of people, so here
// and nowhere else the clock of the gateways goes with the real one.
func within(t *testing.T, w *gatewaytest.World, passages []passage, open bool) {
	t.Helper()
	began, passed := time.Now(), time.Duration(0)
	for left := attempts(w, passages, open); len(left) > 0; {
		now := time.Since(began)
		w.Clock.Wind(now - passed)
		passed = now
		wrong := make([]string, len(left))
		var all sync.WaitGroup
		for i, try := range left {
			all.Go(func() { wrong[i] = try() })
		}
		all.Wait()
		if late := strings.TrimSpace(strings.Join(wrong, "\n")); passed > time.Second && late != "" {
			t.Fatalf("%v later:\n%s", passed, late)
		}
		var again []func() string
		for i, try := range left {
			if wrong[i] != "" {
				again = append(again, try)
			}
		}
		left = again
	}
}

// attempts are one knock at every passage: at each gateway if the passage must be shut, else
// at one, because what opens may open once.
func attempts(w *gatewaytest.World, passages []passage, open bool) []func() string {
	var out []func() string
	for _, d := range passages {
		if open {
			out = append(out, d.try(w, "", d.open))
			continue
		}
		for i, node := range w.Apart() {
			out = append(out, d.try(node, fmt.Sprintf(" at gateway %d", i), d.shut))
		}
	}
	return out
}

// try knocks and says what is wrong.
func (d passage) try(w *gatewaytest.World, where string, want answer) func() string {
	return func() string {
		if what := want(d.knock(w)); what != "" {
			return d.name + where + ": " + what
		}
		return ""
	}
}

// A visitor is a user with a factor at a client, and what they have there.
type visitor struct {
	user, seed, recovery string
	client               func() []string // how the client presents itself

	tokens, extra gatewaytest.Reply // of two logins
	manage        string            // an access token for /mfa/
	pending, gone gatewaytest.Reply // what it associated: one to confirm, one to remove
	began         [2]string         // mfa_tokens of passwords
	refreshing    string            // and of a refresh
	stepping      string            // and of a step-up
}

// visit enrolls a factor and logs in again and again.
func visit(t *testing.T, w *gatewaytest.World, user string, client func() []string) visitor {
	t.Helper()
	enrolled := w.Enroll(t, user)
	v := visitor{user: user, client: client, seed: enrolled.Seed, recovery: enrolled.Recovery}
	begin := func(more ...string) string {
		t.Helper()
		r := w.Token(t, append(client(), append(v.password("password"), more...)...)...)
		return r.Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
	}
	login := func(more ...string) gatewaytest.Reply {
		t.Helper()
		defer w.Clock.Wind(30 * time.Second)
		return w.Token(t, append(client(), "grant_type", gatewaytest.GrantOTP, "mfa_token", begin(more...),
			"otp", w.Code(t, v.seed, 0))...).Want(t, http.StatusOK, "")
	}
	api := []string{"audience", things, "scope", "openid offline_access read:things"}
	v.tokens, v.extra = login(api...), login(api...)
	v.manage = login("audience", w.URL+"mfa/").Text("access_token")
	v.pending = w.Associate(t, v.manage, anOTP).Want(t, http.StatusOK, "")
	v.gone = w.Associate(t, v.manage, anOTP).Want(t, http.StatusOK, "")
	v.began = [2]string{begin(), begin()}
	waits := login(api...)
	v.refreshing = w.Token(t, v.refresh(waits, "max_age", "0")...).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
	v.stepping = begun(t, w.Token(t, v.stepUp(waits, "max_age", "0")...))
	return v
}

func (v visitor) password(grant string) []string {
	more := []string{"grant_type", grant, "username", v.user, "password", gatewaytest.Password}
	if grant == "password-realm" {
		more = append(more, "realm", "Username-Password-Authentication")
	}
	return more
}

func (v visitor) refresh(of gatewaytest.Reply, more ...string) []string {
	return append(append(v.client(), more...), "grant_type", "refresh_token", "refresh_token", of.Text("refresh_token"))
}

func (v visitor) stepUp(of gatewaytest.Reply, more ...string) []string {
	return append(append(v.client(), more...), "grant_type", "mfa_token", "access_token", of.Text("access_token"))
}

// refusals are what the token endpoint and /mfa/challenge answer to who is stopped: for a
// grant, and for an mfa_token or an access token that is none any more.
type refusals struct{ grant, mfaToken, access answer }

// passages are all that a user comes by at a client.
func (v visitor) passages(t *testing.T, no refusals) []passage {
	bearer := func(method, path, token string) knock {
		return func(w *gatewaytest.World) gatewaytest.Reply {
			return w.Do(t, gatewaytest.Request{Method: method, Path: path, Header: gatewaytest.Bearer(token)})
		}
	}
	associate := func(token string) knock {
		return func(w *gatewaytest.World) gatewaytest.Reply { return w.Associate(t, token, anOTP) }
	}
	prove := func(kind, token string, proof func(w *gatewaytest.World) []string) knock {
		return func(w *gatewaytest.World) gatewaytest.Reply {
			return w.Token(t, append(v.client(), append(proof(w), "grant_type", kind, "mfa_token", token)...)...)
		}
	}
	code := func(seed string) func(w *gatewaytest.World) []string {
		return func(w *gatewaytest.World) []string { return []string{"otp", w.Code(t, seed, 0)} }
	}
	recovery := func(*gatewaytest.World) []string { return []string{"recovery_code", v.recovery} }
	token := v.tokens.Text("access_token")
	gone := "/mfa/authenticators/" + strings.ReplaceAll(v.gone.Text("id"), "|", "%7C")
	return []passage{
		{"password", form(t, "/oauth/token", v.client, v.password("password")...), asksMore, no.grant},
		{"password-realm", form(t, "/oauth/token", v.client, v.password("password-realm")...), asksMore, no.grant},
		{"refresh_token", func(w *gatewaytest.World) gatewaytest.Reply { return w.Token(t, v.refresh(v.tokens)...) }, fine, no.grant},
		{"mfa_token", func(w *gatewaytest.World) gatewaytest.Reply { return w.Token(t, v.stepUp(v.tokens)...) }, fine, no.access},
		{"mfa-otp", prove(gatewaytest.GrantOTP, v.refreshing, code(v.seed)), fine, no.grant},
		{"mfa-recovery-code", prove(gatewaytest.GrantRecovery, v.stepping, recovery), fine, no.grant},
		{"confirmation", prove(gatewaytest.GrantOTP, v.manage, code(v.pending.Text("secret"))), fine, no.mfaToken},
		{"challenge", form(t, "/mfa/challenge", v.client, "mfa_token", v.began[0]), fine, no.mfaToken},
		{"list with an mfa_token", bearer(http.MethodGet, "/mfa/authenticators", v.began[1]), fine, noBearer},
		{"associate with an mfa_token", associate(v.began[1]), answers(http.StatusForbidden, "access_denied", ""), noBearer},
		{"list", bearer(http.MethodGet, "/mfa/authenticators", v.manage), fine, noBearer},
		{"associate", associate(v.manage), fine, noBearer},
		{"remove", bearer(http.MethodDelete, gone, v.manage), answers(http.StatusNoContent, "", ""), noBearer},
		{"userinfo", bearer(http.MethodGet, "/userinfo", token), fine, noToken},
		{"introspection", form(t, "/oauth/introspect", as("service"), "token", token), isActive, isInactive},
	}
}

// as is how a client presents itself by its id, and its secret if it has one.
func as(client string) func() []string { return func() []string { return gatewaytest.As(client) } }

// form posts a form as a client.
func form(t *testing.T, path string, client func() []string, pairs ...string) knock {
	return func(w *gatewaytest.World) gatewaytest.Reply { return w.Form(t, path, append(client(), pairs...)...) }
}

// Blocking a user ends every grant, refresh and introspection of theirs within a second
// on every node. What was not used up goes on when the block ends.
func TestR8BlockedWithinASecond(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		blocked := func(user string, passages []passage, blocked bool) {
			t.Helper()
			if err := admin.SetUserBlocked(t.Context(), user, blocked, event(w)); err != nil {
				t.Fatal(err)
			}
			within(t, w, passages, !blocked)
		}
		v := visit(t, w, "alice", as("spa"))
		alices := v.passages(t, refusals{noUser, malformed, noToken})
		blocked("auth0|alice", alices, true)
		// The client is as good as before, and may end their logins.
		revoked(t, about(t, w, "/oauth/revoke", "spa", v.extra.Text("refresh_token")))
		blocked("auth0|alice", alices, false)
		if known(t, w, v.extra.Text("access_token")) {
			t.Error("what was revoked meanwhile came back")
		}

		// Who has no factor yet enrolls none.
		token := ask(t, w, "kiosk", "carol")
		seed := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "").Text("secret")
		own := login(t, w, "spa").Text("access_token")
		confirm := passage{"confirm the first factor", func(w *gatewaytest.World) gatewaytest.Reply {
			return w.Token(t, with("kiosk", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, seed, 0))...)
		}, fine, noUser}
		carols := []passage{
			{"first factor", func(w *gatewaytest.World) gatewaytest.Reply { return w.Associate(t, token, anOTP) }, fine, noBearer},
			{"password alone", func(w *gatewaytest.World) gatewaytest.Reply { return password(t, w, "legacy", "carol") }, fine, noUser},
			{"its token", form(t, "/oauth/introspect", as("service"), "token", own), isActive, isInactive},
		}
		blocked("auth0|carol", append(carols, confirm), true)
		blocked("auth0|carol", carols, false)
		within(t, w, []passage{confirm}, true)
	})
}

// Disabling a client does the same to all that comes by it, whichever way it proves
// itself, for its users and for itself.
func TestDisabledWithinASecond(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		robot := func() []string { return w.Robot(t) }
		api := []string{"grant_type", "client_credentials", "audience", things}
		own := func(client func() []string, token string) []passage {
			made := w.Token(t, append(client(), api...)...).Want(t, http.StatusOK, "").Text("access_token")
			return []passage{
				{"client_credentials", form(t, "/oauth/token", client, api...), fine, noClient},
				{"its introspection", form(t, "/oauth/introspect", client, "token", token), isActive, noClient},
				{"its own token", form(t, "/oauth/introspect", as("desk"), "token", made), isActive, isInactive},
				{"revocation", form(t, "/oauth/revoke", client, "token", "any"), fine, noClient},
			}
		}
		alice, carol := visit(t, w, "alice", as("spa")), visit(t, w, "carol", as("web"))
		revoke := form(t, "/oauth/revoke", as("spa"), "token", alice.extra.Text("access_token"))
		public := append(pages(t, alice), passage{"revocation", revoke, fine, noClient})
		token := login(t, w, "legacy").Text("access_token")
		for client, passages := range map[string][]passage{
			"spa":     append(public, alice.passages(t, refusals{noClient, noClient, noClient})...),
			"web":     append(own(as("web"), token), carol.passages(t, refusals{noClient, noClient, noClient})...),
			"service": own(as("service"), token),
			"robot":   own(robot, token),
		} {
			for _, disabled := range []bool{true, false} {
				if err := admin.SetClientDisabled(t.Context(), client, disabled, event(w)); err != nil {
					t.Fatal(err)
				}
				within(t, w, passages, !disabled)
			}
		}
	})
}

// pages are the passages of a web page of "spa".
func pages(t *testing.T, v visitor) []passage {
	const app = "https://app.example.test"
	return []passage{
		{"preflight", func(w *gatewaytest.World) gatewaytest.Reply {
			return w.Do(t, gatewaytest.Request{Method: http.MethodOptions, Path: "/oauth/token", Header: map[string]string{
				"Origin": app, "Access-Control-Request-Method": http.MethodPost}})
		}, toPage(app), toPage("")},
		{"page", func(w *gatewaytest.World) gatewaytest.Reply {
			return w.FormWith(t, "/oauth/token", map[string]string{"Origin": app}, append(v.client(), v.password("password")...)...)
		}, toPage(app), toPage("")},
	}
}
