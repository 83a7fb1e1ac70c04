package memory

import (
	"container/heap"
	"context"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

var (
	_ mfa.TransactionStore = (*Store)(nil)
	_ oob.TicketStore      = (*Store)(nil)
)

func transactionKey(id string) key { return key{"transaction", id} }

// CreateTransaction implements mfa.TransactionStore.
func (s *Store) CreateTransaction(ctx context.Context, t mfa.Transaction) error {
	return s.keep(ctx, &entry{key: transactionKey(t.ID), expiresAt: t.ExpiresAt}, t)
}

// Transaction implements mfa.TransactionStore.
func (s *Store) Transaction(ctx context.Context, id string) (mfa.Transaction, error) {
	var t mfa.Transaction
	err := s.load(ctx, transactionKey(id), &t)
	return t, err
}

// EndTransaction implements mfa.TransactionStore.
func (s *Store) EndTransaction(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return unavailable("end transaction", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[transactionKey(id)]; ok {
		delete(s.entries, e.key)
		heap.Remove(&s.expiries, e.place)
	}
	return nil
}

func ticketKey(hash string) key { return key{"ticket", hash} }

// CreateTicket implements oob.TicketStore.
func (s *Store) CreateTicket(ctx context.Context, t oob.Ticket) error {
	return s.keep(ctx, &entry{key: ticketKey(t.Hash), expiresAt: t.ExpiresAt}, t)
}

// Ticket implements oob.TicketStore.
func (s *Store) Ticket(ctx context.Context, hash string) (oob.Ticket, error) {
	var t oob.Ticket
	err := s.load(ctx, ticketKey(hash), &t)
	return t, err
}
