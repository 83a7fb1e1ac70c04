package provider

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// The push services, as devices name them when they enroll.
const (
	FCM  = "GCM"
	APNs = "APNS"
)

// A Push is a message for a phone.
type Push struct {
	Token   string          `json:"token"`   // of the device
	Service string          `json:"service"` // GCM or APNS
	Payload json.RawMessage `json:"payload"` // of FCM its data, of APNs the whole
}

// How much is kept for phones that do not come for it.
const (
	most       = 1000 // messages in all
	mostForOne = 20
)

// kept is a push until somebody comes for it, or its time is over.
type kept struct {
	Push
	collapse string // replaces one with the same
	expires  time.Time
}

// An inbox keeps pushes by the token of their device.
type inbox struct {
	now     func() time.Time
	mu      sync.Mutex
	pushes  []kept        // the oldest first
	arrived chan struct{} // closed when there is another one
}

func newInbox(now func() time.Time) *inbox { return &inbox{now: now, arrived: make(chan struct{})} }

// put keeps a push and wakes those who wait.
func (i *inbox) put(k kept) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now, forOne := i.now(), 0
	i.pushes = slices.DeleteFunc(i.pushes, func(old kept) bool {
		same := old.Token == k.Token
		if same {
			forOne++
		}
		return !now.Before(old.expires) || same && k.collapse != "" && old.collapse == k.collapse
	})
	if forOne >= mostForOne || len(i.pushes) >= most {
		i.pushes = slices.Delete(i.pushes, 0, 1)
	}
	i.pushes = append(i.pushes, k)
	close(i.arrived)
	i.arrived = make(chan struct{})
}

// take is the oldest push for one of the devices, if there is one, and what tells of the
// next.
func (i *inbox) take(tokens []string) (Push, bool, <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	at := slices.IndexFunc(i.pushes, func(k kept) bool { return now.Before(k.expires) && slices.Contains(tokens, k.Token) })
	if at < 0 {
		return Push{}, false, i.arrived
	}
	p := i.pushes[at].Push
	i.pushes = slices.Delete(i.pushes, at, at+1)
	return p, true, nil
}

// next waits for a push for one of the devices until ctx ends.
func (i *inbox) next(ctx context.Context, tokens []string) (Push, error) {
	for {
		p, ok, arrived := i.take(tokens)
		if ok {
			return p, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Push{}, ctx.Err()
		}
	}
}
