// Package conformance holds the suites that every backend of storage passes. A suite
// takes a function that opens an empty store; the clock is the suite's own, wound by
// hand.
package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

// parallel is how many callers meet at a barrier.
const parallel = 50

// epoch is when the clock of every test begins.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A transactionSuite is one store under test and the clock it reads.
type transactionSuite struct {
	mfa.TransactionStore
	elapsed atomic.Int64 // nanoseconds since epoch
}

func (s *transactionSuite) now() time.Time {
	return epoch.Add(time.Duration(s.elapsed.Load()))
}

// RunTransactions is the suite that every mfa.TransactionStore passes. open makes an
// empty store that goes by now and ends with the test it is given.
func RunTransactions(t *testing.T, open func(t testing.TB, now func() time.Time) mfa.TransactionStore) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *transactionSuite){
		"create, load, end":      transactionLives,
		"round trip":             transactionRoundTrip,
		"nothing is shared":      transactionIsCopied,
		"an id is given once":    transactionIDOnce,
		"unknown":                transactionUnknown,
		"expiry":                 transactionExpires,
		"born expired":           transactionBornExpired,
		"parallel creates":       transactionParallelCreates,
		"creates against ends":   transactionCreateEndRace,
		"the context is honored": transactionCanceled,
	} {
		t.Run(name, func(t *testing.T) {
			s := &transactionSuite{}
			s.TransactionStore = open(t, s.now)
			test(t, s)
		})
	}
}

// transaction is a live transaction with every field set.
func transaction(id string) mfa.Transaction {
	return mfa.Transaction{
		ID: id,
		Login: mfa.Login{
			Subject: "auth0|alice", Client: "spa", Origin: mfa.FromPassword, Grant: "password",
			Scopes: []string{"openid", "read:mail"}, Audience: []string{"https://api.example/"},
			Proofs:  []record.Proof{{Methods: []string{"pwd"}, Authenticator: "a1", At: epoch.Add(-time.Millisecond)}},
			Session: "s1", Address: "192.0.2.7", KeyThumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
			Continuation: json.RawMessage(`{"state":"<&> é","n":[1,2]}`),
		},
		Factors:   []string{"totp|a"},
		CreatedAt: epoch.Add(123 * time.Millisecond),
		ExpiresAt: epoch.Add(5*time.Minute + 7*time.Millisecond),
	}
}

func (s *transactionSuite) create(t *testing.T, tx mfa.Transaction) {
	t.Helper()
	if err := s.CreateTransaction(t.Context(), tx); err != nil {
		t.Fatalf("create %q: %v", tx.ID, err)
	}
}

func (s *transactionSuite) wantGone(t *testing.T, id string) {
	t.Helper()
	if got, err := s.Transaction(t.Context(), id); fault.Of(err) != fault.NotFound {
		t.Errorf("transaction %q: %+v, %v, want NotFound", id, got, err)
	}
}

func (s *transactionSuite) want(t *testing.T, want mfa.Transaction) {
	t.Helper()
	got, err := s.Transaction(t.Context(), want.ID)
	if err != nil {
		t.Errorf("transaction %q: %v", want.ID, err)
		return
	}
	// The continuation is JSON: what it says must stay, not how it is written.
	if g, w := decoded(t, got.Login.Continuation), decoded(t, want.Login.Continuation); !reflect.DeepEqual(g, w) {
		t.Errorf("continuation %s, want %s", got.Login.Continuation, want.Login.Continuation)
	}
	got.Login.Continuation, want.Login.Continuation = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func decoded(t *testing.T, text json.RawMessage) any {
	t.Helper()
	if text == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Errorf("continuation %q: %v", text, err)
	}
	return v
}

func transactionLives(t *testing.T, s *transactionSuite) {
	one, other := transaction("one"), transaction("other")
	other.Login.Subject = "auth0|bob"
	s.create(t, one)
	s.create(t, other)
	s.want(t, one)
	s.want(t, one) // loading does not consume
	for range 2 {  // the second end finds it gone
		if err := s.EndTransaction(t.Context(), "one"); err != nil {
			t.Errorf("end: %v", err)
		}
		s.wantGone(t, "one")
	}
	s.want(t, other)
}

func transactionRoundTrip(t *testing.T, s *transactionSuite) {
	s.create(t, transaction("full"))
	s.want(t, transaction("full"))

	none := mfa.Transaction{ID: "nil lists", CreatedAt: epoch, ExpiresAt: epoch.Add(time.Minute)}
	s.create(t, none)
	s.want(t, none)

	empty := none
	empty.ID = "empty lists"
	empty.Login.Scopes, empty.Login.Audience, empty.Login.Proofs = []string{}, []string{}, []record.Proof{}
	s.create(t, empty)
	s.want(t, empty)

	odd := transaction("odd {id}\n\x00 é:*")
	s.create(t, odd)
	s.want(t, odd)
}

func transactionIsCopied(t *testing.T, s *transactionSuite) {
	given := transaction("t")
	s.create(t, given)
	scribble(given)
	s.want(t, transaction("t"))

	got, err := s.Transaction(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	scribble(got)
	s.want(t, transaction("t"))
}

// scribble changes everything that a transaction points to.
func scribble(tx mfa.Transaction) {
	tx.Login.Scopes[0] = "changed"
	tx.Login.Audience[0] = "changed"
	tx.Login.Proofs[0].Methods[0] = "changed"
	tx.Login.Proofs[0].Authenticator = "changed"
	tx.Login.Continuation[0] = 'x'
}

func transactionIDOnce(t *testing.T, s *transactionSuite) {
	s.create(t, transaction("t"))
	second := transaction("t")
	second.Login.Subject = "auth0|mallory"
	second.ExpiresAt = second.ExpiresAt.Add(time.Hour)
	// Neither is it a dependency that fails: trying again would not help.
	if err := s.CreateTransaction(t.Context(), second); fault.Of(err) != fault.Internal || err == nil {
		t.Errorf("second create: %v, want an error without a kind", err)
	}
	s.want(t, transaction("t"))
	if err := s.EndTransaction(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	s.create(t, second)
	s.want(t, second)
}

func transactionUnknown(t *testing.T, s *transactionSuite) {
	s.wantGone(t, "unknown")
	if err := s.EndTransaction(t.Context(), "unknown"); err != nil {
		t.Errorf("end: %v", err)
	}
}

func transactionExpires(t *testing.T, s *transactionSuite) {
	short, long := transaction("short"), transaction("long")
	long.ExpiresAt = long.ExpiresAt.Add(time.Millisecond)
	s.create(t, long)
	s.create(t, short)
	s.elapsed.Store(int64(short.ExpiresAt.Sub(epoch) - time.Millisecond))
	s.want(t, short)
	s.elapsed.Store(int64(short.ExpiresAt.Sub(epoch)))
	s.wantGone(t, "short")
	s.want(t, long)
	if err := s.EndTransaction(t.Context(), "short"); err != nil {
		t.Errorf("end of an expired one: %v", err)
	}
	s.elapsed.Store(int64(long.ExpiresAt.Sub(epoch)))
	s.wantGone(t, "long")
}

func transactionBornExpired(t *testing.T, s *transactionSuite) {
	tx := transaction("late")
	tx.ExpiresAt = epoch
	if err := s.CreateTransaction(t.Context(), tx); err == nil {
		t.Error("a transaction that ends as it begins was accepted")
	}
	s.wantGone(t, "late")
}

func transactionParallelCreates(t *testing.T, s *transactionSuite) {
	var won atomic.Int64
	atBarrier(func(i int) {
		tx := transaction("t")
		tx.Login.Subject = fmt.Sprint(i)
		switch err := s.CreateTransaction(t.Context(), tx); {
		case err == nil:
			won.Add(1)
		case fault.Of(err) != fault.Internal:
			t.Errorf("loser got %v, want an error without a kind", err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d creates of one id succeeded, want 1", won.Load())
	}
}

// Whoever loads while others create and end sees all of a transaction or nothing,
// and the last end leaves nothing.
func transactionCreateEndRace(t *testing.T, s *transactionSuite) {
	want := transaction("t")
	want.Login.Continuation = nil
	atBarrier(func(i int) {
		switch i % 3 {
		case 0: // all but one lose, unless an end comes between
			if err := s.CreateTransaction(t.Context(), want); err != nil && fault.Of(err) != fault.Internal {
				t.Errorf("create: %v", err)
			}
		case 1:
			if err := s.EndTransaction(t.Context(), "t"); err != nil {
				t.Errorf("end: %v", err)
			}
		case 2:
			got, err := s.Transaction(t.Context(), "t")
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("half a transaction: %+v", got)
			}
			if err != nil && fault.Of(err) != fault.NotFound {
				t.Errorf("load: %v", err)
			}
		}
	})
	if err := s.EndTransaction(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	s.wantGone(t, "t")
	s.create(t, want)
	s.want(t, want)
}

func transactionCanceled(t *testing.T, s *transactionSuite) {
	s.create(t, transaction("t"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, load := s.Transaction(ctx, "t")
	for name, err := range map[string]error{
		"create": s.CreateTransaction(ctx, transaction("new")),
		"load":   load,
		"end":    s.EndTransaction(ctx, "t"),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v, want the canceled context", name, err)
		}
	}
	s.want(t, transaction("t"))
	s.wantGone(t, "new")
}

// atBarrier runs do in many goroutines that begin together, and waits for all.
func atBarrier(do func(i int)) {
	var callers sync.WaitGroup
	barrier := make(chan struct{})
	for i := range parallel {
		callers.Go(func() {
			<-barrier
			do(i)
		})
	}
	close(barrier)
	callers.Wait()
}
