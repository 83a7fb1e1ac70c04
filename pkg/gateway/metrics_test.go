package gateway_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// scrape reads /metrics of every gateway and adds up what they say, by series.
func scrape(t *testing.T, w *gatewaytest.World) (map[string]float64, string) {
	t.Helper()
	series, all := map[string]float64{}, ""
	for _, base := range w.Manage() {
		res, err := http.Get(base + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("/metrics: %d, %v", res.StatusCode, err)
		}
		all += string(text)
		for line := range strings.Lines(string(text)) {
			cut := strings.LastIndex(line, " ")
			value, err := strconv.ParseFloat(strings.TrimSpace(line[cut+1:]), 64)
			if !strings.HasPrefix(line, "#") && err == nil {
				series[line[:cut]] += value
			}
		}
	}
	return series, all
}

// What an operator reads after a login, an enrollment and some failures.
func TestMetrics(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		w.Login(t, "alice", "wrong").Want(t, http.StatusForbidden, "invalid_grant")
		first := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")
		w.Challenge(t, first.Text("mfa_token"), "challenge_type", "otp").Want(t, http.StatusOK, "")
		w.OTP(t, first.Text("mfa_token"), "000000").Want(t, http.StatusForbidden, "invalid_grant")
		w.OTP(t, first.Text("mfa_token"), w.Code(t, alice.Seed, 0), "scope", "openid").Want(t, http.StatusOK, "")
		second := w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusForbidden, "mfa_required")
		w.Recover(t, second.Text("mfa_token"), alice.Recovery).Want(t, http.StatusOK, "")
		w.Associate(t, "x", map[string]any{"authenticator_types": []string{"oob"}, "oob_channels": []string{"sms"}}).Want(t, http.StatusUnauthorized, "invalid_grant")
		w.Token(t, "grant_type", "implicit").Want(t, http.StatusBadRequest, "unsupported_grant_type")

		got, _ := scrape(t, w)
		for series, want := range map[string]float64{
			`sallyport_token_requests_total{grant="password",outcome="mfa_required"}`:                          3,
			`sallyport_token_requests_total{grant="password",outcome="wrong_password"}`:                        1,
			`sallyport_token_requests_total{grant="mfa-otp",outcome="ok"}`:                                     2,
			`sallyport_token_requests_total{grant="mfa-otp",outcome="wrong_otp"}`:                              1,
			`sallyport_token_requests_total{grant="mfa-recovery-code",outcome="ok"}`:                           1,
			`sallyport_token_requests_total{grant="other",outcome="unknown_grant"}`:                            1,
			`sallyport_mfa_requests_total{channel="none",factor="otp",outcome="ok",step="associate"}`:          1,
			`sallyport_mfa_requests_total{channel="sms",factor="other",outcome="bad_bearer",step="associate"}`: 1,
			`sallyport_mfa_requests_total{channel="none",factor="otp",outcome="ok",step="challenge"}`:          1,
			`sallyport_mfa_requests_total{channel="none",factor="otp",outcome="ok",step="verify"}`:             2,
			`sallyport_mfa_requests_total{channel="none",factor="otp",outcome="wrong_otp",step="verify"}`:      1,
			`sallyport_mfa_requests_total{channel="none",factor="recovery-code",outcome="ok",step="verify"}`:   1,
			`sallyport_http_request_duration_seconds_count{route="/oauth/token",status="403"}`:                 5,
			`sallyport_http_request_duration_seconds_count{route="/oauth/token",status="200"}`:                 3,
			`sallyport_http_request_duration_seconds_bucket{route="/mfa/challenge",status="200",le="+Inf"}`:    1,
			`sallyport_http_requests_in_flight`:                                                                0,
			`sallyport_hashing_waiting`:                                                                        0,
			`sallyport_audit_lost_total`:                                                                       0,
		} {
			if value, ok := got[series]; !ok || value != want {
				t.Errorf("%s is %v, want %v", series, value, want)
			}
		}
		some := []string{`sallyport_hashing_duration_seconds_count{operation="wait",outcome="ok"}`, `sallyport_hashing_duration_seconds_count{operation="hash",outcome="ok"}`,
			`sallyport_sql_duration_seconds_count{operation="transaction",outcome="ok"}`, `sallyport_sql_duration_seconds_count{operation="select",outcome="ok"}`,
			`sallyport_sql_duration_seconds_count{operation="insert",outcome="ok"}`, `go_sql_open_connections{db_name="writer"}`, "go_goroutines",
			"process_open_fds", "process_start_time_seconds"}
		if w.State() != nil {
			some = append(some, `sallyport_redis_duration_seconds_count{operation="evalsha",outcome="ok"}`)
		}
		for _, series := range some {
			if got[series] <= 0 {
				t.Errorf("%s is %v", series, got[series])
			}
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(s string) bool { return strings.HasPrefix(s, "go_build_info{") }) {
			t.Error("nothing tells which build this is")
		}
		for series := range got {
			if strings.Contains(series, `outcome="failed"`) {
				t.Errorf("%s, and nothing has failed", series)
			}
		}
	})
}

// Nobody outside makes series: whatever stands in a request, there are no more than
// before, and none that names it.
func TestNobodyMakesSeries(t *testing.T) {
	const mark = "xyzzy"
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		round := func(n int) {
			for i := range 2 { // for each of two gateways
				word := fmt.Sprintf("%s-%d-%d", mark, n, i)
				for _, grant := range []string{word, "http://auth0.com/oauth/grant-type/" + word, "mfa-" + word, "password " + word} {
					w.Token(t, "grant_type", grant, "client_id", word, "client_secret", word, "username", word, "password", word)
				}
				w.Token(t, "grant_type", "password", "client_id", word)
				w.Token(t, "grant_type", "password", "client_id", "spa", "username", word, "password", word, "realm", word)
				w.Token(t, "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", word, "otp", word)
				w.Challenge(t, word, "challenge_type", word, "authenticator_id", word)
				w.Associate(t, word, map[string]any{"authenticator_types": []string{word}, "oob_channels": []string{word}})
				for _, method := range []string{http.MethodGet, http.MethodPut, strings.ToUpper(mark)} {
					for _, path := range []string{"/" + word, "/oauth/token?" + word, "/mfa/authenticators/" + word} {
						w.Do(t, gatewaytest.Request{Method: method, Path: path, Header: map[string]string{
							"Authorization": "Bearer " + word, "Traceparent": word, "X-Request-Id": word, "X-Forwarded-For": word}})
					}
				}
			}
		}
		round(0)
		before, _ := scrape(t, w)
		for n := range 5 {
			round(n + 1)
		}
		after, text := scrape(t, w)
		for series := range after {
			if _, ok := before[series]; !ok && strings.HasPrefix(series, "sallyport_") {
				t.Errorf("more of the same made the series %s", series)
			}
		}
		if strings.Contains(strings.ToLower(text+w.Log.String()), mark) {
			t.Error("the metrics or the log name what somebody sent")
		}
		if n := after[`sallyport_token_requests_total{grant="other",outcome="unknown_grant"}`]; n != 6*2*4 {
			t.Errorf("%v unknown grants were counted", n)
		}
	})
}
