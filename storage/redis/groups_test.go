package redis_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/conformance"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// takeover bounds how long the death of a master may be felt: two seconds until it is
// noticed, one or two until a replica is chosen, two until a client knows.
const takeover = 15 * time.Second

func fixed() time.Time { return now }

// A cluster of three masters holds transactions, and loses none when a slot moves or a
// master dies.
func TestCluster(t *testing.T) {
	g := storagetest.NewRedisCluster(t)
	t.Run("transactions", func(t *testing.T) {
		conformance.RunTransactions(t, func(t testing.TB, now func() time.Time) mfa.TransactionStore {
			t.Helper()
			g.FlushAll(t)
			return open(t, g.URL, now)
		})
	})
	t.Run("challenges", func(t *testing.T) {
		conformance.RunChallenges(t, func(t testing.TB, now func() time.Time) oob.Store {
			t.Helper()
			g.FlushAll(t)
			return open(t, g.URL, now)
		})
	})
	s, bare := open(t, g.URL, fixed), g.Client(t)
	t.Run("every master takes part", func(t *testing.T) { everyMaster(t, s, bare) })
	t.Run("a slot moves", func(t *testing.T) { slotMoves(t, g, s) })
	t.Run("an answer is lost", func(t *testing.T) { answerIsLost(t, s, masterOf(t, bare, "mfa:{l}")) })
	t.Run("one master evicts", func(t *testing.T) { refusesEviction(t, g.URL, masterOf(t, bare, "mfa:{e}")) })
	t.Run("a master dies", func(t *testing.T) { masterDies(t, s, func() { g.StopMaster(t, "mfa:{x}") }) })
	t.Run("a slot is nobody's", func(t *testing.T) { slotIsNobodys(t, s, g.Client(t)) })
}

// A master that Sentinels watch is found by its name, and so is its successor.
func TestSentinels(t *testing.T) {
	g := storagetest.NewRedisSentinels(t)
	t.Run("transactions", func(t *testing.T) {
		conformance.RunTransactions(t, func(t testing.TB, now func() time.Time) mfa.TransactionStore {
			t.Helper()
			g.FlushAll(t)
			return open(t, g.URL, now)
		})
	})
	t.Run("challenges", func(t *testing.T) {
		conformance.RunChallenges(t, func(t testing.TB, now func() time.Time) oob.Store {
			t.Helper()
			g.FlushAll(t)
			return open(t, g.URL, now)
		})
	})
	t.Run("a Sentinel is no single server", func(t *testing.T) {
		first, _, _ := strings.Cut(g.URL, ",")
		wantRefused(t, strings.Replace(first, "redis+sentinel", "redis", 1), "write redis+sentinel://")
	})
	t.Run("of an unknown master", func(t *testing.T) {
		wantRefused(t, strings.Replace(g.URL, "/gateway", "/other", 1), "ping")
	})
	var lines lockedBuffer
	s, err := redis.Open(t.Context(), redis.Options{
		URL: secret.New(g.URL), Now: fixed, Log: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if !strings.Contains(lines.String(), "selected addr=") {
		t.Errorf("the log does not tell what the client was told of the master:\n%s", lines.String())
	}
	t.Run("the master dies", func(t *testing.T) { masterDies(t, s, func() { g.StopMaster(t) }) })
	t.Run("Sentinels die", func(t *testing.T) {
		g.StopSentinels(t)
		if _, err := open(t, g.URL, fixed).Transaction(t.Context(), "x"); err != nil {
			t.Errorf("with one of three Sentinels: %v", err)
		}
	})
}

// masterDies kills the master of "x". Meanwhile whatever is asked of it is Unavailable
// and never NotFound; then its replica has what it had. Ids with the same text before a
// brace have the same slot.
func masterDies(t *testing.T, s *redis.Store, kill func()) {
	if err := s.CreateTransaction(t.Context(), alive("x")); err != nil {
		t.Fatal(err)
	}
	kill()
	began := time.Now()
	_, load := s.Transaction(t.Context(), "x")
	wantUnavailable(t, "load", load)
	wantUnavailable(t, "create", s.CreateTransaction(t.Context(), alive("x}")))
	wantUnavailable(t, "end", s.EndTransaction(t.Context(), "x"))
	wantUnavailable(t, "ping", s.Ping(t.Context()))

	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for n := 0; ; n++ {
		id := fmt.Sprintf("x}%d", n)
		create := s.CreateTransaction(t.Context(), alive(id))
		_, load := s.Transaction(t.Context(), "x")
		for _, err := range []error{create, load} {
			if err != nil && fault.Of(err) != fault.Unavailable {
				t.Fatalf("after %v: %v, want Unavailable", time.Since(began), err)
			}
		}
		if create == nil && load == nil {
			break
		}
		if time.Since(began) > takeover {
			t.Fatalf("after %v: create %v, load %v", takeover, create, load)
		}
		<-again.C
	}
	t.Logf("served again after %v", time.Since(began).Round(time.Millisecond))
	awaitPing(t, s)
	if err := s.EndTransaction(t.Context(), "x}0"); err != nil {
		t.Errorf("end: %v", err)
	}
}

// everyMaster sees to it that keys do not all go to one node.
func everyMaster(t *testing.T, s *redis.Store, bare *goredis.ClusterClient) {
	seen := map[string]bool{}
	for n := 0; len(seen) < 3; n++ {
		if n == 100 {
			t.Fatalf("100 keys are all on %v", seen)
		}
		id := fmt.Sprintf("n%d", n)
		if err := s.CreateTransaction(t.Context(), alive(id)); err != nil {
			t.Fatal(err)
		}
		master := masterOf(t, bare, "mfa:{"+id+"}")
		if err := master.Get(t.Context(), "mfa:{"+id+"}").Err(); err != nil {
			t.Fatalf("%s: %v", master.Options().Addr, err)
		}
		seen[master.Options().Addr] = true
	}
}

// slotMoves has a store follow a slot: ASK while it moves, MOVED once it has.
func slotMoves(t *testing.T, g *storagetest.RedisCluster, s *redis.Store) {
	const key = "mfa:{r}"
	move := g.MoveSlot(t, key)
	if err := s.CreateTransaction(t.Context(), alive("r")); err != nil {
		t.Fatalf("while the slot moves: %v", err)
	}
	if _, err := s.Transaction(t.Context(), "r"); err != nil {
		t.Errorf("while the slot moves: %v", err)
	}
	move.End(t)
	if _, err := s.Transaction(t.Context(), "r"); err != nil {
		t.Errorf("after the slot has moved: %v", err)
	}
	if err := s.EndTransaction(t.Context(), "r"); err != nil {
		t.Errorf("after the slot has moved: %v", err)
	}
}

// slotIsNobodys takes a slot from its master. A cluster that is not whole serves nobody
// and is not ready.
func slotIsNobodys(t *testing.T, s *redis.Store, bare *goredis.ClusterClient) {
	if err := masterOf(t, bare, "mfa:{g}").Do(t.Context(), "CLUSTER", "DELSLOTS", hashSlot(t, bare, "mfa:{g}")).Err(); err != nil {
		t.Fatal(err)
	}
	_, load := s.Transaction(t.Context(), "g")
	wantUnavailable(t, "load", load)
	wantUnavailable(t, "ping", s.Ping(t.Context()))
}

func hashSlot(t *testing.T, bare *goredis.ClusterClient, key string) int64 {
	t.Helper()
	slot, err := bare.ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

func masterOf(t *testing.T, bare *goredis.ClusterClient, key string) *goredis.Client {
	t.Helper()
	c, err := bare.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
