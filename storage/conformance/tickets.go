package conformance

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// RunTickets is the suite that every oob.TicketStore passes. open makes an empty store
// that goes by now and ends with the test it is given.
func RunTickets(t *testing.T, open func(t testing.TB, now func() time.Time) oob.TicketStore) {
	t.Helper()
	var elapsed atomic.Int64
	s := open(t, func() time.Time { return epoch.Add(time.Duration(elapsed.Load())) })
	want := func(want oob.Ticket, live bool) {
		t.Helper()
		got, err := s.Ticket(t.Context(), want.Hash)
		if live && (err != nil || got != want) || !live && fault.Of(err) != fault.NotFound {
			t.Errorf("%+v, %v, want %+v: %t", got, err, want, live)
		}
	}
	ticket := oob.Ticket{Hash: "h1", Challenge: "c1", Subject: "auth0|alice", Authenticator: "push|dev_1", ExpiresAt: epoch.Add(time.Minute)}
	want(ticket, false)
	late := ticket
	late.ExpiresAt = epoch
	if err := s.CreateTicket(t.Context(), late); err == nil {
		t.Error("a ticket that ends as it begins was accepted")
	}
	var won atomic.Int64
	atBarrier(func(int) {
		if err := s.CreateTicket(t.Context(), ticket); err == nil {
			won.Add(1)
		} else if fault.Of(err) != fault.Internal {
			t.Errorf("loser got %v, want an error without a kind", err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d of %d made one ticket", won.Load(), parallel)
	}
	want(ticket, true)
	want(ticket, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := ticket
	other.Hash = "h2"
	_, load := s.Ticket(ctx, "h1")
	for name, err := range map[string]error{"create": s.CreateTicket(ctx, other), "load": load} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v, want the canceled context", name, err)
		}
	}
	want(other, false)
	elapsed.Store(int64(time.Minute - time.Millisecond))
	want(ticket, true)
	elapsed.Store(int64(time.Minute))
	want(ticket, false)
}
