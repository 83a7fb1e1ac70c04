// Command api is an API that asks for a step-up: whoever has a token may read the things, and to
// add one takes a second factor that was proved just now.
//
// README.md lists the variables it takes, each with SALLYPORT_ before its name.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/stepup"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	now, err := clock(os.Getenv("SALLYPORT_TIME"))
	if err != nil {
		return err
	}
	guard, err := stepup.New(stepup.Options{
		Issuer:   "https://" + os.Getenv("SALLYPORT_DOMAIN") + "/",
		Audience: os.Getenv("SALLYPORT_AUDIENCE"),
		Now:      now,
		Log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cmp.Or(os.Getenv("SALLYPORT_LISTEN"), "127.0.0.1:8444"))
	if err != nil {
		return err
	}
	fmt.Println("the API listens on", l.Addr())
	server := &http.Server{Handler: routes(guard), ReadHeaderTimeout: 10 * time.Second}
	return server.ServeTLS(l, os.Getenv("SALLYPORT_CERT_FILE"), os.Getenv("SALLYPORT_KEY_FILE"))
}

// routes say what each request takes.
func routes(guard *stepup.Guard) http.Handler {
	all := things{all: []string{}}
	mux := http.NewServeMux()
	mux.Handle("GET /things", guard.Require(
		stepup.Demand{}, http.HandlerFunc(all.list)))
	mux.Handle("POST /things", guard.Require(
		stepup.Demand{Scopes: []string{"write:things"}, ACR: stepup.MultiFactor, MaxAge: 5 * time.Minute},
		http.HandlerFunc(all.add)))
	return mux
}

// things are who added one.
type things struct {
	mu  sync.Mutex
	all []string
}

func (t *things) list(w http.ResponseWriter, _ *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	answer(w, http.StatusOK, t.all)
}

func (t *things) add(w http.ResponseWriter, r *http.Request) {
	token, _ := stepup.FromContext(r.Context())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, token.Subject)
	answer(w, http.StatusCreated, t.all)
}

func answer(w http.ResponseWriter, status int, all []string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(all) // whoever hung up does not want it
}

// clock begins at a time in Unix seconds; without one it is the machine's.
func clock(begin string) (func() time.Time, error) {
	if begin == "" {
		return time.Now, nil
	}
	seconds, err := strconv.ParseInt(begin, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SALLYPORT_TIME: %w", err)
	}
	ahead := time.Until(time.Unix(seconds, 0))
	return func() time.Time { return time.Now().Add(ahead) }, nil
}
