package identity

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	// DefaultWaiting is how many hashings may wait at a gate that was told nothing else.
	// At 30 ms each on two cores the last of them waits two seconds, which is as long
	// as a login should.
	DefaultWaiting = 64

	// gateRetry is what a turned-away client is told to wait.
	gateRetry = time.Second
)

var errQueueFull = errors.New("too many password hashings are waiting")

// A Gate keeps password hashing, which takes a core and tens of megabytes for tens of
// milliseconds, from starving everything else: a few run at once, some wait in the
// order they came, the rest are turned away.
type Gate struct {
	// Watch, unless nil, is told when a caller begins to "wait" and when its work begins
	// to "hash"; what it returns is told how that ended. It is set before the first Do.
	Watch func(ctx context.Context, operation string) (context.Context, func(error))

	places chan struct{} // one for everybody inside, running or waiting
	slots  chan struct{} // one for each that runs
	runs   atomic.Uint64
}

// NewGate makes a gate for atOnce hashings at a time and waiting more in a queue.
// An atOnce below 1 means one core fewer than there are (at least 1), so that one is
// always free for cheap requests; a negative waiting means [DefaultWaiting].
func NewGate(atOnce, waiting int) *Gate {
	if atOnce < 1 {
		atOnce = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if waiting < 0 {
		waiting = DefaultWaiting
	}
	return &Gate{
		places: make(chan struct{}, atOnce+waiting),
		slots:  make(chan struct{}, atOnce),
	}
}

// Do runs work when its turn comes. It fails with fault.Overloaded, and a time to
// retry after, when the queue is full or ctx ends first; work has not begun then.
func (g *Gate) Do(ctx context.Context, work func()) error {
	begun := g.watch(ctx, "wait")
	leave, err := g.enter(ctx)
	begun(err)
	if err != nil {
		return overloaded(err)
	}
	defer leave()
	defer g.watch(ctx, "hash")(nil)
	g.runs.Add(1)
	work()
	return nil
}

// enter waits for a turn and returns how to give it back.
func (g *Gate) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.places <- struct{}{}:
	default:
		return nil, errQueueFull
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		<-g.places
		return nil, ctx.Err()
	}
	leave = func() {
		<-g.slots
		<-g.places
	}
	// When both were ready select may have taken the slot for somebody who has left.
	if err := ctx.Err(); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (g *Gate) watch(ctx context.Context, operation string) func(error) {
	if g.Watch == nil {
		return func(error) {}
	}
	_, ended := g.Watch(ctx, operation)
	return ended
}

// Waiting is how many wait for their turn, for metrics.
func (g *Gate) Waiting() int { return max(0, len(g.places)-len(g.slots)) }

// Runs is how many hashings have begun since the gate was made, for metrics.
func (g *Gate) Runs() uint64 { return g.runs.Load() }

func overloaded(err error) error {
	return &fault.Details{Kind: fault.Overloaded, RetryAfter: gateRetry, Err: err}
}
