package memory_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/storage/conformance"
	"github.com/sallyport/sallyport/storage/memory"
)

func TestTransactions(t *testing.T) {
	conformance.RunTransactions(t, func(_ testing.TB, now func() time.Time) mfa.TransactionStore {
		return memory.New(memory.Options{Now: now})
	})
}

func TestChallenges(t *testing.T) {
	conformance.RunChallenges(t, func(_ testing.TB, now func() time.Time) oob.Store {
		return memory.New(memory.Options{Now: now})
	})
}

func TestTickets(t *testing.T) {
	conformance.RunTickets(t, func(_ testing.TB, now func() time.Time) oob.TicketStore {
		return memory.New(memory.Options{Now: now})
	})
}

// A full store refuses, says when to come back, and takes again what expiry or an end
// makes room for.
func TestBound(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := memory.New(memory.Options{Max: 3, Now: func() time.Time { return now }})
	create := func(id string, lifetime time.Duration) error {
		return s.CreateTransaction(t.Context(), mfa.Transaction{ID: id, CreatedAt: now, ExpiresAt: now.Add(lifetime)})
	}
	for i, lifetime := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute} {
		if err := create(fmt.Sprint(i), lifetime); err != nil {
			t.Fatal(err)
		}
	}
	wantFull(t, create("more", time.Minute))

	if err := s.EndTransaction(t.Context(), "2"); err != nil {
		t.Fatal(err)
	}
	if err := create("more", 4*time.Minute); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	wantFull(t, create("again", time.Minute))

	now = now.Add(time.Minute) // "1" is over, and no other
	if err := create("again", time.Minute); err != nil {
		t.Errorf("after one expired: %v", err)
	}
	wantFull(t, create("last", time.Minute))
	for id, want := range map[string]error{"0": nil, "1": fault.NotFound, "2": fault.NotFound, "more": nil, "again": nil} {
		if _, err := s.Transaction(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("transaction %q: %v, want %v", id, err, want)
		}
	}
}

func wantFull(t *testing.T, err error) {
	t.Helper()
	var d *fault.Details
	if !errors.As(err, &d) || d.Kind != fault.Unavailable || d.RetryAfter <= 0 {
		t.Errorf("full store: %v, want Unavailable with RetryAfter", err)
	}
}

func TestZeroOptions(t *testing.T) {
	s := memory.New(memory.Options{})
	alive := mfa.Transaction{ID: "a", ExpiresAt: time.Now().Add(time.Hour)}
	if err := s.CreateTransaction(t.Context(), alive); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transaction(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// However ends and expiries mix, just the live entries take room.
func TestRoomIsThatOfTheLiving(t *testing.T) {
	const entries = 300
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := start
	s := memory.New(memory.Options{Max: entries, Now: func() time.Time { return now }})
	chance := rand.New(rand.NewPCG(1, 2))
	create := func(id string, lifetime int) error {
		ends := start.Add(time.Duration(lifetime) * time.Second)
		return s.CreateTransaction(t.Context(), mfa.Transaction{ID: id, ExpiresAt: ends})
	}
	lifetimes := chance.Perm(entries)
	for i, lifetime := range lifetimes {
		if err := create(fmt.Sprint(i), lifetime+1); err != nil {
			t.Fatal(err)
		}
	}
	living := entries
	now = start.Add(entries / 2 * time.Second)
	for i, lifetime := range lifetimes {
		over := lifetime+1 <= entries/2
		ended := chance.IntN(2) == 0
		if ended {
			if err := s.EndTransaction(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if over || ended {
			living--
		}
	}
	for i := range entries - living {
		if err := create(fmt.Sprint("new", i), 2*entries); err != nil {
			t.Fatalf("with %d of %d living, new number %d: %v", living, entries, i, err)
		}
	}
	wantFull(t, create("one more", 2*entries))
}

// The edges are exact here, where a step takes no time.
func TestEdgesOfPolling(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := start
	s := memory.New(memory.Options{Now: func() time.Time { return now }})
	for _, id := range []string{"a", "b", "c"} {
		c := oob.Challenge{ID: id, Authenticator: "x", Answered: true, ExpiresAt: start.Add(time.Minute)}
		if err := s.CreateChallenge(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	const early = time.Millisecond
	for _, step := range []struct {
		at    time.Duration
		id    string
		want  oob.State
		soon  bool
		after oob.State // decided after the poll
	}{
		{at: 0, id: "a", want: oob.Pending},
		{at: oob.Interval - oob.Tolerance, id: "a", want: oob.Pending},
		{at: 2*(oob.Interval-oob.Tolerance) - early, id: "a", want: oob.Pending, soon: true, after: oob.Approved},
		{at: time.Minute - early, id: "a", want: oob.Approved},
		{at: time.Minute - early, id: "b", want: oob.Pending, after: oob.Approved},
		{at: time.Minute - early, id: "c", want: oob.Pending},
		{at: time.Minute + oob.Lease - 2*early, id: "a", want: oob.Pending},
		{at: time.Minute + oob.Lease - early, id: "a", want: oob.Approved},
		{at: time.Minute + oob.Interval, id: "c", want: oob.Expired},
		{at: time.Minute + oob.Window - early, id: "b", want: oob.Approved},
		{at: time.Minute + oob.Window, id: "b"},
	} {
		now = start.Add(step.at)
		got, err := s.Poll(t.Context(), oob.Poll{ID: step.id})
		if got.State != step.want || got.TooSoon != step.soon || (step.want == "") != errors.Is(err, fault.NotFound) {
			t.Errorf("at %v: %+v, %v, want %+v", step.at, got, err, step)
		}
		if step.after != "" {
			if err := s.Decide(t.Context(), step.id, step.after); err != nil {
				t.Error(err)
			}
		}
	}
}

// All that is held counts to the bound, and a challenge takes its room until it can be
// redeemed no longer.
func TestBoundCountsChallenges(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := memory.New(memory.Options{Max: 3, Now: func() time.Time { return now }})
	ends := now.Add(time.Minute)
	create := []func(id string) error{
		func(id string) error {
			return s.CreateTransaction(t.Context(), mfa.Transaction{ID: id, ExpiresAt: ends})
		},
		func(id string) error { return s.CreateChallenge(t.Context(), oob.Challenge{ID: id, ExpiresAt: ends}) },
		func(id string) error { return s.CreateTicket(t.Context(), oob.Ticket{Hash: id, ExpiresAt: ends}) },
	}
	for i, one := range create {
		if err := one("same"); err != nil { // each kind has names of its own
			t.Errorf("%d: %v", i, err)
		}
	}
	for _, one := range create {
		wantFull(t, one("more"))
	}
	now = ends
	ends = now.Add(time.Minute)
	for _, id := range []string{"one", "two"} { // for a transaction and a ticket, not for the challenge
		if err := create[1](id); err != nil {
			t.Error(err)
		}
	}
	wantFull(t, create[0]("three"))
}

func BenchmarkPoll(b *testing.B) {
	s := memory.New(memory.Options{})
	const challenges = 1000
	ids := make([]string, challenges)
	for n := range ids {
		ids[n] = fmt.Sprintf("%064x", n)
		c := oob.Challenge{ID: ids[n], Authenticator: "push|dev_1", Answered: true, ExpiresAt: time.Now().Add(time.Hour)}
		if err := s.CreateChallenge(b.Context(), c); err != nil {
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
