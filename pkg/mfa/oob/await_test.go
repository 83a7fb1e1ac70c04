package oob_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/memory"
)

const transaction, device = "tx1", "push|dev_1"

// A node answers polls of challenges in a store; there may be others.
type node struct {
	store   oob.Store
	waiters *oob.Waiters
	factor  *oob.Factor
	codes   *handle.Maker
	goHome  func() // and wait until it has shut down
}

// newNode is a node that listens. In a bubble of synctest nothing that it began may
// outlive the test.
func newNode(t *testing.T, store oob.Store) *node {
	t.Helper()
	ring, err := secret.NewRing(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n := &node{store: store, waiters: oob.NewWaiters(), codes: &handle.Maker{Kind: "oob_code", Ring: ring, Random: rand.Reader}}
	n.factor = oob.New(oob.Options{Store: store, Waiters: n.waiters, Ring: ring, Lifetime: time.Hour, Now: time.Now, Random: rand.Reader})
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := n.waiters.Listen(ctx, store); err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	n.goHome = func() {
		cancel()
		ended.Wait()
	}
	t.Cleanup(n.goHome)
	return n
}

// challenge creates one, and returns its id and the proof that polls it.
func (n *node) challenge(t *testing.T, answered bool) (string, mfa.Proof) {
	t.Helper()
	expiresAt := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	code, h, err := n.codes.Make(transaction, expiresAt)
	if err != nil {
		t.Fatal(err)
	}
	c := oob.Challenge{ID: h.ID, Handle: transaction, Authenticator: device, Answered: answered, ExpiresAt: expiresAt}
	if err := n.store.CreateChallenge(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return h.ID, mfa.Proof{"oob_code": code}
}

// An answered is what a poll came to, and when.
type answered struct {
	authenticator string
	err           error
	after         time.Duration
}

// await polls in the background.
func (n *node) await(ctx context.Context, p mfa.Proof, wait time.Duration) <-chan answered {
	got, began := make(chan answered, 1), time.Now()
	go func() {
		named, err := n.factor.Await(ctx, transaction, p, wait)
		got <- answered{named.Authenticator, err, time.Since(began)}
	}()
	return got
}

func (n *node) decide(t *testing.T, id string, state oob.State) {
	t.Helper()
	if err := n.store.Decide(t.Context(), id, state); err != nil {
		t.Fatal(err)
	}
}

func wantPending(t *testing.T, got answered, after, retry time.Duration) {
	t.Helper()
	var d *fault.Details
	if !errors.As(got.err, &d) || d.Kind != fault.Pending || d.RetryAfter != retry || got.after != after {
		t.Errorf("%+v after %v, want it pending after %v, to come back in %v", got.err, got.after, after, retry)
	}
}

func wantApproved(t *testing.T, got answered, after time.Duration) {
	t.Helper()
	if got.err != nil || got.authenticator != device || got.after != after {
		t.Errorf("%q, %v after %v, want %q after %v", got.authenticator, got.err, got.after, device, after)
	}
}

// inBubble is a test with a node and a clock that moves when all wait.
func inBubble(t *testing.T, name string, test func(*testing.T, *node)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newNode(t, memory.New(memory.Options{}))) })
	})
}

// What a poll that waits comes to, and when.
func TestWaits(t *testing.T) {
	inBubble(t, "until it is approved", func(t *testing.T, n *node) {
		id, proof := n.challenge(t, true)
		got := n.await(t.Context(), proof, mfa.MaxWait)
		time.Sleep(7 * time.Second)
		n.decide(t, id, oob.Approved)
		wantApproved(t, <-got, 7*time.Second)
	})
	inBubble(t, "until it is denied", func(t *testing.T, n *node) {
		id, proof := n.challenge(t, true)
		got := n.await(t.Context(), proof, mfa.MaxWait)
		time.Sleep(time.Second)
		n.decide(t, id, oob.Denied)
		if a := <-got; !errors.Is(a.err, fault.Rejected) || a.after != time.Second {
			t.Errorf("%+v, want it rejected", a)
		}
	})
	inBubble(t, "not for what was decided", func(t *testing.T, n *node) {
		id, proof := n.challenge(t, true)
		n.decide(t, id, oob.Approved)
		wantApproved(t, <-n.await(t.Context(), proof, mfa.MaxWait), 0)
	})
	inBubble(t, "not for a code", func(t *testing.T, n *node) {
		_, proof := n.challenge(t, false)
		wantApproved(t, <-n.await(t.Context(), proof, mfa.MaxWait), 0)
	})
	inBubble(t, "as long as it likes", func(t *testing.T, n *node) {
		_, proof := n.challenge(t, true)
		wantPending(t, <-n.await(t.Context(), proof, 2*time.Second), 2*time.Second, oob.Interval-2*time.Second)
		time.Sleep(oob.Interval)
		wantPending(t, <-n.await(t.Context(), proof, time.Hour), mfa.MaxWait, time.Second)
		wantPending(t, <-n.await(t.Context(), proof, 0), 0, oob.Interval)
	})
	inBubble(t, "not when it comes too soon", func(t *testing.T, n *node) {
		_, proof := n.challenge(t, true)
		first := n.await(t.Context(), proof, mfa.MaxWait)
		time.Sleep(time.Second)
		var d *fault.Details
		if a := <-n.await(t.Context(), proof, mfa.MaxWait); !errors.As(a.err, &d) || d.Kind != fault.SlowDown || d.RetryAfter != oob.Interval+oob.Slower {
			t.Errorf("%+v, want it to slow down", a)
		}
		wantPending(t, <-first, mfa.MaxWait, time.Second) // it lost nothing
	})
	inBubble(t, "while its client is there", func(t *testing.T, n *node) {
		_, proof := n.challenge(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		got := n.await(ctx, proof, mfa.MaxWait)
		time.Sleep(time.Second)
		cancel()
		if a := <-got; !errors.Is(a.err, fault.Unavailable) || a.after != time.Second {
			t.Errorf("%+v, want it given up", a)
		}
	})
	inBubble(t, "alone", onePollWaits)
	inBubble(t, "until it goes home", goesHome)
}

// forgetful knows not of what it shall tell, as after a connection broke.
type forgetful struct{ oob.Store }

func (forgetful) Listen(ctx context.Context, heard func(string)) error {
	for ctx.Err() == nil {
		heard("")
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// Who waits looks again when something may have been missed, and that is no poll.
func TestMissedNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, forgetful{memory.New(memory.Options{})})
		id, proof := n.challenge(t, true)
		got := n.await(t.Context(), proof, mfa.MaxWait)
		time.Sleep(5500 * time.Millisecond)
		n.decide(t, id, oob.Approved)
		wantApproved(t, <-got, 6*time.Second)
		_, proof = n.challenge(t, true)
		got = n.await(t.Context(), proof, 10*time.Second)
		wantPending(t, <-got, 10*time.Second, time.Second)
	})
}

// onePollWaits: the one before is answered when another one comes, on any node.
func onePollWaits(t *testing.T, n *node) {
	id, proof := n.challenge(t, true)
	other := newNode(t, n.store)
	other.factor = n.factor // reads the same codes, listens on its own
	first := n.await(t.Context(), proof, mfa.MaxWait)
	time.Sleep(oob.Interval + time.Second)
	second := other.await(t.Context(), proof, mfa.MaxWait)
	wantPending(t, <-first, oob.Interval+time.Second, oob.Interval)
	time.Sleep(time.Second)
	n.decide(t, id, oob.Approved)
	wantApproved(t, <-second, time.Second)
}

// goesHome: who waits when the node shuts down is told to come back, and so is who comes
// later.
func goesHome(t *testing.T, n *node) {
	_, proof := n.challenge(t, true)
	got := n.await(t.Context(), proof, mfa.MaxWait)
	time.Sleep(2 * time.Second)
	n.goHome()
	wantPending(t, <-got, 2*time.Second, oob.Interval-2*time.Second)
	time.Sleep(oob.Interval)
	wantPending(t, <-n.await(t.Context(), proof, mfa.MaxWait), 0, oob.Interval)
}

// However many wait, each is answered at once.
func TestManyWait(t *testing.T) {
	const waiting = 10_000
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, memory.New(memory.Options{}))
		ids, got := make([]string, waiting), make([]<-chan answered, waiting)
		for i := range waiting {
			var proof mfa.Proof
			ids[i], proof = n.challenge(t, true)
			got[i] = n.await(t.Context(), proof, mfa.MaxWait)
		}
		time.Sleep(10 * time.Second)
		for _, id := range ids {
			n.decide(t, id, oob.Approved)
		}
		for _, g := range got {
			wantApproved(t, <-g, 10*time.Second)
		}
	})
}
