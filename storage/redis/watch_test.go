package redis_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// What watches a store is told of commands by their names, and of failures: neither a
// missing key is one, nor a script that the server does not know yet.
func TestCommandsAreWatched(t *testing.T) {
	server := storagetest.NewRedis(t)
	var mu sync.Mutex
	seen := map[string]int{}
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(server.URL), Now: func() time.Time { return now },
		Watch: func(ctx context.Context, operation string) (context.Context, func(error)) {
			return ctx, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					operation += " failed"
				}
				seen[operation]++
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.CreateTransaction(t.Context(), alive("xyzzy")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transaction(t.Context(), "none"); !errors.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	for _, operation := range []string{"dial", "ping", "evalsha", "eval"} {
		if seen[operation] == 0 {
			t.Errorf("nobody was told of %q, but of %v", operation, seen)
		}
	}
	for operation := range seen {
		if strings.Contains(operation, "xyzzy") || strings.Contains(operation, "failed") {
			t.Errorf("it was told of %q", operation)
		}
	}
	server.Stop(t)
	if _, err := s.Transaction(t.Context(), "none"); fault.Of(err) != fault.Unavailable {
		t.Fatal(err)
	}
	if seen["evalsha failed"] == 0 {
		t.Errorf("nobody was told of a failure, but of %v", seen)
	}
}
