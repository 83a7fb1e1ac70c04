package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/fault"
)

// handlerDeadline bounds the work for one request, so that a dependency that hangs
// becomes an answer within five seconds (I7): the rest is for a transaction that is
// given up, and for a machine that is busy.
const handlerDeadline = 4 * time.Second

// endpoint answers a request or explains why it cannot.
type endpoint func(http.ResponseWriter, *http.Request) error

// serve runs an endpoint: with a deadline, with its failure written by the one
// catalogue, and with one line in the log that holds nothing the client chose.
func (s *Server) serve(route string, do endpoint) http.Handler {
	return s.serveAs(route, do, func(w http.ResponseWriter, err error) fault.Kind {
		return grants.WriteError(w, err, s.Now(), s.Errors).Kind
	})
}

// serveAs is serve with refusals of another shape.
func (s *Server) serveAs(route string, do endpoint, refuse Refuse) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.Now()
		ctx, q, ended := s.begin(r, route)
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, patientKey{}, ctx), handlerDeadline)
		defer cancel()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Request-Id", q.ID)
		out := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		if err := s.protected(out, r.WithContext(ctx), do); err != nil {
			q.Kind = refuse(out, err)
			if out.status >= http.StatusInternalServerError {
				s.Log.ErrorContext(ctx, "request failed", slog.String("id", q.ID), slog.String("route", route),
					slog.String("kind", q.Kind.Error()), slog.Any("cause", err))
			}
		}
		q.Status, q.Took = out.status, s.Now().Sub(began)
		s.line(ctx, *q)
		ended(*q)
	})
}

// protected turns a panic into an internal failure. Its value may hold what the client
// sent, so only its type and the place are logged.
func (s *Server) protected(w http.ResponseWriter, r *http.Request, do endpoint) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &fault.Details{Kind: fault.Internal, Err: fmt.Errorf("panic of type %T at %s", p, debug.Stack())}
		}
	}()
	return do(w, r)
}

// writeJSON writes an answer. What cannot be encoded is an internal failure, and
// nothing of it is sent.
func writeJSON(w http.ResponseWriter, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // a URI is to be read by people as well
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	// The client may have hung up; there is nobody left to tell.
	_, _ = w.Write(body.Bytes())
	return nil
}
