package gatewaytest

import (
	"testing"

	"github.com/sallyport/sallyport/storage/storagetest"
)

// Failover is two gateways on a Redis that Sentinel watches, and whose failover loses what
// was acknowledged: Cut, then let people log in, then Promote.
func Failover() Setting {
	return Setting{Name: "postgres+sentinel", Nodes: 2, open: func(t testing.TB, _ bool) backends {
		url, group := storagetest.Postgres(t), storagetest.NewRedisFailover(t)
		return backends{database: url, redis: group.URL, failover: group}
	}}
}

// Cluster is two gateways on a Redis Cluster of three masters, each of which can be made to
// lose what it acknowledged.
func Cluster() Setting {
	return Setting{Name: "postgres+cluster", Nodes: 2, open: func(t testing.TB, _ bool) backends {
		url, cluster := storagetest.Postgres(t), storagetest.NewLossyCluster(t)
		return backends{database: url, redis: cluster.URL, cluster: cluster}
	}}
}

// Failover is the Redis of a [Failover] world; nil in others.
func (w *World) Failover() *storagetest.RedisFailover { return w.stores.failover }

// Cluster is the Redis of a [Cluster] world; nil in others.
func (w *World) Cluster() *storagetest.RedisCluster { return w.stores.cluster }
