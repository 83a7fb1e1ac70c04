// Package throttle limits attempts (SP 800-63B, 3.2.2 "Rate Limiting").
//
// Second factors: a user waits longer with each wrong one, until a login is completed;
// only so many are evaluated in any day, whatever else happens; and an authenticator that
// was guessed at too often since its own last success is disabled. All of it is kept
// where no attacker can reset it, in SQL, in a transaction that no failing request rolls
// back (R9, R15, R17). Only who sent the right password makes somebody wait; who has but a
// token of theirs has few attempts of its own, and a stranger has none (R5).
//
// Passwords: a bucket for each user at each address, and a wider one for each address.
package throttle

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
)

// Limits bound the wrong second factors of a user.
type Limits struct {
	Free    int // before waiting starts
	Daily   int // that are evaluated in any 24 hours
	Disable int // of one authenticator since its last success; then it is disabled
}

// day is the time that Limits.Daily is about.
const day = 24 * time.Hour

// waits are 30^((n-1)/9) seconds for the nth failure that is no longer free, rounded up:
// ten times as much after six or seven more, and an hour at last.
var waits = []int{
	1, 2, 3, 4, 5, 7, 10, 15, 21, 30, 44, 64, 94, 137, 199, 290, 423, 617, 900, 1314, 1917, 2797, 3600,
}

// Failures are the wrong second factors of a user.
type Failures struct {
	Count  int         // since the last completed login
	Last   time.Time   // when the last of them was; the wait begins with it
	Recent []time.Time // those of the last 24 hours, oldest first, also those that are apart
}

// Wait is how long it is until the next attempt is evaluated.
func (l Limits) Wait(f Failures, now time.Time) time.Duration {
	recent := f.since(now)
	var until time.Time
	if n := f.Count - l.Free; n >= 0 {
		until = f.Last.Add(time.Duration(waits[min(n, len(waits)-1)]) * time.Second)
	}
	if n := len(recent) - max(l.Daily, 1); n >= 0 {
		if ends := recent[n].Add(day); ends.After(until) {
			until = ends
		}
	}
	return max(until.Sub(now), 0)
}

// Add counts one more.
func (f Failures) Add(now time.Time) Failures {
	return Failures{Count: f.Count + 1, Last: now, Recent: append(f.since(now), now)}
}

// AddApart counts one more to the day, but to no wait.
func (f Failures) AddApart(now time.Time) Failures {
	return Failures{Count: f.Count, Last: f.Last, Recent: append(f.since(now), now)}
}

func (f Failures) since(now time.Time) []time.Time {
	for i, at := range f.Recent {
		if now.Sub(at) < day {
			return f.Recent[i:len(f.Recent):len(f.Recent)]
		}
	}
	return nil
}

// Attempt is one try of a second factor. Whether it was right nobody learns before it was
// let through.
type Attempt struct {
	Subject        string
	Authenticators []string // those that the proof was held against
	Wrong          bool     // it counts
	// Challenge is the id of the one that the proof answers with a code; empty: it is no such
	// proof.
	Challenge string
	// Session is the one in hand, which is refreshed, stepped up or confirms a new
	// authenticator; empty for a login. Who has a token of somebody's has not proved a
	// password: as many wrong ones as are free end all of these for the session, and make
	// nobody else wait (R5).
	Session string
	Event   audit.Event // of its refusal, at the time of the attempt
}

// Limiter lets attempts through.
type Limiter interface {
	// Attempt counts a wrong attempt to the user, to each authenticator and to its challenge,
	// with its event and in a transaction of its own, and disables those that reached the
	// limit. A right one counts nothing. One for a challenge that is not its authenticator's
	// latest, or had too many wrong ones, is wrong whatever it was, and fails with
	// fault.WrongBindingCode. During a wait neither counts: both are recorded and fail alike,
	// with fault.TooManyFailures and the time that is left, or with fault.MalformedMFAToken
	// when it is the session that has no attempts left. Of any number of concurrent attempts
	// each sees those before it.
	Attempt(ctx context.Context, a Attempt, l Limits) error
}

// TooMany is the refusal of an attempt during a wait, nil if there is none.
func TooMany(kind fault.Kind, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &fault.Details{Kind: kind, RetryAfter: wait}
}
