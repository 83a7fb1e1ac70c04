package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// collect starts a collector of spans, which keeps what it gets as it came: in OTLP's
// encoding words stand as they are.
func collect(t *testing.T) (spans *gatewaytest.Buffer, setting string) {
	t.Helper()
	spans = &gatewaytest.Buffer{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(spans, r.Body); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("the collector got %s, %v", r.URL, err)
		}
	}))
	t.Cleanup(s.Close)
	return spans, fmt.Sprintf("tracing: {endpoint: %q}", s.URL)
}

// I11, R19, N-PW-6, N-LU-3, N-OT-3: neither the stores nor the logs, metrics and traces
// hold anything that could be used to log in. The gateways of tests log at debug level.
func TestR19NothingSecretIsStoredOrShown(t *testing.T) {
	spans, tracing := collect(t)
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		first := w.Login(t, "alice", gatewaytest.Password, "scope", "openid offline_access").Want(t, http.StatusForbidden, "mfa_required")
		wrong := "000000"
		w.OTP(t, first.Text("mfa_token"), wrong).Want(t, http.StatusForbidden, "invalid_grant")
		code := w.Code(t, alice.Seed, 0)
		done := w.OTP(t, first.Text("mfa_token"), code).Want(t, http.StatusOK, "")
		second := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")
		recovered := w.Recover(t, second.Text("mfa_token"), alice.Recovery).Want(t, http.StatusOK, "")
		refreshed := refresh(t, w, done.Text("refresh_token")).Want(t, http.StatusOK, "")
		waits := refresh(t, w, refreshed.Text("refresh_token"), "max_age", "0").Want(t, http.StatusForbidden, "mfa_required")
		// One more login stays open, so that the state store holds something.
		open := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")

		secrets := map[string]string{
			"password":          gatewaytest.Password,
			"client secret":     gatewaytest.Secret,
			"seed":              alice.Seed,
			"recovery code":     alice.Recovery,
			"new recovery code": recovered.Text("recovery_code"),
			"access token":      done.Text("access_token"),
			"ID token":          done.Text("id_token"),
			"used token":        done.Text("refresh_token"),
			"refresh token":     refreshed.Text("refresh_token"),
			"step-up token":     waits.Text("mfa_token"),
			"finished token":    first.Text("mfa_token"),
			"open token":        open.Text("mfa_token"),
		}
		_, metrics := scrape(t, w)
		dump := w.Dump(t)
		w.Restart(t) // who stops sends the spans that it still has
		places := map[string]string{"the stores": dump, "the log": w.Log.String(), "the metrics": metrics, "the spans": spans.String()}
		for place, word := range map[string]string{"the stores": "auth0|alice", "the log": "/oauth/token", "the metrics": "/oauth/token", "the spans": "POST /oauth/token"} {
			if !strings.Contains(places[place], word) {
				t.Fatalf("%s do not hold %q, so this test would see nothing", place, word)
			}
		}
		for name, value := range secrets {
			if value == "" {
				t.Errorf("there is no %s to look for", name)
				continue
			}
			for place, text := range places {
				if strings.Contains(text, value) {
					t.Errorf("%s hold the %s", place, name)
				}
			}
		}
		// Six digits stand in every dump by chance, but not as a value of their own.
		for _, quoted := range []string{`"` + code + `"`, `'` + code + `'`, "otp=" + code} {
			for place, text := range places {
				if strings.Contains(text, quoted) {
					t.Errorf("a one-time password stands in %s as %s", place, quoted)
				}
			}
		}
	}, tracing)
}

// Who logs in, from where and with what, is in no span; what the gateway did is.
func TestSpans(t *testing.T) {
	spans, tracing := collect(t)
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		first := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")
		w.OTP(t, first.Text("mfa_token"), "000000").Want(t, http.StatusForbidden, "invalid_grant")
		w.OTP(t, first.Text("mfa_token"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		w.Token(t, "grant_type", "xyzzy", "client_id", "xyzzy").Want(t, http.StatusBadRequest, "unsupported_grant_type")
		w.Restart(t)
		text := spans.String()
		want := []string{"POST /oauth/token", "POST /mfa/associate", "sql transaction", "sql select", "hashing wait", "hashing hash",
			"http.response.status_code", "sallyport.kind", "wrong_otp", "mfa-otp"}
		if w.State() != nil {
			want = append(want, "redis evalsha")
		}
		for _, word := range want {
			if !strings.Contains(text, word) {
				t.Errorf("there is no %q in the spans", word)
			}
		}
		for _, word := range []string{"alice", "spa", "xyzzy", "127.0.0.1", "SELECT", "Fosite", "token request"} {
			if strings.Contains(strings.ReplaceAll(text, "span", ""), word) {
				t.Errorf("there is %q in the spans", word)
			}
		}
		if !strings.Contains(w.Log.String(), "trace_id=") {
			t.Error("the log does not name the traces")
		}
	}, tracing)
}
