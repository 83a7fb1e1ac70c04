package gateway_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

var anOTP = map[string]any{"authenticator_types": []string{"otp"}}

// rows are the lines of a list, each as "type active", sorted.
func rows(t *testing.T, r gatewaytest.Reply) []string {
	t.Helper()
	r.Want(t, http.StatusOK, "")
	uncached(t, r)
	if !strings.HasPrefix(r.Body, "[") {
		t.Fatalf("no array: %s", r.Body)
	}
	out := []string{}
	for _, row := range r.List {
		active, ok := row["active"].(bool)
		if !ok || row["type"] != row["authenticator_type"] {
			t.Errorf("row %v", row)
		}
		line, _ := row["type"].(string)
		if active {
			line += " active"
		}
		out = append(out, line)
		for name := range row {
			if !slices.Contains([]string{"id", "authenticator_type", "active", "type", "created_at", "last_auth"}, name) {
				t.Errorf("member %s in row %v", name, row)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Sections 4.2 and 4.4: enrolling and listing, from nothing to one active factor.
func TestR20AssociateAndList(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "kiosk", "carol")
		if got := rows(t, w.Authenticators(t, token)); len(got) != 0 {
			t.Errorf("rows %v of somebody who has nothing", got)
		}
		first := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
		uncached(t, first)
		codes, _ := first.JSON["recovery_codes"].([]any)
		if !first.Has("authenticator_type", "secret", "barcode_uri", "id", "recovery_codes") || first.Text("authenticator_type") != "otp" || len(codes) != 1 {
			t.Errorf("members of %s", first.Body)
		}
		barcode(t, first)

		// Further ones under the same login: allowed while nothing is confirmed, and
		// without codes of their own.
		second := w.Associate(t, token, anOTP).Want(t, http.StatusOK, "")
		if !second.Has("authenticator_type", "secret", "barcode_uri", "id") || second.Text("secret") == first.Text("secret") {
			t.Errorf("members of %s", second.Body)
		}
		if got := strings.Join(rows(t, w.Authenticators(t, token)), ", "); got != "otp, otp, recovery-code" {
			t.Errorf("pending rows: %s", got)
		}

		// The proof of one makes it active together with the recovery code, and the other not.
		code := w.Code(t, second.Text("secret"), 0)
		w.Token(t, with("kiosk", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", code)...).Want(t, http.StatusOK, "")
		next := ask(t, w, "kiosk", "carol")
		list := w.Authenticators(t, next)
		if got := strings.Join(rows(t, list), ", "); got != "otp, otp active, recovery-code active" {
			t.Errorf("rows after the proof: %s", got)
		}
		shapes(t, list, second.Text("id"))
		refused(t, w.Associate(t, next, anOTP), http.StatusForbidden, "access_denied", "User is already enrolled.")

		// What waits for too long is gone, and its seed satisfies nothing meanwhile.
		w.Clock.Wind(30 * time.Second)
		stale := w.Code(t, first.Text("secret"), 0)
		refused(t, w.Token(t, with("kiosk", "grant_type", gatewaytest.GrantOTP, "mfa_token", next, "otp", stale)...), http.StatusForbidden, "invalid_grant", invalidOTP)
		w.Clock.Wind(5 * time.Minute)
		if got := strings.Join(rows(t, w.Authenticators(t, next)), ", "); got != "otp active, recovery-code active" {
			t.Errorf("rows five minutes later: %s", got)
		}
		recovery := w.Token(t, with("kiosk", "grant_type", gatewaytest.GrantRecovery, "mfa_token", next, "recovery_code", codes[0].(string))...)
		recovery.Want(t, http.StatusOK, "")
	})
}

// barcode checks what an authenticator app scans.
func barcode(t *testing.T, r gatewaytest.Reply) {
	t.Helper()
	seed := r.Text("secret")
	if !regexp.MustCompile(`^[A-Z2-7]{32}$`).MatchString(seed) {
		t.Errorf("secret %q is not 20 bytes in base32", seed)
	}
	want := "otpauth://totp/Example:carol%40example.test?secret=" + seed + "&issuer=Example&algorithm=SHA1&digits=6&period=30"
	if got := r.Text("barcode_uri"); got != want {
		t.Errorf("barcode_uri %q, want %q", got, want)
	}
	if _, err := url.Parse(r.Text("barcode_uri")); err != nil {
		t.Error(err)
	}
}

// shapes checks ids and times of a list; the authenticator of id was just used.
func shapes(t *testing.T, list gatewaytest.Reply, id string) {
	t.Helper()
	prefix := map[any]string{"otp": "totp", "recovery-code": "recovery-code"}
	var used bool
	for _, row := range list.List {
		got, _ := row["id"].(string)
		if !regexp.MustCompile(`^` + prefix[row["type"]] + `\|dev_[A-Za-z0-9]{16}$`).MatchString(got) {
			t.Errorf("id %q of a row of type %v", got, row["type"])
		}
		for _, name := range []string{"created_at", "last_auth"} {
			text, ok := row[name].(string)
			if _, err := time.Parse(time.RFC3339, text); (ok || name == "created_at") && err != nil {
				t.Errorf("%s of %v: %v", name, row, err)
			}
			used = used || ok && got == id && name == "last_auth"
		}
	}
	if !used {
		t.Errorf("no last_auth at %s in %s", id, list.Body)
	}
}

// Section 4.4: what cannot be enrolled.
func TestAssociateRefuses(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		token := ask(t, w, "kiosk", "carol")
		associate := func(members map[string]any) gatewaytest.Reply { return w.Associate(t, token, members) }
		missing(t, associate(map[string]any{}), "authenticator_types")
		missing(t, associate(map[string]any{"authentication_types": []string{"otp"}}), "authenticator_types")
		missing(t, associate(map[string]any{"authenticator_types": []string{}}), "authenticator_types")
		missing(t, associate(map[string]any{"authenticator_types": []string{"oob"}}), "oob_channels")
		for _, kind := range []string{"recovery-code", "webauthn-roaming", "OTP", "totp", "nonsense"} {
			refused(t, associate(map[string]any{"authenticator_types": []string{kind}}), http.StatusBadRequest, "unsupported_challenge_type", "")
		}
		refused(t, associate(map[string]any{"authenticator_types": []string{"oob"}, "oob_channels": []string{"sms"}, "phone_number": "+4915550100042"}),
			http.StatusBadRequest, "unsupported_challenge_type", "")
		refused(t, associate(map[string]any{"authenticator_types": "oob", "oob_channels": "email"}), http.StatusBadRequest, "unsupported_challenge_type", "")
		refused(t, associate(map[string]any{"authenticator_types": []string{"otp", "oob"}}), http.StatusBadRequest, "invalid_request", "")
		if got := rows(t, w.Authenticators(t, token)); len(got) != 0 {
			t.Errorf("refused requests left rows %v", got)
		}

		// Client fields beside the bearer token: right or absent, never wrong or foreign.
		beside := func(pairs ...string) gatewaytest.Reply {
			return w.FormWith(t, "/mfa/associate", gatewaytest.Bearer(token), append(pairs, "authenticator_types", "otp")...)
		}
		beside(with("kiosk")...).Want(t, http.StatusOK, "")
		refused(t, beside("client_id", "nobody"), http.StatusUnauthorized, "invalid_client", "")
		refused(t, beside("client_id", "kiosk", "client_secret", "wrong"), http.StatusUnauthorized, "invalid_client", "")
		refused(t, beside("client_id", "web", "client_secret", "wrong"), http.StatusUnauthorized, "invalid_client", "")
		refused(t, beside(with("web")...), http.StatusBadRequest, "invalid_request", foreignToken)
		refused(t, beside("client_id", "spa"), http.StatusBadRequest, "invalid_request", foreignToken)

		// A confidential client's, who proves itself or does not mention itself.
		token = ask(t, w, "web", "carol")
		beside(with("web")...).Want(t, http.StatusOK, "")
		beside().Want(t, http.StatusOK, "")
		refused(t, beside("client_id", "web", "client_secret", "wrong"), http.StatusUnauthorized, "invalid_client", "")
		refused(t, beside(with("desk")...), http.StatusBadRequest, "invalid_request", foreignToken)
	})
}

// Section 4.5: challenges.
func TestChallenge(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := ask(t, w, "spa", "alice")
		ids := map[any]string{}
		for _, row := range w.Authenticators(t, token).Want(t, http.StatusOK, "").List {
			ids[row["type"]], _ = row["id"].(string)
		}
		good := [][]string{{}, {"challenge_type", "otp"}, {"challenge_type", "totp"}, {"challenge_type", "oob otp"}, {"challenge_type", "otp oob"},
			{"challenge_type", "phone otp"}, {"authenticator_id", ids["otp"]}, {"authenticator_id", ids["otp"], "challenge_type", "otp"},
			{"challenge_type", "", "authenticator_id", ""}}
		for _, pairs := range good {
			r := w.Challenge(t, token, pairs...).Want(t, http.StatusOK, "")
			uncached(t, r)
			if !r.Has("challenge_type") || r.Text("challenge_type") != "otp" {
				t.Errorf("%v: %s", pairs, r.Body)
			}
		}
		for _, kind := range []string{"oob", "phone", "sms", "voice", "email", "push", "push-notification", "recovery-code", "nonsense"} {
			refused(t, w.Challenge(t, token, "challenge_type", kind), http.StatusUnauthorized, "unsupported_challenge_type", "")
		}
		refused(t, w.Challenge(t, token, "authenticator_id", ids["otp"], "challenge_type", "oob"), http.StatusUnauthorized, "unsupported_challenge_type", "")
		refused(t, w.Challenge(t, token, "authenticator_id", ids["recovery-code"]), http.StatusUnauthorized, "unsupported_challenge_type", "")

		// Unknown, pending and somebody else's are the same.
		other := ask(t, w, "kiosk", "carol")
		pending := w.Associate(t, other, anOTP).Want(t, http.StatusOK, "").Text("id")
		for _, id := range []string{"totp|dev_0000000000000000", "nonsense", pending, ids["otp"] + "0"} {
			refused(t, w.Challenge(t, token, "authenticator_id", id), http.StatusNotFound, "invalid_authenticator", "Authenticator not found")
		}
		// Clients prove themselves here as they do for tokens.
		refused(t, w.Form(t, "/mfa/challenge", "mfa_token", token), http.StatusUnauthorized, "invalid_client", "")
		refused(t, w.Form(t, "/mfa/challenge", "mfa_token", ask(t, w, "web", "alice"), "client_id", "web"), http.StatusUnauthorized, "invalid_client", "")
		w.Form(t, "/mfa/challenge", with("web", "mfa_token", ask(t, w, "web", "alice"))...).Want(t, http.StatusOK, "")
		// An access token is no mfa_token, not even the one for /mfa/.
		refused(t, w.Challenge(t, manage(t, w, "alice", alice, "")), http.StatusForbidden, "invalid_grant", malformedToken)
		refused(t, w.FormWith(t, "/mfa/challenge", gatewaytest.Bearer(token), "client_id", "spa"), http.StatusBadRequest, "invalid_request",
			"Missing required parameter: mfa_token")
	})
}
