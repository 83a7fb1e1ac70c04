package gateway

import (
	"context"

	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/metrics"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/server"
	"github.com/sallyport/sallyport/pkg/tracing"
)

// A watch is told that an operation begins, and returns what is told how it ended.
type watch = func(ctx context.Context, operation string) (context.Context, func(error))

// observer measures what the gateway does, and traces it if that is configured.
type observer struct {
	metrics *metrics.Metrics
	tracer  *tracing.Tracer // nil: nothing is traced
}

var _ server.Observer = observer{}

// Begin implements server.Observer.
func (o observer) Begin(ctx context.Context, r server.Request, traceparent string) (context.Context, func(server.Request)) {
	counted := o.metrics.Begin()
	traced := func(int, ...tracing.Word) {}
	if o.tracer != nil {
		ctx, traced = o.tracer.Begin(ctx, r.Method+" "+r.Route, traceparent)
	}
	return ctx, func(r server.Request) {
		counted(metrics.Request{Route: r.Route, Status: r.Status, Outcome: r.Kind.Error(), Took: r.Took,
			Grant: r.Grant, Step: r.Step, Factor: r.Factor, Channel: r.Channel})
		traced(r.Status, tracing.Word{Key: "http.request.method", Value: r.Method}, tracing.Word{Key: "http.route", Value: r.Route},
			tracing.Word{Key: "sallyport.request", Value: r.ID}, tracing.Word{Key: "sallyport.kind", Value: r.Kind.Error()},
			tracing.Word{Key: "sallyport.grant", Value: r.Grant})
	}
}

// watch makes the watch of a part of the gateway.
func (o observer) watch(part, help string) watch {
	count := o.metrics.Watch(part, help)
	if o.tracer == nil {
		return count
	}
	trace := o.tracer.Watch(part)
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		ctx, traced := trace(ctx, operation)
		ctx, counted := count(ctx, operation)
		return ctx, func(err error) {
			counted(err)
			traced(err)
		}
	}
}

// gate makes the gate of password hashing.
func (o observer) gate(c identity.Config) *identity.Gate {
	g := identity.NewGate(c.HashingConcurrency, c.Queue)
	g.Watch = o.watch("hashing", "How long password hashing took, and the wait for it.")
	o.metrics.Gauge("hashing_waiting", "Logins that wait for a password to be hashed.", g.Waiting)
	return g
}

// registry tells the server which clients there are, for its log.
type registry struct{ record.Registry }

// Client implements record.Registry.
func (r registry) Client(ctx context.Context, id string) (record.Client, error) {
	c, err := r.Registry.Client(ctx, id)
	if err == nil {
		server.Known(ctx, c.ID)
	}
	return c, err
}
