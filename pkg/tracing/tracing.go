// Package tracing sends spans of requests, and of what they wait for, to an OpenTelemetry
// collector. A span holds names and words that the gateway chose: no parameter, no
// header, no statement, no key and no text of an error.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// flushTimeout bounds how long a gateway that ends waits for its collector.
const flushTimeout = 2 * time.Second

// Tracer makes spans. They are sent in the background; a collector that does not take
// them costs spans, and a line in the log, but no request.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// New makes a tracer, or nil when nothing is to be traced. It takes the one error handler
// that the library has for the process.
func New(ctx context.Context, c Config, log *slog.Logger) (*Tracer, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(c.Endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.WarnContext(context.Background(), "spans were not delivered", slog.Any("cause", err))
	}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "sallyport"))))
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/sallyport/sallyport")}, nil
}

// Close sends what was not sent yet.
func (t *Tracer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// A Word is an attribute of a span.
type Word struct{ Key, Value string }

// Begin begins the span of a request. A traceparent makes it part of another trace; it
// is all that is taken of one, for tracestate and baggage hold any text. What Begin
// returns ends the span.
func (t *Tracer) Begin(ctx context.Context, name, traceparent string) (context.Context, func(status int, words ...Word)) {
	if traceparent != "" {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	return trace.ContextWithSpan(ctx, closed{s}), func(status int, words ...Word) {
		s.SetAttributes(attribute.Int("http.response.status_code", status))
		for _, w := range words {
			if w.Value != "" {
				s.SetAttributes(attribute.String(w.Key, w.Value))
			}
		}
		if status >= http.StatusInternalServerError {
			s.SetStatus(codes.Error, "")
		}
		s.End()
	}
}

// Watch makes spans of operations of a part of the gateway, "sql" for example, within
// requests alone: the gateway also works for itself, once a second.
func (t *Tracer) Watch(part string) func(context.Context, string) (context.Context, func(error)) {
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		if !trace.SpanContextFromContext(ctx).IsSampled() {
			return ctx, func(error) {}
		}
		ctx, s := t.tracer.Start(ctx, part+" "+operation, trace.WithSpanKind(trace.SpanKindClient))
		return trace.ContextWithSpan(ctx, closed{s}), func(err error) {
			if err != nil {
				s.SetStatus(codes.Error, "")
			}
			s.End()
		}
	}
}

// A closed span lets no library beneath make spans of its own: those of fosite would hold
// the texts of errors.
type closed struct{ trace.Span }

// TracerProvider implements trace.Span.
func (closed) TracerProvider() trace.TracerProvider { return noop.NewTracerProvider() }

// Log adds the id of the trace to each line that belongs to one.
func Log(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if c := trace.SpanContextFromContext(ctx); c.IsValid() {
		r.AddAttrs(slog.String("trace_id", c.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
