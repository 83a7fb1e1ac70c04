package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestPreferredWait(t *testing.T) {
	for _, c := range []struct {
		said []string
		want time.Duration
	}{
		{nil, 0}, {[]string{""}, 0}, {[]string{"wait=10"}, 10 * time.Second}, {[]string{"Wait = \"7\""}, 7 * time.Second},
		{[]string{"respond-async, wait=5; x=y, wait=9"}, 5 * time.Second}, {[]string{"return=minimal", "wait=3"}, 3 * time.Second},
		{[]string{"wait=31"}, 30 * time.Second}, {[]string{"wait=65535"}, 30 * time.Second}, {[]string{"wait=65536"}, 0},
		{[]string{"wait=-1"}, 0}, {[]string{"wait=1.5"}, 0}, {[]string{"wait"}, 0}, {[]string{"wait="}, 0}, {[]string{"waiting=5"}, 0},
		{[]string{"wait=x", "wait=5"}, 0},
	} {
		if got := preferredWait(http.Header{"Prefer": c.said}); got != c.want {
			t.Errorf("%q: %v, want %v", c.said, got, c.want)
		}
	}
}

// A request that waits outlives the deadlines of its connection, reading as well as
// writing, and its own; it ends with its client.
func TestPatient(t *testing.T) {
	s := &Server{Options: Options{Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: zeros{}, Observer: nobody{}}}
	const deadline = 50 * time.Millisecond
	gone := make(chan struct{})
	h := s.serve("test", func(w http.ResponseWriter, r *http.Request) error {
		r, resume, end := patient(w, r, time.Minute)
		defer end()
		defer resume()
		late := time.NewTimer(3 * deadline)
		defer late.Stop()
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
			close(gone)
			return nil
		}
		select {
		case <-late.C:
		case <-r.Context().Done():
			t.Error("the connection's deadline ended it")
		}
		return writeJSON(w, map[string]any{"late": true})
	})
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = deadline, deadline
	srv.Start()
	defer srv.Close()
	get := func(ctx context.Context, path string) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := srv.Client().Do(r)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return string(body), err
	}
	if body, err := get(t.Context(), "/"); err != nil || body != "{\"late\":true}\n" {
		t.Errorf("%q, %v", body, err)
	}
	ctx, hangUp := context.WithTimeout(t.Context(), deadline)
	defer hangUp()
	if _, err := get(ctx, "/hang"); err == nil {
		t.Error("it was answered")
	}
	<-gone
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type nobody struct{}

func (nobody) Begin(ctx context.Context, _ Request, _ string) (context.Context, func(Request)) {
	return ctx, func(Request) {}
}

// What follows a wait has the time that every request has, and no more (I7).
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := t.Context()
		r := httptest.NewRequest(http.MethodPost, "/", nil).WithContext(context.WithValue(parent, patientKey{}, parent))
		r, resume, end := patient(httptest.NewRecorder(), r, 30*time.Second)
		defer end()
		time.Sleep(30*time.Second + handlerDeadline - time.Millisecond)
		if r.Context().Err() != nil {
			t.Error("it ended while it waited")
		}
		resume()
		time.Sleep(handlerDeadline - time.Millisecond)
		if r.Context().Err() != nil {
			t.Error("it ended too soon")
		}
		time.Sleep(2 * time.Millisecond)
		if r.Context().Err() == nil {
			t.Error("it goes on")
		}
	})
}
