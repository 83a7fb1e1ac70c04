package storagetest

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A SlotMove takes a slot of a cluster from its master to another one, key by key, as an
// operator does who adds a master: MoveSlot, then Key for each, then End.
type SlotMove struct {
	slot     int64
	from, to *redis.Client
}

// MoveSlot begins to move the slot of a key.
func (g *RedisCluster) MoveSlot(t testing.TB, key string) SlotMove {
	t.Helper()
	c := g.Client(t)
	slot, err := c.ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatalf("storagetest: move a slot: %v", err)
	}
	m := SlotMove{slot: slot}
	if m.from, err = c.MasterForKey(t.Context(), key); err != nil {
		t.Fatalf("storagetest: move a slot: %v", err)
	}
	for n := byte('a'); m.to == nil || m.to.Options().Addr == m.from.Options().Addr; n++ {
		if m.to, err = c.MasterForKey(t.Context(), string(n)); err != nil {
			t.Fatalf("storagetest: move a slot: %v", err)
		}
	}
	m.tell(t, m.to, "IMPORTING", m.from)
	m.tell(t, m.from, "MIGRATING", m.to)
	return m
}

// Key moves one key. One that is not there is moved, too.
func (m SlotMove) Key(t testing.TB, key string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(m.to.Options().Addr)
	if err := m.from.Do(t.Context(), "MIGRATE", host, port, key, 0, 5000, "AUTH", m.to.Options().Password).Err(); err != nil {
		t.Fatalf("storagetest: move a key: %v", err)
	}
}

// End gives the slot away.
func (m SlotMove) End(t testing.TB) {
	t.Helper()
	m.tell(t, m.to, "NODE", m.to)
	m.tell(t, m.from, "NODE", m.to)
}

// tell tells a master how the slot moves.
func (m SlotMove) tell(t testing.TB, c *redis.Client, how string, of *redis.Client) {
	t.Helper()
	id, err := of.Do(t.Context(), "CLUSTER", "MYID").Text()
	if err == nil {
		err = c.Do(t.Context(), "CLUSTER", "SETSLOT", m.slot, how, id).Err()
	}
	if err != nil {
		t.Fatalf("storagetest: move a slot: %v", err)
	}
}

// Adopt gives the slots whose master and replica are dead to a master that lives, empty, and
// returns when the cluster is whole for all that live.
func (g *RedisCluster) Adopt(t testing.TB) {
	t.Helper()
	var living []*redis.Client
	var heir *redis.Client
	for i, s := range g.nodes {
		if s.running == nil {
			continue
		}
		c := s.client()
		defer c.Close() //nolint:errcheck // nothing is left to lose
		living = append(living, c)
		if i < masters {
			heir = c
		}
	}
	for i := range masters {
		if g.nodes[i].running != nil || g.nodes[i+masters].running != nil {
			continue
		}
		for _, c := range living {
			if err := c.Do(t.Context(), "CLUSTER", "DELSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
				t.Fatalf("storagetest: adopt slots: %v", err)
			}
		}
		if err := heir.ClusterAddSlotsRange(t.Context(), i*slots/masters, (i+1)*slots/masters-1).Err(); err != nil {
			t.Fatalf("storagetest: adopt slots: %v", err)
		}
	}
	if err := heir.Do(t.Context(), "CLUSTER", "BUMPEPOCH").Err(); err != nil {
		t.Fatalf("storagetest: adopt slots: %v", err)
	}
	for _, c := range living {
		await(t, "a whole cluster", func(ctx context.Context) error {
			state, err := c.ClusterInfo(ctx).Result()
			if err == nil && !strings.Contains(state, "cluster_state:ok") {
				err = errors.New(state)
			}
			return err
		})
	}
}
