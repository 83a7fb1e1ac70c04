package redis

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

var _ oob.TicketStore = (*Store)(nil)

// ticketVersion is that of the value's form, as transactionVersion is.
const ticketVersion = 1

// A ticketValue is what a key holds, as JSON.
type ticketValue struct {
	Version int        `json:"v"`
	Ticket  oob.Ticket `json:"ticket"`
}

func ticketKey(hash string) string { return "ticket:{" + hash + "}" }

// CreateTicket implements oob.TicketStore.
func (s *Store) CreateTicket(ctx context.Context, t oob.Ticket) error {
	return s.create(ctx, "ticket", ticketKey(t.Hash), ticketValue{Version: ticketVersion, Ticket: t}, t.ExpiresAt)
}

// Ticket implements oob.TicketStore.
func (s *Store) Ticket(ctx context.Context, hash string) (oob.Ticket, error) {
	text, err := s.value(ctx, "ticket", ticketKey(hash))
	if err != nil {
		return oob.Ticket{}, err
	}
	t, err := readTicket(text, hash)
	if err == nil && !s.now().Before(t.ExpiresAt) {
		return oob.Ticket{}, notFound("ticket")
	}
	return t, err
}

// readTicket reads the value of the key with the hash.
func readTicket(text []byte, hash string) (oob.Ticket, error) {
	var value ticketValue
	if err := json.Unmarshal(text, &value); err != nil {
		return oob.Ticket{}, fmt.Errorf("redis: ticket: %w", err)
	}
	if value.Version != ticketVersion || value.Ticket.Hash != hash {
		return oob.Ticket{}, fmt.Errorf("redis: ticket: a value of version %d, want %d with the hash of its key",
			value.Version, ticketVersion)
	}
	return value.Ticket, nil
}
