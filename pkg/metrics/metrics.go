// Package metrics counts and measures, for Prometheus. Every label is one of a few words
// that the gateway chose, so that nobody outside can make series; no label names a user,
// a client or an address.
package metrics

import (
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "sallyport"

// Buckets in seconds: of what a person waits for, of one step of it, and of a poll that
// waits for a person.
var (
	long  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	short = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	waits = []float64{.1, .5, 1, 2.5, 5, 10, 15, 20, 25, 30, 35}
)

// Metrics are the metrics of one gateway.
type Metrics struct {
	registry *prometheus.Registry
	now      func() time.Time

	inFlight prometheus.Gauge
	requests *prometheus.HistogramVec
	waits    *prometheus.HistogramVec
	tokens   *prometheus.CounterVec
	factors  *prometheus.CounterVec
	messages *prometheus.CounterVec
}

// New makes them, with those of the Go runtime, of the process and of the build.
func New(now func() time.Time) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), now: now,
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "http_requests_in_flight",
			Help: "Requests that are being answered."}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "http_request_duration_seconds",
			Help: "How long requests took, by route and status.", Buckets: long}, []string{"route", "status"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "http_wait_duration_seconds",
			Help: "How long polls took that asked to wait for their answer (Prefer: wait), by status.", Buckets: waits}, []string{"status"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "token_requests_total",
			Help: "Requests at the token endpoint, by grant type and outcome: ok, or the kind of failure."}, []string{"grant", "outcome"}),
		factors: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "mfa_requests_total",
			Help: "Steps of second factors (associate, challenge, verify), by factor, channel and outcome."}, []string{"step", "factor", "channel", "outcome"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "messages_total",
			Help: "Messages with a code, by what each provider that was asked made of them."}, []string{"channel", "provider", "outcome"}),
	}
	m.registry.MustRegister(m.inFlight, m.requests, m.waits, m.tokens, m.factors, m.messages, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return m
}

// Handler answers GET /metrics.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)})
}

// A Request is what is counted of a request. Grant and Step are empty where there is
// none.
type Request struct {
	Route   string
	Status  int
	Outcome string // empty: ok
	Took    time.Duration
	Waits   bool // it took as long as its client chose

	Grant                 string
	Step, Factor, Channel string
}

// Begin counts a request in; what it returns counts it out.
func (m *Metrics) Begin() func(Request) {
	m.inFlight.Inc()
	return func(r Request) {
		m.inFlight.Dec()
		m.took(r).Observe(r.Took.Seconds())
		outcome := r.Outcome
		if outcome == "" {
			outcome = "ok"
		}
		if r.Grant != "" {
			m.tokens.WithLabelValues(r.Grant, outcome).Inc()
		}
		if r.Step != "" {
			m.factors.WithLabelValues(r.Step, orNone(r.Factor), orNone(r.Channel), outcome).Inc()
		}
	}
}

// Message counts what a provider made of a message: when it was sent, and once more when a
// receipt says what became of it.
func (m *Metrics) Message(channel, provider, outcome string) {
	m.messages.WithLabelValues(channel, provider, outcome).Inc()
}

// took is where the duration of a request belongs. Those that wait by choice would hide
// how long the others take.
func (m *Metrics) took(r Request) prometheus.Observer {
	status := strconv.Itoa(r.Status)
	if r.Waits {
		return m.waits.WithLabelValues(status)
	}
	return m.requests.WithLabelValues(r.Route, status)
}

func orNone(word string) string {
	if word == "" {
		return "none"
	}
	return word
}

// Watch measures operations of a part of the gateway, "sql" for example: what it returns
// is told that one begins, and returns what is told how that ended.
func (m *Metrics) Watch(part, help string) func(context.Context, string) (context.Context, func(error)) {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: part + "_duration_seconds",
		Help: help, Buckets: short}, []string{"operation", "outcome"})
	m.registry.MustRegister(h)
	return func(ctx context.Context, operation string) (context.Context, func(error)) {
		began := m.now()
		return ctx, func(err error) {
			outcome := "ok"
			if err != nil {
				outcome = "failed"
			}
			h.WithLabelValues(operation, outcome).Observe(m.now().Sub(began).Seconds())
		}
	}
}

// Gauge shows a number as it is when somebody looks.
func (m *Metrics) Gauge(name, help string, value func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help},
		func() float64 { return float64(value()) }))
}

// Counter shows a number that only grows, as it is when somebody looks.
func (m *Metrics) Counter(name, help string, value func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help},
		func() float64 { return float64(value()) }))
}

// Pools shows pools of connections to the database, by their names.
func (m *Metrics) Pools(pools map[string]*sql.DB) {
	for name, pool := range pools {
		m.registry.MustRegister(collectors.NewDBStatsCollector(pool, name))
	}
}
