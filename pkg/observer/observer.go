// Package observer joins what the parts of a gateway tell of themselves to what counts and
// what traces.
package observer

import (
	"context"

	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/metrics"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/server"
	"github.com/sallyport/sallyport/pkg/tracing"
)

// A Watch is told that an operation begins, and returns what is told how it ended.
type Watch = func(ctx context.Context, operation string) (context.Context, func(error))

// Observer measures what a gateway does, and traces it if that is configured.
type Observer struct {
	Metrics *metrics.Metrics
	Tracer  *tracing.Tracer // nil: nothing is traced
}

var _ server.Observer = Observer{}

// Begin implements server.Observer.
func (o Observer) Begin(ctx context.Context, r server.Request, traceparent string) (context.Context, func(server.Request)) {
	counted := o.Metrics.Begin()
	traced := func(int, ...tracing.Word) {}
	if o.Tracer != nil {
		ctx, traced = o.Tracer.Begin(ctx, r.Method+" "+r.Route, traceparent)
	}
	return ctx, func(r server.Request) {
		counted(metrics.Request{Route: r.Route, Status: r.Status, Outcome: r.Kind.Error(), Took: r.Took,
			Grant: r.Grant, Step: r.Step, Factor: r.Factor, Channel: r.Channel, Waits: r.Waits})
		traced(r.Status, tracing.Word{Key: "http.request.method", Value: r.Method}, tracing.Word{Key: "http.route", Value: r.Route},
			tracing.Word{Key: "sallyport.request", Value: r.ID}, tracing.Word{Key: "sallyport.kind", Value: r.Kind.Error()},
			tracing.Word{Key: "sallyport.grant", Value: r.Grant})
	}
}

// Watch makes the watch of a part of the gateway.
func (o Observer) Watch(part, help string) Watch {
	count := o.Metrics.Watch(part, help)
	if o.Tracer == nil {
		return count
	}
	trace := o.Tracer.Watch(part)
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		ctx, traced := trace(ctx, operation)
		ctx, counted := count(ctx, operation)
		return ctx, func(err error) {
			counted(err)
			traced(err)
		}
	}
}

// Gate makes the gate of password hashing.
func (o Observer) Gate(c identity.Config) *identity.Gate {
	g := identity.NewGate(c.HashingConcurrency, c.Queue)
	g.Watch = o.Watch("hashing", "How long password hashing took, and the wait for it.")
	o.Metrics.Gauge("hashing_waiting", "Logins that wait for a password to be hashed.", g.Waiting)
	return g
}

// Registry tells the server which clients there are, for its log.
type Registry struct{ record.Registry }

// Client implements record.Registry.
func (r Registry) Client(ctx context.Context, id string) (record.Client, error) {
	c, err := r.Registry.Client(ctx, id)
	if err == nil {
		server.Known(ctx, c.ID)
	}
	return c, err
}
