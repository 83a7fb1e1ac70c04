package redis

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sallyport/sallyport/pkg/mfa"
)

var _ mfa.TransactionStore = (*Store)(nil)

// transactionVersion is that of the value's form. It changes when nodes of the release
// before must not read what this one writes.
const transactionVersion = 1

// A transactionValue is what a key holds, as JSON.
type transactionValue struct {
	Version     int             `json:"v"`
	Transaction mfa.Transaction `json:"transaction"`
}

// transactionKey has the id as its hash tag.
func transactionKey(id string) string { return "mfa:{" + id + "}" }

// CreateTransaction implements mfa.TransactionStore.
func (s *Store) CreateTransaction(ctx context.Context, t mfa.Transaction) error {
	value := transactionValue{Version: transactionVersion, Transaction: t}
	return s.create(ctx, "transaction", transactionKey(t.ID), value, t.ExpiresAt)
}

// Transaction implements mfa.TransactionStore. It goes by the moment in the value, for
// the key's own expiry goes by the server's clock and only clears up. A value that
// cannot be read is an error: who wrote it may have meant it to count.
func (s *Store) Transaction(ctx context.Context, id string) (mfa.Transaction, error) {
	text, err := s.value(ctx, "transaction", transactionKey(id))
	if err != nil {
		return mfa.Transaction{}, err
	}
	t, err := readTransaction(text, id)
	if err == nil && t.Expired(s.now()) {
		return mfa.Transaction{}, notFound("transaction")
	}
	return t, err
}

// readTransaction reads the value of the key with the id.
func readTransaction(text []byte, id string) (mfa.Transaction, error) {
	var value transactionValue
	if err := json.Unmarshal(text, &value); err != nil {
		return mfa.Transaction{}, fmt.Errorf("redis: transaction: %w", err)
	}
	if value.Version != transactionVersion || value.Transaction.ID != id {
		return mfa.Transaction{}, fmt.Errorf("redis: transaction: a value of version %d, want %d with the id of its key",
			value.Version, transactionVersion)
	}
	return value.Transaction, nil
}

// EndTransaction implements mfa.TransactionStore.
func (s *Store) EndTransaction(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return unavailable("end transaction", s.scripts.end.Run(ctx, s.client, []string{transactionKey(id)}).Err())
}
