package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// A door is one of the endpoints that take a bearer token (section 4.1).
type door struct{ method, path, body, scope string }

const noAuthenticator = "/mfa/authenticators/totp%7Cdev_0000000000000000"

var doors = []door{
	{http.MethodGet, "/mfa/authenticators", "", "read:authenticators"},
	{http.MethodPost, "/mfa/associate", `{"authenticator_types":["otp"]}`, "enroll"},
	{http.MethodDelete, noAuthenticator, "", "remove:authenticators"},
}

// knock sends the door's request; libraries send the type of a body also without one
// (1.1.8).
func (d door) knock(t *testing.T, w *gatewaytest.World, header map[string]string) gatewaytest.Reply {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: d.method, Path: d.path, ContentType: "application/json", Body: d.body, Header: header})
}

// closed wants one answer at every door.
func closed(t *testing.T, w *gatewaytest.World, header map[string]string, code, description string) {
	t.Helper()
	for _, d := range doors {
		refused(t, d.knock(t, w, header), http.StatusUnauthorized, code, description)
	}
}

// remove deletes an authenticator, whose id is percent-encoded as libraries do.
func remove(t *testing.T, w *gatewaytest.World, token, id string) gatewaytest.Reply {
	t.Helper()
	return w.Do(t, gatewaytest.Request{Method: http.MethodDelete, Header: gatewaytest.Bearer(token),
		Path: "/mfa/authenticators/" + strings.ReplaceAll(id, "|", "%7C")})
}

// manage gets somebody an access token for /mfa/ and winds the clock one step.
func manage(t *testing.T, w *gatewaytest.World, user string, who gatewaytest.Enrolled, scope string) string {
	t.Helper()
	token := ask(t, w, "spa", user, "audience", w.URL+"mfa/", "scope", scope)
	r := w.OTP(t, token, w.Code(t, who.Seed, 0)).Want(t, http.StatusOK, "")
	w.Clock.Wind(30 * time.Second)
	return r.Text("access_token")
}

// Section 4.1: what is no bearer token of these endpoints, or not any more.
func TestCatalogueBearer(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		used := ask(t, w, "spa", "alice")
		things := w.OTP(t, used, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "").Text("access_token")
		w.Clock.Wind(30 * time.Second)
		open := manage(t, w, "alice", alice, "")
		over := manage(t, w, "alice", alice, "")
		revoked(t, about(t, w, "/oauth/revoke", "spa", over))
		machine := w.Token(t, with("service", "grant_type", "client_credentials", "audience", "https://api.example.test/")...).Want(t, http.StatusOK, "")
		end := strings.LastIndex(open, ".") + 1
		for name, header := range map[string]map[string]string{
			"missing": nil, "Basic": basic("web", gatewaytest.Secret), "Bearer and nothing": {"Authorization": "Bearer"},
			"Bearer and a blank": {"Authorization": "Bearer "}, "no scheme": {"Authorization": open},
			"garbage": gatewaytest.Bearer("garbage"), "a.b.c": gatewaytest.Bearer("a.b.c"),
			"an altered one": gatewaytest.Bearer(open[:end] + flip(open[end:])), "one that was revoked": gatewaytest.Bearer(over),
			"a used mfa_token": gatewaytest.Bearer(used), "for userinfo": gatewaytest.Bearer(alice.Tokens.Text("access_token")),
			"for the gateway": gatewaytest.Bearer(things), "a machine's": gatewaytest.Bearer(machine.Text("access_token")),
			"an ID token": gatewaytest.Bearer(alice.Tokens.Text("id_token")), "a refresh token": gatewaytest.Bearer(alice.Tokens.Text("refresh_token")),
		} {
			t.Run(name, func(t *testing.T) { closed(t, w, header, "invalid_grant", badBearer) })
		}

		// Each ends to the second, and in its own words; the first one is a minute old.
		login := ask(t, w, "spa", "alice")
		w.Clock.Wind(9*time.Minute - time.Second)
		for _, token := range []string{open, login} {
			w.Authenticators(t, token).Want(t, http.StatusOK, "")
		}
		w.Clock.Wind(time.Second)
		closed(t, w, gatewaytest.Bearer(open), "invalid_grant", badBearer)
		w.Authenticators(t, login).Want(t, http.StatusOK, "")
		w.Clock.Wind(time.Minute)
		closed(t, w, gatewaytest.Bearer(login), "expired_token", expiredToken)
	})
}

// Section 4.1, the table: whose token opens which door.
func TestCatalogueWhoMayCallWhat(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		knock := func(d door, token string) gatewaytest.Reply {
			t.Helper()
			return d.knock(t, w, gatewaytest.Bearer(token))
		}
		list, associate, remove := doors[0], doors[1], doors[2]
		lacks := func(r gatewaytest.Reply, scope string) {
			t.Helper()
			refused(t, r, http.StatusForbidden, "insufficient_scope", "Insufficient scope, expected: "+scope)
		}
		// An mfa_token of somebody without a factor, and of somebody with one.
		token := ask(t, w, "kiosk", "carol")
		knock(list, token).Want(t, http.StatusOK, "")
		knock(associate, token).Want(t, http.StatusOK, "")
		lacks(knock(remove, token), remove.scope)
		alice := w.Enroll(t, "alice")
		token = ask(t, w, "spa", "alice")
		knock(list, token).Want(t, http.StatusOK, "")
		refused(t, knock(associate, token), http.StatusForbidden, "access_denied", "User is already enrolled.")
		lacks(knock(remove, token), remove.scope)

		// An access token: each scope opens its own door and no other.
		for _, own := range doors {
			token := manage(t, w, "alice", alice, own.scope)
			for _, d := range doors {
				switch r := knock(d, token); {
				case d != own:
					lacks(r, d.scope)
				case d == remove:
					refused(t, r, http.StatusNotFound, "invalid_authenticator", "Authenticator not found")
				default:
					r.Want(t, http.StatusOK, "")
				}
			}
			refused(t, w.Challenge(t, token), http.StatusForbidden, "invalid_grant", malformedToken)
		}
		// The audience is known without its slash as well, and is the same (4.1).
		bare := w.OTP(t, ask(t, w, "spa", "alice", "audience", w.URL+"mfa", "scope", "enroll"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		equal(t, claims(t, w, bare.Text("access_token"), "at+jwt"), map[string]any{"aud": w.URL + "mfa/", "scope": "enroll"})
		knock(associate, bare.Text("access_token")).Want(t, http.StatusOK, "")
		w.Clock.Wind(30 * time.Second)
		all := manage(t, w, "alice", alice, "")
		second := knock(associate, all).Want(t, http.StatusOK, "")
		if !second.Has("authenticator_type", "secret", "barcode_uri", "id") {
			t.Errorf("members of %s", second.Body)
		}
		if got := strings.Join(rows(t, knock(list, all)), ", "); got != "otp, otp, otp, otp active, recovery-code active" {
			t.Errorf("rows %s", got)
		}
		// The seed that waits logs nobody in.
		refused(t, w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, second.Text("secret"), 0)), http.StatusForbidden, "invalid_grant", invalidOTP)
	})
}

// Section 4.3.
func TestCatalogueRemove(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice, carol := w.Enroll(t, "alice"), w.Enroll(t, "carol")
		token, hers := manage(t, w, "alice", alice, ""), manage(t, w, "carol", carol, "")
		ids := map[string]string{}
		for _, row := range w.Authenticators(t, hers).List {
			kind, _ := row["type"].(string)
			ids[kind], _ = row["id"].(string)
		}
		// Unknown, somebody else's, and what is no id are the same.
		for _, id := range []string{"totp|dev_0000000000000000", "nonsense", "%25", "%2F", "..%2F", "%00", ids["otp"], ids["recovery-code"], ids["otp"] + "%20"} {
			refused(t, remove(t, w, token, id), http.StatusNotFound, "invalid_authenticator", "Authenticator not found")
		}
		if got := rows(t, w.Authenticators(t, hers)); len(got) != 2 {
			t.Errorf("rows %v after somebody else's attempts", got)
		}
		refused(t, remove(t, w, hers, ids["recovery-code"]), http.StatusForbidden, "access_denied", "")
		for _, path := range []string{"/mfa/authenticators/", "/mfa/authenticators/a/b"} {
			refused(t, w.Do(t, gatewaytest.Request{Method: http.MethodDelete, Path: path, Header: gatewaytest.Bearer(hers)}), http.StatusNotFound, "not_found", "")
		}

		// However the id is written, and whatever type an empty body has, it is gone.
		for _, bar := range []string{"%7C", "%7c", "|"} {
			id := w.Associate(t, hers, anOTP).Want(t, http.StatusOK, "").Text("id")
			r := w.Do(t, gatewaytest.Request{Method: http.MethodDelete, Path: "/mfa/authenticators/" + strings.ReplaceAll(id, "|", bar),
				ContentType: "application/json", Header: gatewaytest.Bearer(hers)})
			if r.Status != http.StatusNoContent || r.Body != "" {
				t.Errorf("%s: %d %s", bar, r.Status, r.Body)
			}
			refused(t, remove(t, w, hers, id), http.StatusNotFound, "invalid_authenticator", "Authenticator not found")
		}

		// With the last factor go the recovery codes, and nobody is asked any more.
		remove(t, w, hers, ids["otp"]).Want(t, http.StatusNoContent, "")
		if got := rows(t, w.Authenticators(t, ask(t, w, "kiosk", "carol"))); len(got) != 0 {
			t.Errorf("rows %v of somebody who has nothing left", got)
		}
	})
}

// Sections 4.4 and 4.5: an authenticator that is somebody else's, or waits, is not there
// for a challenge; and of those that wait there are thirty.
func TestCatalogueWaiting(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice, carol := w.Enroll(t, "alice"), w.Enroll(t, "carol")
		token := manage(t, w, "alice", alice, "")
		var ids []string
		for _, row := range w.Authenticators(t, manage(t, w, "carol", carol, "")).List {
			id, _ := row["id"].(string)
			ids = append(ids, id)
		}
		for range 30 {
			ids = append(ids, w.Associate(t, token, anOTP).Want(t, http.StatusOK, "").Text("id"))
		}
		many := refused(t, w.Associate(t, token, anOTP), http.StatusTooManyRequests, "too_many_attempts", "")
		if many.Header.Get("Retry-After") != "300" {
			t.Errorf("Retry-After %q", many.Header.Get("Retry-After"))
		}
		login := ask(t, w, "spa", "alice")
		for _, id := range ids {
			refused(t, w.Challenge(t, login, "authenticator_id", id), http.StatusNotFound, "invalid_authenticator", "Authenticator not found")
		}
		w.Clock.Wind(5 * time.Minute)
		w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
	})
}

// Section 3.4 and Q6: an access token confirms what was associated with it, and nothing
// else ever passes for an mfa_token.
func TestCatalogueConfirm(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		reader, enroller := manage(t, w, "alice", alice, "read:authenticators"), manage(t, w, "alice", alice, "enroll remove:authenticators")
		malformed := func(r gatewaytest.Reply) {
			t.Helper()
			refused(t, r, http.StatusForbidden, "invalid_grant", malformedToken)
		}
		malformed(w.OTP(t, enroller, w.Code(t, alice.Seed, 0))) // nothing waits
		made := w.Associate(t, enroller, anOTP).Want(t, http.StatusOK, "")
		seed := made.Text("secret")
		for _, token := range []string{reader, alice.Tokens.Text("access_token"), alice.Tokens.Text("id_token"), alice.Tokens.Text("refresh_token")} {
			malformed(w.OTP(t, token, w.Code(t, seed, 0)))
		}
		malformed(w.Recover(t, enroller, alice.Recovery))
		refused(t, w.Token(t, with("web", "grant_type", gatewaytest.GrantOTP, "mfa_token", enroller, "otp", w.Code(t, seed, 0))...),
			http.StatusBadRequest, "invalid_request", foreignToken)
		refused(t, w.OTP(t, enroller, w.Code(t, seed, 0), "audience", "https://api.example.test/"), http.StatusBadRequest, "invalid_request", "")
		refused(t, w.OTP(t, enroller, w.Code(t, alice.Seed, 0)), http.StatusForbidden, "invalid_grant", invalidOTP)

		// What was removed, or whose token was revoked or is over, waits no more.
		remove(t, w, enroller, made.Text("id")).Want(t, http.StatusNoContent, "")
		malformed(w.OTP(t, enroller, w.Code(t, seed, 0)))
		seed = w.Associate(t, enroller, anOTP).Want(t, http.StatusOK, "").Text("secret")
		revoked(t, about(t, w, "/oauth/revoke", "spa", enroller))
		malformed(w.OTP(t, enroller, w.Code(t, seed, 0)))
		enroller = manage(t, w, "alice", alice, "enroll")
		w.Clock.Wind(8 * time.Minute)
		seed = w.Associate(t, enroller, anOTP).Want(t, http.StatusOK, "").Text("secret")
		w.Clock.Wind(2 * time.Minute)
		malformed(w.OTP(t, enroller, w.Code(t, seed, 0)))

		// Confirmed, it may narrow what the token was good for, as every MFA grant may.
		enroller = manage(t, w, "alice", alice, "enroll read:authenticators")
		seed = w.Associate(t, enroller, anOTP).Want(t, http.StatusOK, "").Text("secret")
		done := w.OTP(t, enroller, w.Code(t, seed, 0), "audience", w.URL+"mfa", "scope", "enroll").Want(t, http.StatusOK, "")
		if scope := strings.Fields(done.Text("scope")); !slices.Equal(scope, []string{"enroll"}) {
			t.Errorf("scope %q", scope)
		}
		malformed(w.OTP(t, enroller, w.Code(t, seed, 1)))
	})
}
