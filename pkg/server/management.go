package server

import (
	"context"
	"net/http"
	"time"
)

// readyDeadline bounds how long a dependency may take to say that it is there.
const readyDeadline = 2 * time.Second

// ManagementHandler serves /livez, which says that the process answers, and /readyz, which
// says that what it depends on does too. It is for a listener that is not public.
func ManagementHandler(dependencies ...func(context.Context) error) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyDeadline)
		defer cancel()
		for _, ping := range dependencies {
			if ping(ctx) != nil {
				answer(w, http.StatusServiceUnavailable, "a dependency does not answer")
				return
			}
		}
		answer(w, http.StatusOK, "ok")
	})
	return m
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// Whoever asked may have gone; there is nobody left to tell.
	_, _ = w.Write([]byte(text + "\n"))
}
