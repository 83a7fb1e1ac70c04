package sqlstore_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// What watches a store is told of statements and transactions, and of failures of the
// database alone: neither of what is not there, nor of what they are about.
func TestStatementsAreWatched(t *testing.T) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			url, ring := fresh(t), newRing(t)
			open(t, url, ring, atNoon)
			var mu sync.Mutex
			seen := map[string]int{}
			s, err := sqlstore.Open(t.Context(), sqlstore.Options{
				URL: secret.New(url), Ring: ring, Now: atNoon, Log: slog.New(slog.DiscardHandler),
				Watch: func(ctx context.Context, operation string) (context.Context, func(error)) {
					return ctx, func(err error) {
						mu.Lock()
						defer mu.Unlock()
						if err != nil {
							operation += " failed"
						}
						seen[operation]++
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			told := func(operations ...string) {
				t.Helper()
				mu.Lock()
				defer mu.Unlock()
				for _, o := range operations {
					if seen[o] == 0 {
						t.Errorf("nobody was told of %q, but of %v", o, seen)
					}
				}
				for o := range seen {
					if strings.Contains(o, "failed") && !slices.Contains(operations, o) {
						t.Errorf("it was told of %q", o)
					}
				}
				clear(seen)
			}
			if _, err := s.User(t.Context(), "nobody"); !errors.Is(err, fault.NotFound) {
				t.Error(err)
			}
			told("select")
			if _, err := s.ResetFactors(t.Context(), "nobody", audit.Event{}); !errors.Is(err, fault.NotFound) {
				t.Error(err)
			}
			told("transaction", "select")
			if pools := s.Pools(); pools["writer"].Stats().MaxOpenConnections == 0 {
				t.Error("nothing bounds the pool")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.User(t.Context(), "nobody"); fault.Of(err) != fault.Unavailable {
				t.Error(err)
			}
			told("select failed")
		})
	}
}
