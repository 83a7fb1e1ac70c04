package oob

import (
	"context"
	"slices"
	"sync"
)

// Waiters are the polls of this node that wait to be told. However many there are, the
// node listens once.
type Waiters struct {
	looks chan struct{} // who looks again; all may be woken at once, and the store has few connections
	mu    sync.Mutex
	wake  map[string][]chan struct{}
	shut  bool
}

// looksAtOnce is how many waiters look again at a time.
const looksAtOnce = 32

// NewWaiters makes the waiters of a node.
func NewWaiters() *Waiters {
	return &Waiters{looks: make(chan struct{}, looksAtOnce), wake: map[string][]chan struct{}{}}
}

// Listen wakes waiters as the store tells, until ctx ends; then it sends all of them home.
func (w *Waiters) Listen(ctx context.Context, s Store) error {
	defer w.shutdown()
	return s.Listen(ctx, w.heard)
}

// join waits for a challenge; the channel is closed when there is something to look at. It
// is nil when nobody waits any more.
func (w *Waiters) join(id string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shut {
		return nil
	}
	mine := make(chan struct{})
	w.wake[id] = append(w.wake[id], mine)
	return mine
}

// leave ends what join began.
func (w *Waiters) leave(id string, mine chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := slices.DeleteFunc(w.wake[id], func(c chan struct{}) bool { return c == mine })
	if w.wake[id] = left; len(left) == 0 {
		delete(w.wake, id)
	}
}

// heard wakes who waits for a challenge; "" wakes all.
func (w *Waiters) heard(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == "" {
		for one := range w.wake {
			w.rouse(one)
		}
		return
	}
	w.rouse(id)
}

func (w *Waiters) rouse(id string) {
	for _, c := range w.wake[id] {
		close(c)
	}
	delete(w.wake, id)
}

func (w *Waiters) shutdown() {
	w.mu.Lock()
	w.shut = true
	w.mu.Unlock()
	w.heard("")
}
