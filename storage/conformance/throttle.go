package conformance

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/throttle"
)

func throttleTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"50 attempts find the wait":          raceAttempts,
		"a wait is the same everywhere":      attemptsWait,
		"a day's attempts outlive a login":   attemptsDaily,
		"an authenticator is disabled":       attemptsDisable,
		"50 passwords fill a bucket":         raceBuckets,
		"buckets leak, and are swept":        bucketsLeak,
		"a bucket too full fills no other":   bucketsTogether,
		"a right attempt finds the wait too": attemptsRight,
		"a session has attempts of its own":  attemptsOfSession,
		"who waits is known":                 waitsKnown,
	}
}

func (s *databaseSuite) attempt(t *testing.T, l throttle.Limits, want time.Duration, a throttle.Attempt) {
	t.Helper()
	err := s.b.Limiter.Attempt(t.Context(), a, l)
	s.waits(t, err, fault.TooManyFailures, want)
}

// waits wants an attempt to have been let through, or a wait.
func (s *databaseSuite) waits(t *testing.T, err error, kind fault.Kind, want time.Duration) {
	t.Helper()
	var d *fault.Details
	switch {
	case want == 0 && err != nil:
		t.Errorf("%v, want no wait", err)
	case want != 0 && (!errors.As(err, &d) || d.Kind != kind || d.RetryAfter != want):
		t.Errorf("%v, want %s and a wait of %v", err, kind, want)
	}
}

func raceAttempts(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	var through atomic.Int64
	atBarrier(func(i int) {
		err := s.node(i).Limiter.Attempt(t.Context(), s.failure(alice, "totp|a"), throttle.Limits{Free: 3, Daily: 25, Disable: 100})
		switch {
		case err == nil:
			through.Add(1)
		case fault.Of(err) != fault.TooManyFailures:
			t.Errorf("attempt: %v", err)
		}
	})
	if through.Load() != 3 {
		t.Errorf("%d of %d were looked at, want 3", through.Load(), parallel)
	}
	s.wantFailures(t, 3, map[string]int{"totp|a": 3})
	if n := s.events(t, audit.FactorRefused); n != parallel {
		t.Errorf("%d audit rows, want %d", n, parallel)
	}
}

func attemptsWait(t *testing.T, s *databaseSuite) {
	l := throttle.Limits{Free: 1, Daily: 25, Disable: 100}
	s.attempt(t, l, 0, s.failure(alice))
	for _, want := range []time.Duration{1, 2, 3, 4, 5, 7} {
		s.attempt(t, l, want*time.Second, s.failure(alice))
		s.attempt(t, l, 0, s.failure(bob, "totp|none"))
		s.pass(want*time.Second - time.Millisecond)
		s.attempt(t, l, time.Millisecond, s.failure(alice))
		s.pass(time.Hour)
		s.attempt(t, l, 0, s.failure(alice))
	}
}

func attemptsDaily(t *testing.T, s *databaseSuite) {
	l := throttle.Limits{Free: 1, Daily: 3, Disable: 100}
	begin := s.now()
	for n := range 3 {
		s.attempt(t, l, 0, s.failure(alice))
		s.issue(t, s.issuance(alice, numbered(n), s.redemption(numbered(n))))
		s.pass(time.Hour)
	}
	left := begin.Add(24 * time.Hour).Sub(s.now())
	s.attempt(t, l, left, s.failure(alice))
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	s.attempt(t, l, left, s.failure(alice))
	s.pass(left)
	s.attempt(t, l, 0, s.failure(alice))
}

// A right attempt counts nothing; during a wait it learns no more than a wrong one.
func attemptsRight(t *testing.T, s *databaseSuite) {
	l := throttle.Limits{Free: 2, Daily: 25, Disable: 100}
	right := s.failure(alice)
	right.Wrong = false
	for range 5 {
		s.attempt(t, l, 0, right)
	}
	s.attempt(t, l, 0, s.failure(alice))
	s.attempt(t, l, 0, s.failure(alice))
	s.attempt(t, l, time.Second, right)
	s.attempt(t, l, time.Second, s.failure(alice))
	s.wantFailures(t, 2, nil)
}

func attemptsDisable(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	s.enroll(t, alice, "totp|b")
	l := throttle.Limits{Free: 100, Daily: 100, Disable: 3}
	disabled := func(want ...string) {
		t.Helper()
		got := []string{}
		for _, a := range s.authenticators(t, alice) {
			if !a.DisabledAt.IsZero() {
				got = append(got, a.ID)
			}
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("disabled %q, want %q", got, want)
		}
	}
	s.attempt(t, l, 0, s.failure(alice, "totp|a", "totp|b"))
	s.attempt(t, l, 0, s.failure(alice, "totp|a"))
	disabled()
	s.attempt(t, l, 0, s.failure(alice, "totp|a", "totp|b"))
	disabled("totp|a")
	s.attempt(t, l, 0, s.failure(alice, "totp|a"))
	if n := s.events(t, audit.Disabled); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func bucket(name string, size int) throttle.Bucket {
	return throttle.Bucket{Name: name, Size: size, Every: time.Minute}
}

func (s *databaseSuite) fill(t *testing.T, want time.Duration, all ...throttle.Bucket) {
	t.Helper()
	s.waits(t, s.a.Buckets.Fill(t.Context(), all, s.now(), s.changed("")), fault.TooManyAttempts, want)
}

func raceBuckets(t *testing.T, s *databaseSuite) {
	var through atomic.Int64
	atBarrier(func(i int) {
		err := s.node(i).Buckets.Fill(t.Context(), []throttle.Bucket{bucket("narrow", 7), bucket("wide", 100)}, s.now(), s.changed(""))
		switch {
		case err == nil:
			through.Add(1)
		case fault.Of(err) != fault.TooManyAttempts:
			t.Errorf("fill: %v", err)
		}
	})
	if through.Load() != 7 {
		t.Errorf("%d of %d were counted, want 7", through.Load(), parallel)
	}
}

func bucketsLeak(t *testing.T, s *databaseSuite) {
	b := bucket("b", 2)
	s.fill(t, 0, b)
	s.fill(t, 0, b)
	s.fill(t, time.Minute, b)
	full, err := s.b.Buckets.Buckets(t.Context(), []throttle.Bucket{b, bucket("none", 1)})
	if err != nil || len(full) != 1 || !full["b"].Equal(s.now().Add(2*time.Minute)) {
		t.Errorf("full until %v, %v", full, err)
	}
	s.pass(time.Minute)
	s.fill(t, 0, b)
	s.fill(t, time.Minute, b)
	if err := s.b.Buckets.Drain(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	s.fill(t, 0, b)
	s.pass(24 * time.Hour)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	if full, err := s.b.Buckets.Buckets(t.Context(), []throttle.Bucket{b}); err != nil || len(full) != 0 {
		t.Errorf("after the sweep: %v, %v", full, err)
	}
}

func bucketsTogether(t *testing.T, s *databaseSuite) {
	narrow, wide := bucket("narrow", 1), bucket("wide", 2)
	e := s.changed("")
	recorded := func(want int) {
		t.Helper()
		if n := s.events(t, e.Type); n != want {
			t.Errorf("%d events, want %d", n, want)
		}
	}
	before := s.events(t, e.Type)
	s.fill(t, 0, narrow, wide)
	recorded(before + 2) // it, and that others wait
	s.fill(t, time.Minute, narrow, wide)
	recorded(before + 3)
	s.fill(t, 0, wide)
	recorded(before + 5)
	s.fill(t, time.Minute, wide)
	recorded(before + 6)
}

// Who has but a token of somebody's makes nobody wait; what is guessed so ends with the
// session's next proof.
func attemptsOfSession(t *testing.T, s *databaseSuite) {
	l := throttle.Limits{Free: 2, Daily: 25, Disable: 100}
	s.issue(t, s.issuance(alice, "one"))
	guess := s.failure(alice)
	guess.Session = "session-one"
	over := func(a throttle.Attempt) {
		t.Helper()
		if err := s.b.Limiter.Attempt(t.Context(), a, l); fault.Of(err) != fault.MalformedMFAToken {
			t.Errorf("%v, want no attempt left", err)
		}
	}
	s.attempt(t, l, 0, guess)
	s.attempt(t, l, 0, guess)
	over(guess)
	right := guess
	right.Wrong = false
	over(right)
	right.Session = "session-none"
	over(right)
	s.attempt(t, l, 0, s.failure(alice))
	proved := s.issuance(alice, "two", s.redemption("two"))
	proved.Session.ID, proved.Refresh = "session-one", nil
	s.issue(t, proved)
	s.attempt(t, l, 0, guess)
}

// waitsKnown: what a list of users says is what an attempt and a push find, of each user
// who is asked for and of no other.
func waitsKnown(t *testing.T, s *databaseSuite) {
	l, p := throttle.Limits{Free: 1, Daily: 9, Disable: 9}, pushLimit
	p.Pause = 1
	known := func(attempt, push time.Duration, ids ...string) {
		t.Helper()
		failures, err := s.b.Waits.Failures(t.Context(), ids)
		if got := l.Wait(failures[alice], s.now()); err != nil || got != attempt || len(failures[bob].Recent) != 0 {
			t.Errorf("of %q: %+v, %v, a wait of %v, want %v", ids, failures, err, got, attempt)
		}
		pushes, err := s.b.Waits.PushHistories(t.Context(), ids)
		if got := p.Wait(pushes[alice], s.now()); err != nil || got != push || len(pushes[bob].Recent) != 0 {
			t.Errorf("of %q: %+v, %v, pushes after %v, want %v", ids, pushes, err, got, push)
		}
	}
	known(0, 0)
	known(0, 0, alice, bob)
	s.attempt(t, l, 0, s.failure(alice))
	c := s.challenge("1", alice)
	s.admit(t, c, p, oob.Admitted{})
	s.answer(t, oob.Answer{Challenge: c, Event: audit.Event{At: s.now(), Type: audit.Denied, Subject: alice}}, "")
	known(time.Second, p.For, alice, bob)
	known(0, 0, bob)
	s.attempt(t, l, time.Second, s.failure(alice))
	s.await(t, s.challenge("2", alice), p, p.For)
	s.pass(p.For)
	known(0, 0, bob, alice)
}
