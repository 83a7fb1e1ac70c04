package oob

import (
	"time"

	"github.com/sallyport/sallyport/pkg/throttle"
)

// hour is the longest time that a limit of a user is about.
const hour = time.Hour

// History is what came of the pushes of a user.
type History struct {
	Recent    []time.Time // those that were sent in the last hour, oldest first
	Refusals  int         // unanswered or denied in a row, since the last completed login
	RefusedAt time.Time   // the last of these
}

// Wait is how long it is until there may be another push.
func (l Limits) Wait(h History, now time.Time) time.Duration {
	var wait time.Duration
	if h.Refusals >= l.Pause {
		wait = h.RefusedAt.Add(l.For).Sub(now)
	}
	for limit, span := range map[int]time.Duration{l.Minute: time.Minute, l.Hour: hour} {
		if oldest := len(h.Recent) - limit; oldest >= 0 {
			wait = max(wait, h.Recent[oldest].Add(span).Sub(now))
		}
	}
	return max(wait, 0)
}

// Sent adds a push, and forgets what no limit is about any more.
func (h History) Sent(now time.Time) History {
	recent := make([]time.Time, 0, len(h.Recent)+1)
	for _, t := range h.Recent {
		if now.Sub(t) < hour {
			recent = append(recent, t)
		}
	}
	h.Recent = append(recent, now)
	return h
}

// Refused adds one that was denied, or not answered.
func (h History) Refused(at time.Time) History {
	h.Refusals, h.RefusedAt = h.Refusals+1, at
	return h
}

// Bucket holds the pushes of all users: a minute's worth of them, and it leaks as much.
func (l Limits) Bucket() throttle.Bucket {
	return throttle.Bucket{Name: "pushes", Size: l.Gateway, Every: time.Minute / time.Duration(l.Gateway)}
}
