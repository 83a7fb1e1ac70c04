// Package phonetest has services for text messages and calls that tests can run: they check
// what they get as the real ones do, refuse what those refuse, and keep what they took.
package phonetest

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A Message is what a person gets.
type Message struct {
	ID        string // of all tries
	Channel   string // "sms", "voice"
	To        string
	Code      string
	Text      string // read or heard
	ExpiresIn int    // seconds
	Client    string // where the service is told
	Language  string // of the text
	Callback  string // where receipts shall go, if there shall be any
}

// A Failure is what a service does in the place of taking a message.
type Failure struct {
	Status     int
	RetryAfter string
	Location   string
	Hang       bool   // take nothing, answer nothing
	Late       bool   // take it, and answer nothing in time
	Body       string // of the answer, in the place of the service's own
}

// inbox keeps what was taken, and the failures to come.
type inbox struct {
	arrived chan Message
	now     func() time.Time

	mu       sync.Mutex
	failures []Failure
	always   *Failure
	tries    int
	taken    []Message
}

func newInbox(now func() time.Time) inbox {
	const most = 4096
	return inbox{arrived: make(chan Message, most), now: now}
}

// Next is the next message that a person gets; it waits for one.
func (i *inbox) Next(t testing.TB) Message {
	t.Helper()
	select {
	case m := <-i.arrived:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message arrived")
		return Message{}
	}
}

// Messages are all that people got, in order.
func (i *inbox) Messages() []Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]Message(nil), i.taken...)
}

// Tries is how often the service was called, with or without success.
func (i *inbox) Tries() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.tries
}

// Fail makes the next calls fail, one after the other.
func (i *inbox) Fail(failures ...Failure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failures = append(i.failures, failures...)
}

// Always makes all calls fail; nil ends that.
func (i *inbox) Always(f *Failure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.always = f
}

// called counts a call, and takes the next failure off the list.
func (i *inbox) called() (Failure, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tries++
	switch {
	case len(i.failures) > 0:
		next := i.failures[0]
		i.failures = i.failures[1:]
		return next, true
	case i.always != nil:
		return *i.always, true
	default:
		return Failure{}, false
	}
}

// take keeps a message. The same again is one; another one under its id is refused.
func (i *inbox) take(m Message) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, before := range i.taken {
		if before.ID == m.ID {
			return before == m
		}
	}
	i.keep(m)
	return true
}

// keep keeps a message.
func (i *inbox) keep(m Message) {
	i.taken = append(i.taken, m)
	i.arrived <- m
}

// fail answers with a failure; body is what the service would say.
func (f Failure) fail(w http.ResponseWriter, r *http.Request, body any) {
	if f.Hang || f.Late {
		_, _ = io.Copy(io.Discard, r.Body) // only then a server hears that its client has gone
		<-r.Context().Done()
		return
	}
	for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": f.Location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	if f.Body != "" {
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body)) // who asked may be gone
		return
	}
	writeJSON(w, f.Status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}
