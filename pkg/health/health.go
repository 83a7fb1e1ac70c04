// Package health tells those who run a gateway how it is: probes for whoever restarts it
// or sends it requests. They are for a listener that is not public.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// readyDeadline bounds how long a dependency may take to say that it is there.
const readyDeadline = 2 * time.Second

// A Dependency is something without which no login is possible.
type Dependency struct {
	Name string
	Ping func(context.Context) error
}

// The phases of a gateway, as the probes name them.
const (
	starting = "starting"
	ready    = "ready"
	notReady = "not ready"
	stopping = "stopping"
)

// Probes tell those who run a gateway how it is. The zero value is one that starts.
type Probes struct {
	Log *slog.Logger

	phase        atomic.Pointer[string]
	dependencies atomic.Pointer[[]Dependency]
}

// Started says that the gateway serves, and on what it depends.
func (p *Probes) Started(dependencies ...Dependency) {
	p.dependencies.Store(&dependencies)
	phase := ready
	p.phase.Store(&phase)
}

// Stop says that no more requests are wanted.
func (p *Probes) Stop() {
	phase := stopping
	p.phase.Store(&phase)
}

func (p *Probes) now() string {
	if phase := p.phase.Load(); phase != nil {
		return *phase
	}
	return starting
}

// A body is what a probe answers with.
type body struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"`
}

// Handler serves /livez, which says that the process answers, /startupz, which says that
// it has begun to serve, /readyz, which says that what it depends on answers too, and
// /metrics.
func (p *Probes) Handler(metrics http.Handler) http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /metrics", metrics)
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { report(w, true, body{Status: "alive"}) })
	m.HandleFunc("GET /startupz", func(w http.ResponseWriter, _ *http.Request) {
		if p.now() == starting {
			report(w, false, body{Status: starting})
			return
		}
		report(w, true, body{Status: "started"})
	})
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if phase := p.now(); phase != ready {
			report(w, false, body{Status: phase})
			return
		}
		all, checks := p.check(r.Context())
		if !all {
			report(w, false, body{notReady, checks})
			return
		}
		report(w, true, body{ready, checks})
	})
	return m
}

// check asks every dependency at once, and waits for none beyond the deadline. What it
// says of them holds no text of theirs: that is for the log.
func (p *Probes) check(ctx context.Context) (all bool, checks map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, readyDeadline)
	defer cancel()
	type result struct {
		name string
		err  error
	}
	dependencies := *p.dependencies.Load()
	results := make(chan result, len(dependencies))
	causes := map[string]error{}
	for _, d := range dependencies {
		causes[d.Name] = context.DeadlineExceeded
		go func() { results <- result{d.Name, d.Ping(ctx)} }()
	}
	for range dependencies {
		select {
		case r := <-results:
			causes[r.name] = r.err
		case <-ctx.Done():
		}
	}
	all, checks = true, map[string]string{}
	for name, cause := range causes {
		checks[name] = verdict(cause)
		if cause != nil {
			all = false
			p.Log.WarnContext(ctx, "a dependency is not ready", slog.String("dependency", name), slog.Any("cause", cause))
		}
	}
	return all, checks
}

func verdict(cause error) string {
	var out interface{ Timeout() bool } // of a connection or of a context
	switch {
	case cause == nil:
		return "ok"
	case errors.As(cause, &out) && out.Timeout():
		return "does not answer"
	default:
		return "fails"
	}
}

func report(w http.ResponseWriter, ok bool, b body) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// Whoever asked may have gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(b)
}
