package memory

import (
	"container/heap"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// A key names an entry: what it is, and its id there.
type key struct{ what, id string }

// An entry is something kept until it expires.
type entry struct {
	key       key
	text      []byte
	expiresAt time.Time
	place     int      // in expiries
	polled    *polling // of a challenge
}

func (e *entry) expired(now time.Time) bool { return !now.Before(e.expiresAt) }

// polling is what polls need of a challenge.
type polling struct {
	authenticator string    // never changes
	answered      bool      // neither
	bound         bool      // nor this
	expiresAt     time.Time // nor that of the challenge; its entry lasts longer
	decided       oob.State
	next          time.Time // when the next poll is welcome
	interval      time.Duration
	lease         time.Time // until when another poll redeems the approval
	waiter        string
}

var _ heap.Interface = (*expiries)(nil)

// expiries is a heap of entries: the first to expire comes first.
type expiries []*entry

func (x expiries) Len() int { return len(x) }

func (x expiries) Less(i, j int) bool { return x[i].expiresAt.Before(x[j].expiresAt) }

func (x expiries) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].place, x[j].place = i, j
}

// Push implements heap.Interface.
func (x *expiries) Push(v any) {
	e := v.(*entry) //nolint:forcetypeassert // only entries are pushed
	e.place = len(*x)
	*x = append(*x, e)
}

// Pop implements heap.Interface.
func (x *expiries) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	(*x)[last] = nil // or the array would hold on to it
	*x = (*x)[:last]
	return e
}
