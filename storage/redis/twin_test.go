package redis_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/storage/memory"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// Whatever is done in whatever order, a challenge is the same in Redis and in memory. Time
// goes by in steps of two seconds, and challenges end at odd ones: all edges are at least
// half a second away, so that it does not matter how long a step takes.
func TestMemoryIsTheTwin(t *testing.T) {
	server := storagetest.NewRedis(t)
	const runs, steps = 30, 120
	for run := range runs {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			chance, wound := rand.New(rand.NewPCG(seed, 0)), now
			clock := func() time.Time { return wound }
			w := twins{one: open(t, server.URL, clock), other: memory.New(memory.Options{Now: clock}), chance: chance}
			for range steps {
				if chance.IntN(3) == 0 {
					wound = wound.Add(time.Duration(chance.IntN(8)) * 2 * time.Second)
				}
				w.step(t, seed, wound)
			}
		})
	}
}

// twins are two stores that are told the same.
type twins struct {
	one, other oob.Store
	chance     *rand.Rand
}

// outcome is what a step came to; kinds of errors count, texts do not.
type outcome struct {
	polled oob.Polled
	c      oob.Challenge
	state  oob.State
	kind   fault.Kind
	failed bool
}

// step does one thing to both, and compares.
func (w twins) step(t *testing.T, seed uint64, wound time.Time) {
	t.Helper()
	id := fmt.Sprintf("%d-%d", seed, w.chance.IntN(3))
	waiter := []string{"", "", "v", "w"}[w.chance.IntN(4)]
	poll := oob.Poll{ID: id, Waiter: waiter, Woken: waiter != "" && w.chance.IntN(2) == 0}
	state := []oob.State{oob.Approved, oob.Approved, oob.Denied, oob.Superseded, oob.Expired}[w.chance.IntN(5)]
	lifetime := time.Duration(w.chance.IntN(60)*2+1) * time.Second
	c := oob.Challenge{ID: id, Authenticator: "a", Answered: w.chance.IntN(5) > 0, ExpiresAt: wound.Add(lifetime)}
	what := w.chance.IntN(20)
	do := func(s oob.Store) (o outcome) {
		var err error
		switch what {
		case 0:
			err = s.CreateChallenge(t.Context(), c)
		case 1:
			err = s.Decide(t.Context(), id, state)
		case 2, 3:
			o.c, o.state, err = s.Challenge(t.Context(), id)
		default:
			o.polled, err = s.Poll(t.Context(), poll)
		}
		if o.failed = err != nil; o.failed {
			o.kind = fault.Of(err)
		}
		if errors.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		return o
	}
	one, other := do(w.one), do(w.other)
	off := one.polled.Wait - other.polled.Wait
	one.polled.Wait = other.polled.Wait
	one.c.ExpiresAt = one.c.ExpiresAt.UTC()
	if fmt.Sprint(one) != fmt.Sprint(other) || off.Abs() > 400*time.Millisecond {
		t.Fatalf("seed %d at %v: %d of %+v, %s:\nRedis:  %+v\nmemory: %+v, to wait %v longer", seed, wound, what, poll, state, one, other, -off)
	}
}

func BenchmarkPoll(b *testing.B) {
	s := open(b, storagetest.Redis(b), nil)
	const challenges = 1000
	ids := make([]string, challenges)
	for n := range ids {
		ids[n] = fmt.Sprintf("%064x", n)
		if err := s.CreateChallenge(b.Context(), asked(ids[n])); err != nil {
			b.Fatal(err)
		}
	}
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for n := rand.IntN(challenges); p.Next(); n++ {
			if _, err := s.Poll(b.Context(), oob.Poll{ID: ids[n%challenges]}); err != nil {
				b.Error(err)
			}
		}
	})
}
