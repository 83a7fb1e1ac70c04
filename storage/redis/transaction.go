package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/fault"
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

// transactionScripts are the transitions of a transaction, which is KEYS[1].
type transactionScripts struct{ create, end *goredis.Script }

func newTransactionScripts() transactionScripts {
	return transactionScripts{
		// Sets ARGV[1] for ARGV[2] milliseconds and returns 1, or 0 when the key exists.
		create: goredis.NewScript(`if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0`),
		// Forgets the key and returns how many there were.
		end: goredis.NewScript(`return redis.call('DEL', KEYS[1])`),
	}
}

// transactionKey has the id as its hash tag.
func transactionKey(id string) string { return "mfa:{" + id + "}" }

// CreateTransaction implements mfa.TransactionStore.
func (s *Store) CreateTransaction(ctx context.Context, t mfa.Transaction) error {
	lifetime := t.ExpiresAt.Sub(s.now())
	if lifetime <= 0 {
		return errors.New("redis: create transaction: it has expired already")
	}
	value, err := json.Marshal(transactionValue{Version: transactionVersion, Transaction: t})
	if err != nil {
		return fmt.Errorf("redis: create transaction: %w", err)
	}
	// The key must not go before the moment that the value names, so round up.
	ttl := (lifetime + time.Millisecond - 1).Milliseconds()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	created, err := s.transactions.create.Run(ctx, s.client, []string{transactionKey(t.ID)}, value, ttl).Int()
	if err != nil {
		return unavailable("create transaction", err)
	}
	if created == 0 {
		return errors.New("redis: create transaction: the id exists already")
	}
	return nil
}

// Transaction implements mfa.TransactionStore. It goes by the moment in the value, for
// the key's own expiry goes by the server's clock and only clears up. A value that
// cannot be read is an error: who wrote it may have meant it to count.
func (s *Store) Transaction(ctx context.Context, id string) (mfa.Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := s.client.Get(ctx, transactionKey(id)).Bytes()
	if errors.Is(err, goredis.Nil) {
		return mfa.Transaction{}, fmt.Errorf("redis: transaction: %w", fault.NotFound)
	}
	if err != nil {
		return mfa.Transaction{}, unavailable("transaction", err)
	}
	t, err := readTransaction(text, id)
	if err == nil && t.Expired(s.now()) {
		return mfa.Transaction{}, fmt.Errorf("redis: transaction: %w", fault.NotFound)
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
	return unavailable("end transaction", s.transactions.end.Run(ctx, s.client, []string{transactionKey(id)}).Err())
}
