package conformance

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// The numbers are those of RFC 8628, 3.5.
func pollSlowsDown(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	s.create(t, "other")
	for _, second := range []time.Duration{0, 5, 10} {
		s.at(second * time.Second)
		wantWait(t, s.poll(t, oob.Poll{ID: "c"}, oob.Pending), 5*time.Second)
	}
	s.at(12 * time.Second)
	s.tooSoon(t, "c", 10*time.Second)
	s.at(19 * time.Second)
	s.tooSoon(t, "c", 15*time.Second)
	s.at(34 * time.Second)
	wantWait(t, s.poll(t, oob.Poll{ID: "c"}, oob.Pending), 15*time.Second)
	s.at(48 * time.Second)
	s.tooSoon(t, "c", 20*time.Second)
	wantWait(t, s.poll(t, oob.Poll{ID: "other"}, oob.Pending), 5*time.Second)
}

func pollFinal(t *testing.T, s *challengeSuite) {
	for _, state := range []oob.State{oob.Denied, oob.Superseded} {
		s.at(0)
		s.create(t, string(state))
		s.decide(t, string(state), state)
		for n := range 5 {
			s.at(time.Duration(n) * oob.Interval)
			s.poll(t, oob.Poll{ID: string(state)}, state)
		}
		s.at(4*oob.Interval + time.Second)
		s.tooSoon(t, string(state), oob.Interval+oob.Slower)
	}
}

// A poll that comes too soon neither sees the approval, nor uses it up, nor makes the
// challenge last.
func pollTooSoonSeesNothing(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	s.poll(t, oob.Poll{ID: "c", Waiter: "first"}, oob.Pending)
	s.decide(t, "c", oob.Approved)
	s.at(time.Second)
	s.tooSoon(t, "c", 10*time.Second)
	if got, err := s.Poll(t.Context(), oob.Poll{ID: "c", Waiter: "second"}); err != nil || !got.TooSoon || got.Waiting {
		t.Errorf("%+v, %v, want it too soon to wait", got, err)
	}
	s.poll(t, oob.Poll{ID: "c", Waiter: "first", Woken: true}, oob.Approved) // it has its place still
	s.at(lifetime + oob.Window + edge)
	s.poll(t, oob.Poll{ID: "c"}, "")
}

// Who polls every five seconds as well as a network lets it is never told to slow down.
func pollTolerance(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	for n := range 40 {
		jitter := time.Duration(n*37%5-2) * 45 * time.Millisecond
		s.at(time.Second + time.Duration(n)*oob.Interval + jitter)
		s.poll(t, oob.Poll{ID: "c"}, oob.Pending)
	}
	last := s.now().Sub(epoch)
	s.at(last + oob.Interval - oob.Tolerance - edge)
	s.tooSoon(t, "c", oob.Interval+oob.Slower)
}

func pollSlowest(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	s.poll(t, oob.Poll{ID: "c"}, oob.Pending)
	for n := range 20 {
		s.tooSoon(t, "c", min(oob.Interval+time.Duration(n+1)*oob.Slower, oob.Slowest))
	}
	s.at(oob.Slowest)
	wantWait(t, s.poll(t, oob.Poll{ID: "c"}, oob.Pending), oob.Slowest)
}

// Of the polls that find an approval one is told, and when it has not redeemed it within a
// lease, one more. To the others nothing is wrong.
func pollLease(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	s.poll(t, oob.Poll{ID: "c"}, oob.Pending)
	s.decide(t, "c", oob.Approved)
	for n := range 4 {
		began := oob.Interval + time.Duration(n)*(oob.Lease+edge)
		s.at(began)
		s.poll(t, oob.Poll{ID: "c"}, oob.Approved)
		wantWait(t, s.poll(t, oob.Poll{ID: "c"}, oob.Pending), oob.Lease)
		got := s.poll(t, oob.Poll{ID: "c", Waiter: "w"}, oob.Pending)
		if wantWait(t, got, oob.Lease); got.Waiting {
			t.Error("it waits for an answer that has come")
		}
		s.at(began + oob.Lease/2)
		wantWait(t, s.poll(t, oob.Poll{ID: "c"}, oob.Pending), oob.Lease/2)
	}
	s.decide(t, "c", oob.Denied) // also while it is redeemed
	s.at(lifetime)
	s.poll(t, oob.Poll{ID: "c"}, oob.Denied)
}

// pollBare: of a challenge that needs a code, who sends none learns only that it was denied,
// and neither uses an approval up nor waits for less long.
func pollBare(t *testing.T, s *challengeSuite) {
	for _, id := range []string{"c", "asked"} {
		s.create(t, id)
		if got := s.poll(t, oob.Poll{ID: id, Waiter: "w", Bare: true}, oob.Pending); !got.Waiting {
			t.Errorf("%+v, want it to wait", got)
		}
	}
	s.decide(t, "c", oob.Approved)
	same := func(p oob.Poll, want oob.State) {
		t.Helper()
		p.ID = "asked"
		asked := s.poll(t, p, want)
		p.ID = "c"
		got := s.poll(t, p, want)
		wantWait(t, got, asked.Wait)
		if got.Wait = asked.Wait; got != asked {
			t.Errorf("of the approved one %+v, of the other %+v", got, asked)
		}
	}
	same(oob.Poll{Waiter: "w", Woken: true, Bare: true}, oob.Pending)
	for n := range 3 {
		s.at(time.Duration(n+1) * oob.Interval)
		same(oob.Poll{Bare: true}, oob.Pending)
	}
	s.tooSoon(t, "c", oob.Interval+oob.Slower)
	s.tooSoon(t, "asked", oob.Interval+oob.Slower)
	s.at(lifetime + edge)
	same(oob.Poll{Bare: true}, oob.Expired)
	s.at(lifetime + 2*oob.Interval + oob.Slower)
	s.poll(t, oob.Poll{ID: "c"}, oob.Approved)
	s.decide(t, "c", oob.Denied)
	s.at(lifetime + 4*oob.Interval + oob.Slower)
	s.poll(t, oob.Poll{ID: "c", Bare: true}, oob.Denied)
}

// Who waits looks as often as it is woken, and others are not told to come later for it.
func pollWoken(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	if got := s.poll(t, oob.Poll{ID: "c", Waiter: "w"}, oob.Pending); !got.Waiting {
		t.Errorf("%+v, want it to wait", got)
	}
	for n := range 3 {
		s.at(time.Duration(n) * time.Second)
		got := s.poll(t, oob.Poll{ID: "c", Waiter: "w", Woken: true}, oob.Pending)
		if wantWait(t, got, oob.Interval-time.Duration(n)*time.Second); !got.Waiting {
			t.Errorf("%+v, want it to wait on", got)
		}
	}
	s.at(30 * time.Second)
	wantWait(t, s.poll(t, oob.Poll{ID: "c", Waiter: "w", Woken: true}, oob.Pending), 0)
	s.poll(t, oob.Poll{ID: "c"}, oob.Pending) // a poll that waits not takes no place
	s.at(31 * time.Second)
	s.decide(t, "c", oob.Approved)
	s.poll(t, oob.Poll{ID: "c", Waiter: "w", Woken: true}, oob.Approved)
	s.poll(t, oob.Poll{ID: "c", Waiter: "w", Woken: true}, oob.Pending)
	for _, state := range []oob.State{oob.Denied, oob.Superseded} {
		id := string(state)
		s.create(t, id)
		s.poll(t, oob.Poll{ID: id, Waiter: "w"}, oob.Pending)
		s.decide(t, id, state)
		s.poll(t, oob.Poll{ID: id, Waiter: "w", Woken: true}, state)
		s.poll(t, oob.Poll{ID: id, Waiter: "other", Woken: true}, state)
	}
}

// The last one to come waits, and is told; the one before hears of it and finds that.
func pollWaiter(t *testing.T, s *challengeSuite) {
	heard := listen(t, s)
	s.create(t, "c")
	s.poll(t, oob.Poll{ID: "c", Waiter: "first"}, oob.Pending)
	s.at(oob.Interval)
	if got := s.poll(t, oob.Poll{ID: "c", Waiter: "second"}, oob.Pending); !got.Waiting {
		t.Errorf("%+v, want it to wait", got)
	}
	heard.want(t, "c")
	s.at(oob.Interval + time.Second)
	got := s.poll(t, oob.Poll{ID: "c", Waiter: "first", Woken: true}, oob.Pending)
	if wantWait(t, got, oob.Interval-time.Second); got.Waiting {
		t.Errorf("%+v, want its place taken", got)
	}
	s.decide(t, "c", oob.Approved)
	heard.want(t, "c")
	s.poll(t, oob.Poll{ID: "c", Waiter: "first", Woken: true}, oob.Pending)
	s.poll(t, oob.Poll{ID: "c", Waiter: "second", Woken: true}, oob.Approved)
}

// What a code comes back from is found at once, however often.
func pollNotAnswered(t *testing.T, s *challengeSuite) {
	c := challenge("c")
	c.Answered = false
	if err := s.CreateChallenge(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := s.poll(t, oob.Poll{ID: "c", Waiter: "w"}, oob.Pending); got.Answered || got.Waiting || got.Wait != 0 {
			t.Errorf("%+v, want no interval", got)
		}
	}
	s.decide(t, "c", oob.Superseded)
	s.poll(t, oob.Poll{ID: "c"}, oob.Superseded)
	s.at(lifetime + oob.Window + edge)
	s.poll(t, oob.Poll{ID: "c"}, "")
}

// ears are what a node heard.
type ears chan string

// listen returns when the node hears.
func listen(t *testing.T, s *challengeSuite) ears {
	t.Helper()
	heard := make(ears, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := s.Listen(ctx, func(id string) { heard <- id }); err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	heard.want(t, "")
	return heard
}

// want waits until an id is heard; others may come before.
func (e ears) want(t *testing.T, id string) {
	t.Helper()
	for got := e.next(t, id); got != id; got = e.next(t, id) {
		t.Logf("told of %q", got)
	}
}

// next waits for an id that begins so.
func (e ears) next(t *testing.T, begins string) string {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case got := <-e:
			if strings.HasPrefix(got, begins) {
				return got
			}
		case <-late:
			t.Fatalf("nobody told of %q", begins)
		}
	}
}

// Each decision is told on every node, once; in a cluster not in order, and what other
// tests did may be heard late.
func challengeHeard(t *testing.T, s *challengeSuite) {
	nodes := []ears{listen(t, s), listen(t, s)}
	told := map[string]int{}
	for _, state := range []oob.State{oob.Approved, oob.Denied, oob.Superseded} {
		id := "heard " + string(state)
		s.create(t, id)
		s.poll(t, oob.Poll{ID: id, Waiter: "w"}, oob.Pending)
		s.decide(t, id, state)
		s.decide(t, id, state) // is no news
		told[id] = 1
	}
	s.decide(t, "heard approved", oob.Denied)
	told["heard approved"] = 2
	for _, node := range nodes {
		left := maps.Clone(told)
		for len(left) > 0 {
			id := node.next(t, "heard ")
			if left[id]--; left[id] == 0 {
				delete(left, id)
			} else if left[id] < 0 {
				t.Fatalf("it was told of %q too often", id)
			}
		}
	}
}

// However many come at once, one thing happens.
func challengeRaces(t *testing.T, s *challengeSuite) {
	for round := range 5 {
		id := fmt.Sprint(round)
		t.Run("approve and deny", func(t *testing.T) { raceDecisions(t, s, "decide"+id) })
		t.Run("approve twice", func(t *testing.T) { raceApprovals(t, s, "approve"+id) })
		t.Run("approve and poll", func(t *testing.T) { racePolls(t, s, "poll"+id) })
		t.Run("create", func(t *testing.T) { raceCreates(t, s, "create"+id) })
	}
}

// raceDecisions: the denial always holds.
func raceDecisions(t *testing.T, s *challengeSuite, id string) {
	s.create(t, id)
	states := []oob.State{oob.Approved, oob.Denied, oob.Superseded}
	atBarrier(func(i int) {
		state := states[i%3]
		err := s.Decide(t.Context(), id, state)
		if err != nil && (state == oob.Denied || fault.Of(err) != fault.NotFound) {
			t.Errorf("%s: %v", state, err)
		}
	})
	s.want(t, challenge(id), oob.Denied)
	s.poll(t, oob.Poll{ID: id}, oob.Denied)
}

// raceApprovals: whoever is told that it was approved is told the truth.
func raceApprovals(t *testing.T, s *challengeSuite, id string) {
	s.create(t, id)
	var approved, superseded atomic.Int64
	atBarrier(func(i int) {
		state, count := oob.Approved, &approved
		if i%2 == 0 {
			state, count = oob.Superseded, &superseded
		}
		switch err := s.Decide(t.Context(), id, state); {
		case err == nil:
			count.Add(1)
		case fault.Of(err) != fault.NotFound:
			t.Errorf("%s: %v", state, err)
		}
	})
	if a, o := approved.Load(), superseded.Load(); (a == 0) == (o == 0) || a+o != parallel/2 {
		t.Errorf("%d were told that it is approved and %d that it is superseded", a, o)
	}
}

// racePolls: at the moment of approval one poll is told, in each lease.
func racePolls(t *testing.T, s *challengeSuite, id string) {
	s.create(t, id)
	s.decide(t, id, oob.Approved)
	began := s.now().Sub(epoch)
	defer s.at(began)
	for lease := range 3 {
		s.at(began + time.Duration(lease)*20*oob.Lease)
		var told atomic.Int64
		atBarrier(func(int) {
			got, err := s.Poll(t.Context(), oob.Poll{ID: id})
			switch {
			case err != nil || got.TooSoon || got.State != oob.Approved && got.State != oob.Pending:
				t.Errorf("%+v, %v", got, err)
			case got.State == oob.Approved:
				told.Add(1)
			}
		})
		if told.Load() != 1 {
			t.Errorf("%d of %d polls were told of the approval, want 1", told.Load(), parallel)
		}
	}
}

func raceCreates(t *testing.T, s *challengeSuite, id string) {
	var won atomic.Int64
	atBarrier(func(int) {
		if err := s.CreateChallenge(t.Context(), challenge(id)); err == nil {
			won.Add(1)
		} else if fault.Of(err) != fault.Internal {
			t.Errorf("loser got %v, want an error without a kind", err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d creates of one id succeeded, want 1", won.Load())
	}
}
