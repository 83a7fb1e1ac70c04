package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/throttle"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	limits = throttle.Limits{Free: 4, Daily: 25, Disable: 100}
)

// TestWaits: nobody waits for the free attempts; then each wait is 30^((n-1)/9) seconds,
// rounded up, and an hour at most.
func TestWaits(t *testing.T) {
	many := throttle.Limits{Free: 4, Daily: 1000}
	var f throttle.Failures
	for n := range 4 {
		if w := many.Wait(f, noon); w != 0 {
			t.Errorf("after %d: %v", n, w)
		}
		f = f.Add(noon)
	}
	last := time.Duration(0)
	for n := 1; n <= 60; n++ {
		want := time.Duration(min(math.Ceil(math.Pow(30, float64(n-1)/9)-1e-9), 3600)) * time.Second
		got := many.Wait(f, noon)
		if got != want || got < last {
			t.Errorf("wait %d is %v, want %v", n, got, want)
		}
		if rest := many.Wait(f, noon.Add(got-time.Millisecond)); rest != time.Millisecond || many.Wait(f, noon.Add(got)) != 0 {
			t.Errorf("wait %d: %v are left a moment before its end", n, rest)
		}
		last, f = got, f.Add(noon)
	}
}

// TestDaily: in any 24 hours no more are evaluated than that, whatever is completed
// between.
func TestDaily(t *testing.T) {
	var f throttle.Failures
	evaluated := []time.Time{}
	for now := noon; now.Before(noon.Add(10 * 24 * time.Hour)); now = now.Add(7 * time.Minute) {
		f.Count = 0 // somebody completes a login all the time
		if limits.Wait(f, now) == 0 {
			f = f.Add(now)
			evaluated = append(evaluated, now)
		}
	}
	for i := range evaluated {
		if j := i + limits.Daily; j < len(evaluated) && evaluated[j].Sub(evaluated[i]) < 24*time.Hour {
			t.Fatalf("%d were evaluated from %v to %v", limits.Daily+1, evaluated[i], evaluated[j])
		}
	}
	if len(evaluated) != 250 {
		t.Errorf("%d were evaluated in ten days, want 250", len(evaluated))
	}
	if len(f.Recent) > limits.Daily {
		t.Errorf("%d times are kept", len(f.Recent))
	}
	full := throttle.Failures{}
	for range limits.Daily {
		full = full.Add(noon)
	}
	full.Count = 0
	if w := limits.Wait(full, noon.Add(time.Hour)); w != 23*time.Hour {
		t.Errorf("wait %v, want 23h", w)
	}
}

// TestApart: what is counted apart makes the day's attempts fewer, and no wait longer.
func TestApart(t *testing.T) {
	var f throttle.Failures
	for range 6 {
		f = f.Add(noon)
	}
	before := limits.Wait(f, noon)
	for range 10 {
		f = f.AddApart(noon.Add(time.Second))
	}
	if got := limits.Wait(f, noon); got != before || got == 0 {
		t.Errorf("a wait of %v became %v", before, got)
	}
	if got := limits.Wait(f, noon.Add(time.Minute)); got != 0 {
		t.Errorf("%v are left of a wait that is over", got)
	}
	for range limits.Daily {
		f = f.AddApart(noon)
	}
	if got := limits.Wait(f, noon); got != 24*time.Hour {
		t.Errorf("after the day's attempts the wait is %v", got)
	}
}

// TestNoLimitsAreNarrow: limits that nobody set let nothing through for long.
func TestNoLimitsAreNarrow(t *testing.T) {
	none, f := throttle.Limits{}, throttle.Failures{}
	if none.Wait(f, noon) != 0 {
		t.Error("the first attempt waits")
	}
	if w := none.Wait(f.Add(noon), noon); w != 24*time.Hour {
		t.Errorf("the second one waits %v", w)
	}
}

// buckets is a throttle.BucketStore in memory.
type buckets struct {
	full map[string]time.Time
	down error
}

func (b *buckets) Buckets(context.Context, []throttle.Bucket) (map[string]time.Time, error) {
	return b.full, b.down
}

func (b *buckets) Fill(_ context.Context, all []throttle.Bucket, now time.Time, _ audit.Event) error {
	if err := throttle.TooMany(fault.TooManyAttempts, throttle.Wait(all, b.full, now)); err != nil {
		return err
	}
	for _, x := range all {
		if b.full[x.Name].Before(now) {
			b.full[x.Name] = now
		}
		b.full[x.Name] = b.full[x.Name].Add(x.Every)
	}
	return b.down
}

func (b *buckets) Drain(_ context.Context, x throttle.Bucket) error {
	delete(b.full, x.Name)
	return b.down
}

// TestPasswords: ten wrong ones for a user from one address, and then one every six
// minutes; another address, or user, is not concerned (R5).
func TestPasswords(t *testing.T) {
	now := noon
	p := &throttle.Passwords{Store: &buckets{full: map[string]time.Time{}}, User: 10, Address: 20, Now: func() time.Time { return now }}
	alice, there := throttle.Try{Username: "alice", Address: "192.0.2.7"}, throttle.Try{Username: "alice", Address: "192.0.2.8"}
	refused := func(who throttle.Try, wait time.Duration) {
		t.Helper()
		for _, err := range []error{p.Allow(t.Context(), who), p.Right(t.Context(), who), p.Wrong(t.Context(), who, audit.Event{})} {
			var d *fault.Details
			if !errors.As(err, &d) || d.Kind != fault.TooManyAttempts || d.RetryAfter != wait {
				t.Errorf("%+v: %v, want a wait of %v", who, err, wait)
			}
		}
	}
	wrong := func(who throttle.Try) {
		t.Helper()
		if err := errors.Join(p.Allow(t.Context(), who), p.Wrong(t.Context(), who, audit.Event{})); err != nil {
			t.Fatalf("%+v: %v", who, err)
		}
	}
	for range 10 {
		wrong(alice)
	}
	refused(alice, 6*time.Minute)
	wrong(there)
	now = now.Add(6 * time.Minute)
	wrong(alice)
	refused(alice, 6*time.Minute)
	now = now.Add(6 * time.Minute)
	if err := p.Right(t.Context(), alice); err != nil { // and all is forgotten
		t.Fatal(err)
	}
	for range 10 {
		wrong(alice)
	}
	now = now.Add(time.Hour)
	for n := range 20 {
		wrong(throttle.Try{Username: fmt.Sprint("user ", n), Address: "192.0.2.9"})
	}
	refused(throttle.Try{Username: "alice", Address: "192.0.2.9"}, 36*time.Second)
	refused(throttle.Try{Username: "alice", Address: "::ffff:192.0.2.9"}, 36*time.Second)
	for n := range 20 { // who has a whole network has one bucket
		wrong(throttle.Try{Username: fmt.Sprint("user ", n), Address: fmt.Sprintf("2001:db8::%d", n)})
	}
	refused(throttle.Try{Username: "alice", Address: "2001:db8::ffff"}, 36*time.Second)
	wrong(throttle.Try{Username: "alice", Address: "2001:db8:0:1::1"})
}

// TestPasswordsInTrouble: a store that does not answer limits nobody away, and lets nobody
// in.
func TestPasswordsInTrouble(t *testing.T) {
	p := &throttle.Passwords{Store: &buckets{full: map[string]time.Time{}, down: errors.New("connection refused")},
		User: 10, Address: 100, Now: func() time.Time { return noon }}
	for _, err := range []error{p.Allow(t.Context(), throttle.Try{}), p.Right(t.Context(), throttle.Try{}), p.Wrong(t.Context(), throttle.Try{}, audit.Event{})} {
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%v, want unavailable", err)
		}
	}
}
