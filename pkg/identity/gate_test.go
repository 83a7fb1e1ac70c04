package identity_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

func TestGateBoundsWhatRunsAndWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const atOnce, waiting, clients = 2, 3, 20
		gate := identity.NewGate(atOnce, waiting)
		barrier := make(chan struct{})
		var running, most, done, refused atomic.Int32
		for range clients {
			go func() {
				err := gate.Do(t.Context(), func() {
					most.Store(max(most.Load(), running.Add(1)))
					<-barrier
					running.Add(-1)
					done.Add(1)
				})
				if err == nil {
					return
				}
				var d *fault.Details
				if !errors.As(err, &d) || d.Kind != fault.Overloaded || d.RetryAfter != time.Second {
					t.Errorf("refused with %v", err)
				}
				refused.Add(1)
			}()
		}
		synctest.Wait() // everybody runs, waits or was refused
		if running.Load() != atOnce || refused.Load() != clients-atOnce-waiting {
			t.Errorf("%d run and %d are refused, want %d and %d",
				running.Load(), refused.Load(), atOnce, clients-atOnce-waiting)
		}
		close(barrier)
		synctest.Wait()
		if done.Load() != atOnce+waiting || gate.Runs() != atOnce+waiting || most.Load() > atOnce {
			t.Errorf("%d done, %d counted, %d at once", done.Load(), gate.Runs(), most.Load())
		}
		if err := gate.Do(t.Context(), func() {}); err != nil {
			t.Errorf("an empty gate refuses: %v", err)
		}
	})
}

func TestGateLetsGoOfWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := identity.NewGate(1, 1)
		barrier := make(chan struct{})
		go func() { _ = gate.Do(t.Context(), func() { <-barrier }) }()
		synctest.Wait()
		ctx, leave := context.WithTimeout(t.Context(), 5*time.Second)
		defer leave()
		err := gate.Do(ctx, func() { t.Error("work for somebody who has left") })
		if fault.Of(err) != fault.Overloaded || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", err)
		}
		waited := make(chan error)
		go func() { waited <- gate.Do(t.Context(), func() {}) }() // the place is free again
		synctest.Wait()
		close(barrier)
		if err := <-waited; err != nil {
			t.Errorf("the next in the queue: %v", err)
		}
	})
}

func TestGateDoesNoWorkAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gate := identity.NewGate(1, 0)
	for range 20 { // the choice between two ready channels is random
		err := gate.Do(ctx, func() { t.Error("work for somebody who has left") })
		if fault.Of(err) != fault.Overloaded {
			t.Fatalf("a canceled request: %v", err)
		}
	}
}

func TestGateSurvivesPanics(t *testing.T) {
	gate := identity.NewGate(1, 0)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_ = gate.Do(t.Context(), func() { panic("hash") })
	}()
	if err := gate.Do(t.Context(), func() {}); err != nil {
		t.Errorf("the slot is lost: %v", err)
	}
}

func TestDefaultGateLeavesACore(t *testing.T) {
	for _, cores := range []int{1, 2, 4} {
		previous := runtime.GOMAXPROCS(cores)
		gate := identity.NewGate(0, 0)
		runtime.GOMAXPROCS(previous)
		synctest.Test(t, func(t *testing.T) {
			barrier := make(chan struct{})
			var running atomic.Int32
			for range cores + 2 {
				go func() { _ = gate.Do(t.Context(), func() { running.Add(1); <-barrier }) }()
			}
			synctest.Wait()
			if got := int(running.Load()); got != max(1, cores-1) {
				t.Errorf("%d cores: %d at once", cores, got)
			}
			close(barrier)
		})
	}
}

// A login that finds the queue full is refused as overload, not as a wrong password.
func TestLoginsBehindAFullGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := identity.NewGate(1, 0)
		p, err := identity.NewPasswords(identity.Options{Users: &people{}, Gate: gate, Params: cheap})
		if err != nil {
			t.Fatal(err)
		}
		barrier := make(chan struct{})
		go func() { _ = gate.Do(t.Context(), func() { <-barrier }) }()
		synctest.Wait()
		_, err = p.Verify(t.Context(), identity.Credentials{Username: "a", Password: secret.New("b")})
		if fault.Of(err) != fault.Overloaded {
			t.Errorf("login: %v", err)
		}
		if _, err := p.Hash(t.Context(), secret.New("b")); fault.Of(err) != fault.Overloaded {
			t.Errorf("hash: %v", err)
		}
		close(barrier)
	})
}

// What watches a gate is told of every wait and of every hashing, and of those who were
// turned away.
func TestGateIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		var mu sync.Mutex
		gate := identity.NewGate(1, 1)
		gate.Watch = func(ctx context.Context, operation string) (context.Context, func(error)) {
			began := time.Now()
			return ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprint(operation, time.Since(began), err != nil))
			}
		}
		var done sync.WaitGroup
		for range 2 {
			done.Go(func() {
				if err := gate.Do(t.Context(), func() { time.Sleep(time.Second) }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if gate.Waiting() != 1 {
			t.Errorf("%d wait", gate.Waiting())
		}
		if err := gate.Do(t.Context(), func() {}); err == nil {
			t.Error("a third one was let in")
		}
		done.Wait()
		slices.Sort(seen)
		if want := []string{"hash1s false", "hash1s false", "wait0s false", "wait0s true", "wait1s false"}; !slices.Equal(seen, want) {
			t.Errorf("it was told %v", seen)
		}
		if gate.Waiting() != 0 {
			t.Errorf("%d wait", gate.Waiting())
		}
	})
}
