package storagetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// clusterSettings have a replica take over about three seconds after its master died.
// %s is the password, %d the port that the nodes talk to each other on.
const clusterSettings = `masterauth %s
cluster-enabled yes
cluster-port %d
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-replica-validity-factor 0
repl-diskless-sync-delay 0
`

// masters is how many masters a cluster has; each has one replica.
const masters = 3

// slots are shared among the masters, in equal parts.
const slots = 16384

// RedisCluster is a cluster of three masters with a replica each, and one password.
type RedisCluster struct {
	URL string // redis+cluster://:password@127.0.0.1:port,...,...: of the first masters

	nodes []*RedisServer // masters, then their replicas in the same order
	buses []int          // the ports that they talk to each other on
	links []*link        // of the masters, if they have some
}

// NewRedisCluster starts a cluster for one test, and returns when it is whole.
func NewRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	return newRedisCluster(t, false)
}

// NewLossyCluster is a cluster that can be made to lose what a master acknowledged: Cut,
// then let clients write, then StopMaster.
func NewLossyCluster(t testing.TB) *RedisCluster {
	t.Helper()
	return newRedisCluster(t, true)
}

func newRedisCluster(t testing.TB, linked bool) *RedisCluster {
	t.Helper()
	password := rand.Text()
	g := &RedisCluster{}
	var addresses []string
	for i := range 2 * masters {
		bus, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		s := newServer(t, password, fmt.Sprintf(clusterSettings, password, bus))
		if linked && i < masters {
			g.links = append(g.links, newLink(t, s.address()))
			s.settings += fmt.Sprintf("cluster-announce-port %d\n", g.links[i].port())
		}
		s.Start(t)
		g.nodes, g.buses = append(g.nodes, s), append(g.buses, bus)
		addresses = append(addresses, s.address())
	}
	g.URL = fmt.Sprintf("redis+cluster://:%s@%s", password, strings.Join(addresses[:masters], ","))
	if err := g.form(t); err != nil {
		t.Fatalf("storagetest: form a cluster: %v", err)
	}
	await(t, "the cluster", g.whole)
	return g
}

// Client returns a client of the cluster that the test may use beside the store's.
func (g *RedisCluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	c := g.client()
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// FlushAll forgets everything the cluster holds.
func (g *RedisCluster) FlushAll(t testing.TB) {
	t.Helper()
	c := g.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	err := c.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() })
	if err != nil {
		t.Fatalf("storagetest: flush: %v", err)
	}
}

// Cut has the replica of the master that holds a key miss whatever that is told from now
// on; it has everything that was before.
func (g *RedisCluster) Cut(t testing.TB, key string) {
	t.Helper()
	i := g.holder(t, key)
	await(t, "the replica", g.nodes[i].replicated)
	g.links[i].cut.Store(true)
}

// StopMaster kills the master that holds a key, once its replica has everything that it
// will get.
func (g *RedisCluster) StopMaster(t testing.TB, key string) {
	t.Helper()
	i := g.holder(t, key)
	if i >= len(g.links) || !g.links[i].cut.Load() {
		await(t, "the replica", g.nodes[i].replicated)
	}
	g.nodes[i].Stop(t)
}

// Kill kills the master that holds a key, as it is.
func (g *RedisCluster) Kill(t testing.TB, key string) {
	t.Helper()
	g.nodes[g.holder(t, key)].Stop(t)
}

// Isolate freezes all but the master that holds a key, which then is a minority, until
// the function that it returns is called.
func (g *RedisCluster) Isolate(t testing.TB, key string) (heal func()) {
	t.Helper()
	alone := g.holder(t, key)
	others := slices.Delete(slices.Clone(g.nodes), alone, alone+1)
	for _, s := range others {
		s.Freeze(t)
	}
	return func() {
		for _, s := range others {
			s.Thaw(t)
		}
	}
}

// holder is the place in nodes of the master that holds a key.
func (g *RedisCluster) holder(t testing.TB, key string) int {
	t.Helper()
	c := g.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	master, err := c.MasterForKey(t.Context(), key)
	if err != nil {
		t.Fatalf("storagetest: %v", err)
	}
	address := master.Options().Addr
	for i, s := range g.nodes {
		if s.address() == address || i < len(g.links) && g.links[i].listener.Addr().String() == address {
			return i
		}
	}
	t.Fatalf("storagetest: no node at %s", address)
	return -1
}

// form gives the slots to the masters, has all nodes meet, and then gives each master
// its replica.
func (g *RedisCluster) form(t testing.TB) error {
	ids := make([]string, len(g.nodes))
	for i, s := range g.nodes {
		c := s.client()
		defer c.Close() //nolint:errcheck // nothing is left to lose
		var err error
		if ids[i], err = c.Do(t.Context(), "CLUSTER", "MYID").Text(); err != nil {
			return err
		}
		if i < masters {
			err = c.ClusterAddSlotsRange(t.Context(), i*slots/masters, (i+1)*slots/masters-1).Err()
		}
		err = errors.Join(err, c.Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		for j, other := range g.nodes[:i] {
			err = errors.Join(err, c.Do(t.Context(), "CLUSTER", "MEET", "127.0.0.1", other.port, g.buses[j]).Err())
		}
		if err != nil {
			return err
		}
	}
	for i, s := range g.nodes[masters:] {
		c := s.client()
		defer c.Close() //nolint:errcheck // nothing is left to lose
		await(t, "a node that knows its master", func(ctx context.Context) error {
			return c.Do(ctx, "CLUSTER", "REPLICATE", ids[i]).Err()
		})
	}
	return nil
}

// whole reports whether every node holds the cluster to be whole and knows all others
// by their part, and every replica has caught up.
func (g *RedisCluster) whole(ctx context.Context) error {
	for i, s := range g.nodes {
		c := s.client()
		state, stateErr := c.ClusterInfo(ctx).Result()
		nodes, nodesErr := c.ClusterNodes(ctx).Result()
		_ = c.Close()
		if err := errors.Join(stateErr, nodesErr); err != nil {
			return err
		}
		if !strings.Contains(state, "cluster_state:ok") || strings.Count(nodes, "\n") != len(g.nodes) ||
			strings.Contains(nodes, "handshake") || strings.Count(nodes, "slave ") != masters {
			return fmt.Errorf("a node knows\n%s", nodes)
		}
		if i < masters {
			if err := s.replicated(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *RedisCluster) client() *redis.ClusterClient {
	var addresses []string
	for _, s := range g.nodes {
		addresses = append(addresses, s.address())
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addresses, Password: g.nodes[0].password, DialerRetries: 1, DialTimeout: time.Second, DisableIdentity: true,
	})
}

// await asks every 10 ms whether something that was started is ready.
func await(t testing.TB, what string, ready func(context.Context) error) {
	t.Helper()
	if err := (&process{}).await(ready); err != nil {
		t.Fatalf("storagetest: %s: %v", what, err)
	}
}
