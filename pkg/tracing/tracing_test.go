package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sallyport/sallyport/pkg/tracing"
)

// collected is what a collector got.
type collected struct {
	mu   sync.Mutex
	body bytes.Buffer
}

func (c *collected) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.Copy(&c.body, r.Body)
}

// newTracer makes a tracer that sends to a collector.
func newTracer(t *testing.T) (*tracing.Tracer, *collected) {
	t.Helper()
	c := &collected{}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	tr, err := tracing.New(t.Context(), tracing.Config{Endpoint: s.URL + "/"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return tr, c
}

func TestSpans(t *testing.T) {
	tr, got := newTracer(t)
	ctx, end := tr.Begin(t.Context(), "POST /oauth/token", "")
	inside, ended := tr.Watch("sql")(ctx, "select")
	if trace.SpanContextFromContext(inside).TraceID() != trace.SpanContextFromContext(ctx).TraceID() {
		t.Error("the operation is in another trace")
	}
	ended(errors.New("xyzzy"))
	// What a library begins with what it finds in the context goes nowhere.
	_, foreign := trace.SpanFromContext(ctx).TracerProvider().Tracer("library").Start(ctx, "xyzzy")
	foreign.End()
	end(http.StatusInternalServerError, tracing.Word{Key: "sallyport.grant", Value: "password"}, tracing.Word{Key: "sallyport.kind"})
	_, ended = tr.Watch("redis")(t.Context(), "get") // of no request
	ended(nil)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	text := got.body.String()
	for _, word := range []string{"sallyport", "POST /oauth/token", "sql select", "sallyport.grant", "password"} {
		if !strings.Contains(text, word) {
			t.Errorf("there is no %q", word)
		}
	}
	for _, word := range []string{"xyzzy", "redis get", "sallyport.kind"} {
		if strings.Contains(text, word) {
			t.Errorf("there is %q", word)
		}
	}
}

// A traceparent is honored as far as it is one; nothing else comes in with it.
func TestTraceparent(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for traceparent, want := range map[string]struct{ joined, sampled bool }{
		"00-" + id + "-b7ad6b7169203331-01": {true, true},
		"00-" + id + "-b7ad6b7169203331-00": {true, false},
		"00-" + id + "-0000000000000000-01": {false, true},
		"xyzzy":                             {false, true},
		"":                                  {false, true},
	} {
		tr, _ := newTracer(t)
		ctx, end := tr.Begin(t.Context(), "x", traceparent)
		c := trace.SpanContextFromContext(ctx)
		if joined := c.TraceID().String() == id; joined != want.joined || c.IsSampled() != want.sampled || c.TraceState().Len() != 0 {
			t.Errorf("%s: trace %s, sampled %v", traceparent, c.TraceID(), c.IsSampled())
		}
		end(http.StatusOK)
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLogNamesTheTrace(t *testing.T) {
	tr, _ := newTracer(t)
	defer func() { _ = tr.Close() }()
	var out bytes.Buffer
	log := slog.New(tracing.Log(slog.NewTextHandler(&out, nil))).With("a", 1)
	ctx, _ := tr.Begin(t.Context(), "x", "")
	log.InfoContext(ctx, "inside")
	log.InfoContext(t.Context(), "outside")
	lines := strings.Split(out.String(), "\n")
	if id := trace.SpanContextFromContext(ctx).TraceID().String(); !strings.HasSuffix(lines[0], "a=1 trace_id="+id) || strings.Contains(lines[1], "trace_id") {
		t.Errorf("logged %q", lines)
	}
}

// Without an endpoint nothing is traced; a collector that does not answer delays neither
// a request nor, beyond a moment, the end.
func TestNoCollector(t *testing.T) {
	if tr, err := tracing.New(t.Context(), tracing.Config{}, slog.New(slog.DiscardHandler)); tr != nil || err != nil {
		t.Errorf("%v, %v", tr, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // it never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	tr, err := tracing.New(t.Context(), tracing.Config{Endpoint: "http://" + l.Addr().String()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, end := tr.Begin(context.Background(), "x", "")
	end(http.StatusOK)
	if err := tr.Close(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestConfig(t *testing.T) {
	for endpoint, want := range map[string]string{
		"": "", "http://127.0.0.1:4318": "", "https://collector.example.com/base/": "",
		"collector:4318": "must be an http or https URL", "grpc://collector:4317": "must be an http or https URL", "http://": "must be an http or https URL",
		"http://a:b@collector:4318": "neither a user", "http://collector/?a=b": "neither a user", "http://collector/#a": "neither a user",
	} {
		err := tracing.Config{Endpoint: endpoint}.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "endpoint: "+want) && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
