package storagetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

// RedisFailover is a master, its replica and a Sentinel, made to lose what the master
// acknowledged: Cut, then let clients write, then Promote.
type RedisFailover struct {
	URL     string       // redis+sentinel://:password@127.0.0.1:port/gateway/0
	Master  *RedisServer // the first one
	Replica *RedisServer // its successor

	sentinel *RedisServer
	link     *link
}

// NewRedisFailover starts them for one test, and returns when the replica follows.
func NewRedisFailover(t testing.TB) *RedisFailover {
	t.Helper()
	password := rand.Text()
	settings := fmt.Sprintf("masterauth %s\nrepl-diskless-sync-delay 0\n", password)
	g := &RedisFailover{Master: newServer(t, password, settings)}
	g.Master.Start(t)
	g.link = newLink(t, g.Master.address())
	g.Replica = newServer(t, password, settings+fmt.Sprintf("replicaof 127.0.0.1 %d\n", g.link.port()))
	g.Replica.Start(t)
	await(t, "the replica", g.Master.replicated)
	// Within the time of a failover a Sentinel lets a replica follow another address than
	// that of the master.
	g.sentinel = newServer(t, password, fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]d 1\nsentinel auth-pass %[1]s %[3]s\n"+
		"sentinel sentinel-pass %[3]s\nsentinel down-after-milliseconds %[1]s 60000\nsentinel failover-timeout %[1]s 600000\n",
		watched, g.Master.port, password))
	g.sentinel.sentinel = true
	g.sentinel.Start(t)
	await(t, "the Sentinel", func(ctx context.Context) error {
		about, err := g.master(ctx)
		if err == nil && (about["num-slaves"] != "1" || about["flags"] != "master") {
			err = fmt.Errorf("it knows %v", about)
		}
		return err
	})
	g.URL = fmt.Sprintf("redis+sentinel://:%s@%s/%s/0", password, g.sentinel.address(), watched)
	return g
}

// Cut has the replica miss whatever the master is told from now on; it has everything
// that was before.
func (g *RedisFailover) Cut(t testing.TB) {
	t.Helper()
	await(t, "the replica", g.Master.replicated)
	g.link.cut.Store(true)
}

// Promote puts the replica in the place of the master, and returns when both know. The
// master goes on as a replica.
func (g *RedisFailover) Promote(t testing.TB) {
	t.Helper()
	c := g.asSentinel()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	if err := c.Failover(t.Context(), watched).Err(); err != nil {
		t.Fatalf("storagetest: promote: %v", err)
	}
	await(t, "the promotion", func(ctx context.Context) error {
		about, err := g.master(ctx)
		if err == nil && about["port"] != fmt.Sprint(g.Replica.port) {
			err = fmt.Errorf("the master is %v", about)
		}
		if err == nil {
			err = g.Master.follows(ctx)
		}
		return err
	})
}

func (g *RedisFailover) asSentinel() *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{Addr: g.sentinel.address(), Password: g.sentinel.password, MaxRetries: -1})
}

// master is what the Sentinel knows of the master.
func (g *RedisFailover) master(ctx context.Context) (map[string]string, error) {
	c := g.asSentinel()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	return c.Master(ctx, watched).Result()
}

// follows reports whether a server is a replica.
func (s *RedisServer) follows(ctx context.Context) error {
	c := s.client()
	defer c.Close() //nolint:errcheck // nothing is left to lose
	about, err := c.InfoMap(ctx, "replication").Result()
	if err == nil && about["Replication"]["role"] != "slave" {
		err = fmt.Errorf("it is a %s", about["Replication"]["role"])
	}
	return err
}
