package redis_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// Challenges in a cluster whose slots move, whose masters are cut off and die, and whose
// replicas were never told of the last.
func TestClusterFaults(t *testing.T) {
	g := storagetest.NewLossyCluster(t)
	s, other := open(t, g.URL, nil), open(t, g.URL, nil)
	t.Run("all nodes are told", func(t *testing.T) { allAreTold(t, s, other) })
	t.Run("a slot moves under polls", func(t *testing.T) { slotMovesUnderPolls(t, g, s) })
	t.Run("a minority", func(t *testing.T) { minority(t, g, s) })
	t.Run("a failover loses", func(t *testing.T) { clusterFailoverLoses(t, g, s) })
	t.Run("a slot loses master and replica", func(t *testing.T) { slotLosesAll(t, g, s) })
}

// allAreTold: whichever master a challenge is on, and whichever node decides.
func allAreTold(t *testing.T, s, other *redis.Store) {
	heard := listening(t, s)
	for n := range 20 {
		id := fmt.Sprint("told", n)
		ask(t, other, id)
		decide(t, other, id, oob.Approved)
		heard.want(t, id)
	}
}

// slotMovesUnderPolls moves a slot with its keys, while they are polled and decided:
// nobody sees an error, or misses a challenge.
func slotMovesUnderPolls(t *testing.T, g *storagetest.RedisCluster, s *redis.Store) {
	const challenges = 20
	key := func(n int) string { return fmt.Sprintf("oob:{m}%d}", n) }
	id := func(n int) string { return fmt.Sprintf("m}%d", n) }
	for n := range challenges {
		ask(t, s, id(n))
	}
	ctx, stop := context.WithCancel(t.Context())
	var polls atomic.Int64
	var pollers sync.WaitGroup
	for p := range 4 {
		pollers.Go(func() {
			for n := p; ctx.Err() == nil; n++ {
				if _, err := s.Poll(t.Context(), oob.Poll{ID: id(n % challenges)}); err != nil {
					t.Errorf("poll: %v", err)
				}
				polls.Add(1)
			}
		})
	}
	move := g.MoveSlot(t, key(0))
	for n := range challenges {
		move.Key(t, key(n))
		decide(t, s, id(n), oob.Denied)
		ask(t, s, fmt.Sprintf("m}new%d", n))
	}
	move.End(t)
	for before := polls.Load(); polls.Load() < before+100 && !t.Failed(); {
		wantState(t, s, id(0), oob.Denied)
	}
	stop()
	pollers.Wait()
	for n := range challenges {
		wantState(t, s, id(n), oob.Denied)
		wantState(t, s, fmt.Sprintf("m}new%d", n), oob.Pending)
	}
}

// minority: a master that sees none of the others ends to answer; when they are back,
// what it had is there.
func minority(t *testing.T, g *storagetest.RedisCluster, s *redis.Store) {
	ask(t, s, "p")
	decide(t, s, "p", oob.Approved)
	heal := g.Isolate(t, "oob:{p}")
	began := time.Now()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		_, _, err := s.Challenge(t.Context(), "p")
		if err != nil {
			wantUnavailable(t, "load", err)
			break
		}
		if time.Since(began) > takeover {
			t.Fatalf("a minority answers after %v", takeover)
		}
		<-again.C
	}
	_, poll := s.Poll(t.Context(), oob.Poll{ID: "p"})
	wantUnavailable(t, "poll", poll)
	wantUnavailable(t, "create", s.CreateChallenge(t.Context(), asked("p}new")))
	wantUnavailable(t, "decide", s.Decide(t.Context(), "p", oob.Denied))
	wantUnavailable(t, "ping", s.Ping(t.Context()))
	heal()
	awaitServed(t, s, "p")
	wantPoll(t, s, "p", oob.Approved)
	awaitPing(t, s)
}

// clusterFailoverLoses kills a master that replicates to nobody.
func clusterFailoverLoses(t *testing.T, g *storagetest.RedisCluster, s *redis.Store) {
	heard := listening(t, s)
	for _, id := range []string{"x}open", "x}approved", "x}redeemed"} {
		ask(t, s, id)
	}
	decide(t, s, "x}redeemed", oob.Approved)
	g.Cut(t, "oob:{x}")
	wantPoll(t, s, "x}redeemed", oob.Approved)
	wantPoll(t, s, "x}redeemed", oob.Pending)
	decide(t, s, "x}approved", oob.Approved)
	ask(t, s, "x}new")
	g.StopMaster(t, "oob:{x}")
	_, poll := s.Poll(t.Context(), oob.Poll{ID: "x}redeemed"})
	wantUnavailable(t, "poll", poll)
	awaitServed(t, s, "x}open")
	wantPoll(t, s, "x}redeemed", oob.Approved) // SQL knows that it was redeemed
	wantState(t, s, "x}approved", oob.Pending)
	wantState(t, s, "x}open", oob.Pending)
	if _, err := s.Poll(t.Context(), oob.Poll{ID: "x}new"}); fault.Of(err) != fault.NotFound {
		t.Errorf("what the new master was never told of: %v, want NotFound", err)
	}
	awaitPing(t, s)
	heard.drain()
	ask(t, s, "x}heard")
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); ; <-again.C { // the subscription may have been there
		decide(t, s, "x}heard", oob.Denied)
		select {
		case <-heard:
			return
		default:
		}
		if time.Since(began) > takeover {
			t.Fatal("it does not listen again")
		}
	}
}

// slotLosesAll kills who has taken over, too. A cluster that is not whole serves nobody.
func slotLosesAll(t *testing.T, g *storagetest.RedisCluster, s *redis.Store) {
	g.Kill(t, "oob:{x}")
	for range 20 {
		_, _, load := s.Challenge(t.Context(), "x}open")
		_, poll := s.Poll(t.Context(), oob.Poll{ID: "x}redeemed"})
		wantUnavailable(t, "load", load)
		wantUnavailable(t, "poll", poll)
		wantUnavailable(t, "decide", s.Decide(t.Context(), "x}open", oob.Approved))
	}
	wantUnavailable(t, "ping", s.Ping(t.Context()))
}
