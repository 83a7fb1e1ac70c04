package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// Sections 1.3 and 3.6: how a client proves itself where a second factor is asked for and
// shown, and what it is told if it does not.
func TestCatalogueClientAtTheSecondFactor(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		const wrong = "a-wrong-secret-0123456789abcdef0123456789ab"
		web, service := with("web"), with("service")
		id := func(client string) []string { return []string{"client_id", client} }
		for _, c := range []struct {
			row, owner string // whose mfa_token it is
			header     map[string]string
			client     []string
			challenge  string // the answer of /mfa/challenge: an error, or "" for 200
			grant      string // the same of the MFA grants, whose code is wrong
		}{
			{"1.3 none", "spa", nil, id("spa"), "", "invalid_grant"},
			{"1.3 client_secret_post", "web", nil, web, "", "invalid_grant"},
			{"1.3 client_secret_basic", "web", basic("web", gatewaytest.Secret), nil, "", "invalid_grant"},
			{"1.3 client_secret_basic, the id in the body too", "web", basic("web", gatewaytest.Secret), id("web"), "", "invalid_grant"},
			{"1.3 private_key_jwt", "robot", nil, nil, "", "invalid_grant"},
			{"1.3.2 a Bearer header proves nothing", "web", gatewaytest.Bearer("anything"), web, "", "invalid_grant"},
			{"1.3.2 confidential, none", "web", nil, id("web"), "invalid_client", "invalid_client"},
			{"1.3.2 registered for private_key_jwt, none", "robot", nil, id("robot"), "", "invalid_client"},
			{"1.3.2 registered for private_key_jwt, another's token", "web", nil, id("robot"), "invalid_request", "invalid_client"},
			{"1.3.2 what is present is validated", "spa", nil, append(id("spa"), "client_secret", wrong), "invalid_client", "invalid_client"},
			{"3.6 wrong secret", "web", nil, append(id("web"), "client_secret", wrong), "invalid_client", "invalid_client"},
			{"3.6 another's secret", "web", nil, append(id("web"), "client_secret", service[3]), "invalid_client", "invalid_client"},
			{"3.6 wrong secret, Basic", "web", basic("web", wrong), nil, "invalid_client", "invalid_client"},
			{"3.6 unknown", "web", nil, id("nobody"), "invalid_client", "invalid_client"},
			{"3.6 no client_id", "spa", nil, nil, "invalid_client", "invalid_client"},
			{"3.6 a secret without client_id", "web", nil, web[2:], "invalid_client", "invalid_client"},
			{"1.3.3 not the token's client", "spa", nil, web, "invalid_request", "invalid_request"},
		} {
			w.Clock.Wind(time.Hour) // wrong codes are looked at again
			var token string
			if c.owner == "robot" {
				token = refused(t, w.Token(t, append(w.Robot(t), "grant_type", "password", "username", "alice", "password", gatewaytest.Password)...),
					http.StatusForbidden, "mfa_required", "").Text("mfa_token")
			} else {
				token = ask(t, w, c.owner, "alice")
			}
			send := func(path string, pairs ...string) gatewaytest.Reply {
				client := c.client
				if c.owner == "robot" && client == nil {
					client = w.Robot(t)
				}
				return w.FormWith(t, path, c.header, append(append(pairs, client...), "mfa_token", token)...)
			}
			t.Run(c.row, func(t *testing.T) {
				answered(t, send("/mfa/challenge"), c.challenge, "")
				answered(t, send("/oauth/token", "grant_type", gatewaytest.GrantOTP, "otp", w.Code(t, alice.Seed, 9)), c.grant, invalidOTP)
				w.Clock.Wind(5 * time.Minute)
				answered(t, send("/oauth/token", "grant_type", gatewaytest.GrantRecovery, "recovery_code", "A"), c.grant, rejected)
			})
		}
	})
}

// answered wants 200, or the one answer that these tests know for an error.
func answered(t *testing.T, r gatewaytest.Reply, code, wrongCode string) {
	t.Helper()
	switch code {
	case "":
		r.Want(t, http.StatusOK, "")
	case "invalid_client":
		refused(t, r, http.StatusUnauthorized, code, "Client authentication failed.")
	case "invalid_request":
		refused(t, r, http.StatusBadRequest, code, foreignToken)
	default:
		refused(t, r, http.StatusForbidden, code, wrongCode)
	}
}

// Section 3.4: the checks of the MFA grants, one by one. A request begins with everything
// wrong; whatever speaks is mended, and then the next one speaks.
func TestCatalogueLadder(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		for _, proof := range []struct{ grant, param, wrong, right, description string }{
			{gatewaytest.GrantOTP, "otp", "", "", invalidOTP},
			{gatewaytest.GrantRecovery, "recovery_code", "AAAAAAAAAAAAAAAAAAAAAAAA", alice.Recovery, rejected},
		} {
			old := ask(t, w, "spa", "alice")
			w.Clock.Wind(10 * time.Minute)
			foreign, own := ask(t, w, "spa", "alice"), ask(t, w, "web", "alice")
			if proof.param == "otp" {
				proof.wrong, proof.right = w.Code(t, alice.Seed, 9), w.Code(t, alice.Seed, 0)
			}
			grant := []string{"grant_type", proof.grant}
			code := append(grant, proof.param, proof.wrong)
			for _, step := range []struct {
				row               string
				pairs             []string
				status            int
				code, description string
			}{
				{"1 client authentication", append([]string{"client_id", "service", "client_secret", "wrong"}, grant...),
					401, "invalid_client", "Client authentication failed."},
				{"2 the client's grants", append(with("service"), grant...),
					403, "unauthorized_client", "Grant type '" + proof.grant + "' not allowed for the client."},
				{"3 mfa_token is missing", append(with("web"), code...), 400, "invalid_request", "Missing required parameter: mfa_token"},
				{"3 the code is missing", append(with("web", "mfa_token", "garbage"), grant...),
					400, "invalid_request", "Missing required parameter: " + proof.param},
				{"4 mfa_token is readable", append(with("web", "mfa_token", "garbage"), code...), 403, "invalid_grant", malformedToken},
				{"5 mfa_token within its lifetime", append(with("web", "mfa_token", old), code...), 401, "expired_token", expiredToken},
				{"6 issued to this client", append(with("web", "mfa_token", foreign), code...), 400, "invalid_request", foreignToken},
				{"9 the code is right", append(with("web", "mfa_token", own), code...), 403, "invalid_grant", proof.description},
			} {
				t.Run(proof.param+" "+step.row, func(t *testing.T) {
					refused(t, w.Token(t, step.pairs...), step.status, step.code, step.description)
				})
			}
			// 1.1.12: published samples send the mfa_token as a Bearer token along.
			last := append(with("web", "mfa_token", own), append(grant, proof.param, proof.right)...)
			w.FormWith(t, "/oauth/token", gatewaytest.Bearer(own), last...).Want(t, http.StatusOK, "")
			refused(t, w.Token(t, last...), http.StatusForbidden, "invalid_grant", malformedToken)
		}
	})
}

// Section 1.3.1: at /mfa/associate the token is enough, mfa_token and access token alike;
// a client that comes along must be the token's, and prove what it says. The form is that
// of the libraries for Go and Java, the one with an assertion is another test's.
func TestCatalogueClientBesideTheBearer(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		access := w.Token(t, with("web", "grant_type", gatewaytest.GrantOTP, "otp", w.Code(t, alice.Seed, 0),
			"mfa_token", ask(t, w, "web", "alice", "audience", w.URL+"mfa/", "scope", "enroll"))...).Want(t, http.StatusOK, "").Text("access_token")
		secret := with("web")[3]
		for _, token := range []string{access, ask(t, w, "web", "carol")} {
			for _, c := range []struct {
				row               string
				members           map[string]any
				status            int
				code, description string
			}{
				{"alone", nil, 200, "", ""},
				{"null", map[string]any{"client_id": nil, "client_secret": nil}, 200, "", ""},
				{"right", map[string]any{"client_id": "web", "client_secret": secret}, 200, "", ""},
				{"id alone", map[string]any{"client_id": "web"}, 200, "", ""},
				{"wrong secret", map[string]any{"client_id": "web", "client_secret": strings.ToUpper(secret)}, 401, "invalid_client", "Client authentication failed."},
				{"unknown", map[string]any{"client_id": "nobody"}, 401, "invalid_client", "Client authentication failed."},
				{"secret alone", map[string]any{"client_secret": secret}, 401, "invalid_client", "Client authentication failed."},
				{"another's", map[string]any{"client_id": "service", "client_secret": with("service")[3]}, 400, "invalid_request", foreignToken},
				{"another's id alone", map[string]any{"client_id": "spa"}, 400, "invalid_request", foreignToken},
			} {
				t.Run(c.row, func(t *testing.T) {
					members := map[string]any{"authenticator_types": "otp"} // a bare string is a list of one (4.4)
					for name, value := range c.members {
						members[name] = value
					}
					if r := w.Associate(t, token, members); c.code != "" {
						refused(t, r, c.status, c.code, c.description)
					} else {
						r.Want(t, c.status, "")
					}
				})
			}
		}
	})
}
