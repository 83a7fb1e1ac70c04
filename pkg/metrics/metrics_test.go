package metrics_test

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/metrics"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}

func TestMetrics(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	m := metrics.New(func() time.Time { return now })
	m.Gauge("hashing_waiting", "How many wait.", func() int { return 7 })
	m.Counter("audit_lost_total", "How many are lost.", func() uint64 { return 3 })
	watch := m.Watch("sql", "How long it took.")

	end := m.Begin()
	if text := scrape(t, m); !strings.Contains(text, "\nsallyport_http_requests_in_flight 1\n") {
		t.Errorf("no request is in flight:\n%s", text)
	}
	_, ended := watch(t.Context(), "select")
	now = now.Add(30 * time.Millisecond)
	ended(nil)
	_, ended = watch(t.Context(), "select")
	ended(errors.New("xyzzy"))
	end(metrics.Request{Route: "/oauth/token", Status: 403, Outcome: "wrong_otp", Took: 300 * time.Millisecond,
		Grant: "mfa-otp", Step: "verify", Factor: "otp"})
	m.Begin()(metrics.Request{Route: "/userinfo", Status: 200})
	m.Message("sms", "sms.fallback[0]", "accepted")
	m.Begin()(metrics.Request{Route: "/oauth/token", Status: 403, Outcome: "pending", Took: 20 * time.Second, Waits: true,
		Grant: "mfa-oob", Step: "verify", Factor: "oob"})

	text := scrape(t, m)
	for _, line := range []string{
		`sallyport_http_requests_in_flight 0`,
		`sallyport_hashing_waiting 7`,
		`sallyport_audit_lost_total 3`,
		`sallyport_http_request_duration_seconds_bucket{route="/oauth/token",status="403",le="0.25"} 0`,
		`sallyport_http_request_duration_seconds_bucket{route="/oauth/token",status="403",le="0.5"} 1`,
		`sallyport_http_request_duration_seconds_sum{route="/oauth/token",status="403"} 0.3`,
		`sallyport_http_request_duration_seconds_count{route="/oauth/token",status="403"} 1`,
		`sallyport_http_wait_duration_seconds_sum{status="403"} 20`,
		`sallyport_http_wait_duration_seconds_count{status="403"} 1`,
		`sallyport_token_requests_total{grant="mfa-oob",outcome="pending"} 1`,
		`sallyport_token_requests_total{grant="mfa-otp",outcome="wrong_otp"} 1`,
		`sallyport_mfa_requests_total{channel="none",factor="otp",outcome="wrong_otp",step="verify"} 1`,
		`sallyport_messages_total{channel="sms",outcome="accepted",provider="sms.fallback[0]"} 1`,
		`sallyport_sql_duration_seconds_sum{operation="select",outcome="ok"} 0.03`,
		`sallyport_sql_duration_seconds_count{operation="select",outcome="failed"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	if strings.Contains(text, "xyzzy") || strings.Contains(text, `grant=""`) {
		t.Error("an error's text, or an empty label, is in the metrics")
	}
}
