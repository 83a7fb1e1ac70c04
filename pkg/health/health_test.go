package health_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/pkg/health"
)

// The probes of a gateway in every phase, and with dependencies in every state. What
// they say of a failure holds none of its text.
func TestProbes(t *testing.T) {
	up := health.Dependency{"sql", func(context.Context) error { return nil }}
	down := health.Dependency{"redis", func(context.Context) error { return errors.New("connection refused") }}
	hangs := health.Dependency{"redis", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	frozen := health.Dependency{"sql", func(context.Context) error { // does not even look at its context
		time.Sleep(time.Hour)
		return nil
	}}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("metrics")) })
	started := func(all ...health.Dependency) func(*health.Probes) {
		return func(p *health.Probes) { p.Started(all...) }
	}
	begun := func(*health.Probes) {}
	stopped := func(p *health.Probes) {
		p.Started(up)
		p.Stop()
	}
	for _, c := range []struct {
		method, path string
		phase        func(*health.Probes)
		want         int
		body         string
	}{
		{"GET", "/livez", begun, 200, `{"status":"alive"}`},
		{"HEAD", "/livez", begun, 200, `{"status":"alive"}`},
		{"GET", "/livez", started(down), 200, `{"status":"alive"}`},
		{"GET", "/livez", stopped, 200, `{"status":"alive"}`},
		{"POST", "/livez", begun, 405, "Method Not Allowed"},
		{"GET", "/startupz", begun, 503, `{"status":"starting"}`},
		{"GET", "/startupz", started(down), 200, `{"status":"started"}`},
		{"GET", "/startupz", stopped, 200, `{"status":"started"}`},
		{"GET", "/readyz", begun, 503, `{"status":"starting"}`},
		{"GET", "/readyz", started(), 200, `{"status":"ready"}`},
		{"GET", "/readyz", started(up), 200, `{"status":"ready","checks":{"sql":"ok"}}`},
		{"GET", "/readyz", started(up, down), 503, `{"status":"not ready","checks":{"redis":"fails","sql":"ok"}}`},
		{"GET", "/readyz", started(up, hangs), 503, `{"status":"not ready","checks":{"redis":"does not answer","sql":"ok"}}`},
		{"GET", "/readyz", started(frozen, down), 503, `{"status":"not ready","checks":{"redis":"fails","sql":"does not answer"}}`},
		{"GET", "/readyz", stopped, 503, `{"status":"stopping"}`},
		{"GET", "/metrics", begun, 200, "metrics"},
		{"GET", "/oauth/token", started(up), 404, "404 page not found"},
	} {
		t.Run(c.method+c.path+" "+c.body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &health.Probes{Log: slog.New(slog.DiscardHandler)}
				c.phase(p)
				began, rec := time.Now(), httptest.NewRecorder()
				p.Handler(metrics).ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil))
				if rec.Code != c.want || strings.TrimSpace(rec.Body.String()) != c.body {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it took %s", took)
				}
				time.Sleep(time.Hour) // of a bubble: what is frozen has to end in it
			})
		})
	}
}
