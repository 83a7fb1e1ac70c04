package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
)

// What operators see of requests: words of the gateway, and clients that exist.
func TestWhatIsSeen(t *testing.T) {
	w := newWorld(t, issuerURL)
	w.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's requests come from there
	w.Faces = []Face{{Endpoints: []Endpoint{{http.MethodPost, "phones/{id}", func(w http.ResponseWriter, _ *http.Request, _ string) error {
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write([]byte("{}"))
		return err
	}}}}}
	access := w.token(t, login("scope", "openid"), http.StatusOK, "access_token")
	manage := w.token(t, login("audience", issuerURL+"mfa/"), http.StatusOK, "access_token")
	w.enroll()
	token := w.token(t, login(), http.StatusForbidden, "mfa_token")
	forwarded := login()
	forwarded.Header.Set("X-Forwarded-For", "203.0.113.7")
	const verify, associate, challenge = "/oauth/token", "/mfa/associate", "/mfa/challenge"
	for _, c := range []struct {
		request *http.Request
		want    Request
	}{
		{forwarded, Request{Route: "/oauth/token", Status: 403, Kind: fault.MFARequired, Grant: "password", Client: "spa", Address: "203.0.113.7"}},
		{send(verify, "grant_type", "http://auth0.com/oauth/grant-type/mfa-otp", "client_id", "spa", "mfa_token", token, "otp", "1"),
			Request{Route: verify, Status: 403, Kind: fault.WrongOTP, Grant: "mfa-otp", Step: "verify", Factor: "otp", Client: "spa"}},
		{send(verify, "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", token, "otp", hushCode),
			Request{Route: verify, Status: 200, Grant: "mfa-otp", Step: "verify", Factor: "otp", Client: "spa"}},
		{send(verify, "grant_type", "http://auth0.com/oauth/grant-type/password", "client_id", "nobody"),
			Request{Route: verify, Status: 400, Kind: fault.UnknownGrant, Grant: other}},
		{send(verify, "client_id", "nobody"), Request{Route: verify, Status: 400, Kind: fault.MissingParameter}},
		{send(verify, "grant_type", "password", "client_id", "nobody"), Request{Route: verify, Status: 401, Kind: fault.BadClient, Grant: "password"}},
		{send(verify, "grant_type", "password", "client_id", "web", "client_secret", "wrong"),
			Request{Route: verify, Status: 401, Kind: fault.BadClient, Grant: "password", Client: "web"}},
		{send(challenge, "client_id", "spa", "mfa_token", "x", "challenge_type", "otp oob"),
			Request{Route: challenge, Status: 403, Kind: fault.MalformedMFAToken, Step: "challenge", Factor: "otp", Client: "spa"}},
		{send(challenge, "client_id", "spa", "mfa_token", "x", "challenge_type", hushCode),
			Request{Route: challenge, Status: 403, Kind: fault.MalformedMFAToken, Step: "challenge", Factor: other, Client: "spa"}},
		{send(associate, "authenticator_types", "oob", "oob_channels", "sms", "Authorization", "Bearer "+token),
			Request{Route: associate, Status: 401, Kind: fault.BadBearer, Step: "associate", Factor: other, Channel: "sms"}},
		{send(associate, "authenticator_types", "otp", "oob_channels", "pigeon", "Authorization", "Bearer x"),
			Request{Route: associate, Status: 401, Kind: fault.BadBearer, Step: "associate", Factor: "otp", Channel: other}},
		{get("/mfa/authenticators", manage), Request{Method: "GET", Route: "/mfa/authenticators", Status: 200, Client: "spa"}},
		{get("/userinfo", access), Request{Method: "GET", Route: "/userinfo", Status: 200, Client: "spa"}},
		{send("/phones/" + hushCode), Request{Route: "/phones/{id}", Status: 200}},
		{send("/oauth/token/" + hushCode), Request{Route: "none", Status: 404, Kind: fault.NotFound}},
		{httptest.NewRequest("BREW", "/oauth/token", nil), Request{Method: other, Route: "none", Status: 405, Kind: fault.BadMethod}},
	} {
		rec, _ := w.do(t, c.request)
		got := w.ended[len(w.ended)-1]
		if len(got.ID) != 32 || rec.Header().Get("X-Request-Id") != got.ID {
			t.Errorf("%v: id %q, answered %q", c.want, got.ID, rec.Header().Get("X-Request-Id"))
		}
		if c.want.Method == "" {
			c.want.Method = "POST"
		}
		if c.want.Address == "" {
			c.want.Address = "192.0.2.1"
		}
		c.want.ID = got.ID
		if got != c.want {
			t.Errorf("got  %+v\nwant %+v", got, c.want)
		}
		line := w.lines(t)[len(w.lines(t))-1]
		for key, want := range map[string]any{"id": got.ID, "method": got.Method, "route": got.Route, "status": float64(got.Status),
			"kind": string(got.Kind), "grant": got.Grant, "client": got.Client, "address": got.Address} {
			if line[key] != want {
				t.Errorf("the log has %s %v, want %v", key, line[key], want)
			}
		}
	}
	if w.ended[0].ID == w.ended[1].ID {
		t.Error("two requests have one id")
	}
}

// Who is no trusted proxy joins no trace.
func TestTraceparent(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, proxies := range map[string][]netip.Prefix{"": nil, parent: {netip.MustParsePrefix("192.0.2.1/32")}} {
		w := newWorld(t, issuerURL)
		w.Proxies = proxies
		r := login()
		r.Header.Set("Traceparent", parent)
		w.do(t, r)
		if got := w.traceparents[0]; got != name {
			t.Errorf("the observer was told %q, want %q", got, name)
		}
	}
}
