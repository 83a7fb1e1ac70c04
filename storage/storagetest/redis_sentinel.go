package storagetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// watched is what the Sentinels call their master.
const watched = "gateway"

// RedisSentinels are a master, its replica, and three Sentinels that replace a master
// which is silent for two seconds. All have the same password.
type RedisSentinels struct {
	URL    string // redis+sentinel://:password@127.0.0.1:port,...,.../gateway/0
	Master *RedisServer

	sentinels []*RedisServer
}

// NewRedisSentinels starts them for one test, and returns when all know each other.
func NewRedisSentinels(t testing.TB) *RedisSentinels {
	t.Helper()
	password := rand.Text()
	settings := fmt.Sprintf("masterauth %s\nrepl-diskless-sync-delay 0\n", password)
	g := &RedisSentinels{Master: newServer(t, password, settings)}
	g.Master.Start(t)
	newServer(t, password, settings+fmt.Sprintf("replicaof 127.0.0.1 %d\n", g.Master.port)).Start(t)
	// A Sentinel looks for replicas when it begins, and then every ten seconds.
	await(t, "the replica", g.Master.replicated)
	settings = fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 2\nsentinel auth-pass %[1]s %[3]s\n"+
		"sentinel sentinel-pass %[3]s\nsentinel down-after-milliseconds %[1]s 2000\nsentinel failover-timeout %[1]s 10000\n",
		watched, g.Master.port, password)
	var addresses []string
	for range 3 {
		s := newServer(t, password, settings)
		s.sentinel = true
		s.Start(t)
		g.sentinels = append(g.sentinels, s)
		addresses = append(addresses, s.address())
	}
	await(t, "the Sentinels", g.complete)
	g.URL = fmt.Sprintf("redis+sentinel://:%s@%s/%s/0", password, strings.Join(addresses, ","), watched)
	return g
}

// FlushAll forgets everything the first master holds.
func (g *RedisSentinels) FlushAll(t testing.TB) {
	t.Helper()
	g.Master.FlushAll(t)
}

// StopMaster kills the first master, once its replica has everything.
func (g *RedisSentinels) StopMaster(t testing.TB) {
	t.Helper()
	await(t, "the replica", g.Master.replicated)
	g.Master.Stop(t)
}

// StopSentinels kills all Sentinels but one.
func (g *RedisSentinels) StopSentinels(t testing.TB) {
	t.Helper()
	for _, s := range g.sentinels[1:] {
		s.Stop(t)
	}
}

// complete reports whether every Sentinel knows the replica and the others.
func (g *RedisSentinels) complete(ctx context.Context) error {
	for _, s := range g.sentinels {
		c := redis.NewSentinelClient(&redis.Options{Addr: s.address(), Password: s.password, MaxRetries: -1})
		master, err := c.Master(ctx, watched).Result()
		_ = c.Close()
		if err != nil {
			return err
		}
		if master["num-slaves"] != "1" || master["num-other-sentinels"] != "2" || master["flags"] != "master" {
			return fmt.Errorf("a Sentinel knows %v", master)
		}
	}
	return nil
}

// replicated reports whether a replica has everything that the server has.
func (s *RedisServer) replicated(ctx context.Context) error {
	c := s.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	info, err := c.InfoMap(ctx, "replication").Result()
	if err != nil {
		return err
	}
	about := info["Replication"]
	if offset := about["master_repl_offset"]; !strings.Contains(about["slave0"], "state=online,offset="+offset+",") {
		return errors.New("the replica has not caught up")
	}
	return nil
}
