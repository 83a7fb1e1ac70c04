package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/fault"
)

// scripts are the transitions of all that is kept. Each has one key, KEYS[1].
type scripts struct {
	create, load, end *goredis.Script // of what is one value
	challenge         challengeScripts
}

// onMasters keeps a script on a master even when it writes nothing. A master that has
// become a replica, to which connections may be held, would know of nothing new: what it
// does not know is not NotFound.
const onMasters = "#!lua\n"

func newScripts() scripts {
	return scripts{
		// Sets ARGV[1] for ARGV[2] milliseconds and returns 1, or 0 when the key exists.
		create: goredis.NewScript(`if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0`),
		load: goredis.NewScript(onMasters + `return redis.call('GET', KEYS[1])`),
		// Forgets the key and returns how many there were.
		end:       goredis.NewScript(`return redis.call('DEL', KEYS[1])`),
		challenge: newChallengeScripts(),
	}
}

// create keeps a value as JSON until a moment that it names itself.
func (s *Store) create(ctx context.Context, what, key string, value any, expiresAt time.Time) error {
	lifetime := expiresAt.Sub(s.now())
	if lifetime <= 0 {
		return fmt.Errorf("redis: create %s: it has expired already", what)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("redis: create %s: %w", what, err)
	}
	// The key must not go before the moment that the value names, so round up.
	ttl := (lifetime + time.Millisecond - 1).Milliseconds()
	return s.created(ctx, what, s.scripts.create, key, text, ttl)
}

// created runs a script that returns 0 when the key exists.
func (s *Store) created(ctx context.Context, what string, script *goredis.Script, key string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	created, err := script.Run(ctx, s.client, []string{key}, args...).Int()
	if err != nil {
		return unavailable("create "+what, err)
	}
	if created == 0 {
		return fmt.Errorf("redis: create %s: the id exists already", what)
	}
	return nil
}

// value returns what create kept, or fault.NotFound.
func (s *Store) value(ctx context.Context, what, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := s.scripts.load.Run(ctx, s.client, []string{key}).Text()
	if errors.Is(err, goredis.Nil) {
		return nil, notFound(what)
	}
	return []byte(text), unavailable(what, err)
}

func notFound(what string) error { return fmt.Errorf("redis: %s: %w", what, fault.NotFound) }
