package redis

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// How long one step of a request may take, and how many requests at once hold a
// connection to a server. A server that is slower than this is as good as gone.
const (
	dialTimeout     = time.Second
	exchangeTimeout = 500 * time.Millisecond
	poolSize        = 50
)

const (
	// reloadInterval is how old a client lets its picture of a cluster become while it
	// is in use. After a master died nothing else tells a client who took over.
	reloadInterval = 2 * time.Second

	// redirects is how often one command follows a slot that moves.
	redirects = 3
)

// client makes a client that repeats no command, because the answer to the first may
// only have been lost, and that reads from masters alone.
func (p place) client() goredis.UniversalClient {
	switch p.way {
	case sentinel:
		return goredis.NewFailoverClient(p.failoverOptions())
	case cluster:
		c := goredis.NewClusterClient(p.clusterOptions())
		c.AddHook(once{})
		return c
	default:
		return goredis.NewClient(p.options())
	}
}

func (p place) options() *goredis.Options {
	return &goredis.Options{
		Addr: p.addresses[0], Username: p.user, Password: p.password, DB: p.database, TLSConfig: p.tls,
		DialTimeout: dialTimeout, ReadTimeout: exchangeTimeout, WriteTimeout: exchangeTimeout,
		PoolSize: poolSize, PoolTimeout: exchangeTimeout, PipelinePoolSize: -1,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: quiet(),
	}
}

// failoverOptions have the Sentinels log in as the servers do. A Sentinel without a
// password takes any from the default user.
func (p place) failoverOptions() *goredis.FailoverOptions {
	return &goredis.FailoverOptions{
		MasterName: p.master, SentinelAddrs: p.addresses, SentinelUsername: p.user, SentinelPassword: p.password,
		Username: p.user, Password: p.password, DB: p.database, TLSConfig: p.tls,
		DialTimeout: dialTimeout, ReadTimeout: exchangeTimeout, WriteTimeout: exchangeTimeout,
		PoolSize: poolSize, PoolTimeout: exchangeTimeout, PipelinePoolSize: -1,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
	}
}

// clusterOptions switch off the routing by command, which asks the cluster for the list
// of its commands: each of ours has one key, and its slot is the way.
func (p place) clusterOptions() *goredis.ClusterOptions {
	return &goredis.ClusterOptions{
		Addrs: p.addresses, Username: p.user, Password: p.password, TLSConfig: p.tls,
		DialTimeout: dialTimeout, ReadTimeout: exchangeTimeout, WriteTimeout: exchangeTimeout,
		PoolSize: poolSize, PoolTimeout: exchangeTimeout, PipelinePoolSize: -1,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaxRedirects: redirects, ClusterStateReloadInterval: reloadInterval, DisableRoutingPolicies: true,
		MaintNotificationsConfig: quiet(),
	}
}

func quiet() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// once keeps a cluster's client from repeating a command that timed out or whose
// connection broke. It goes on following redirects, which tell that nothing was done.
type once struct{}

var _ goredis.Hook = once{}

type onceCommand struct{ goredis.Cmder }

// NoRetry implements goredis.Cmder.
func (onceCommand) NoRetry() bool { return true }

// DialHook implements goredis.Hook.
func (once) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook implements goredis.Hook.
func (once) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error { return next(ctx, onceCommand{cmd}) }
}

// ProcessPipelineHook implements goredis.Hook. The store uses no pipelines.
func (once) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// A clientLog takes what the client library would write to standard error by itself:
// which master it was told of, which Sentinel did not answer.
type clientLog struct{ log *slog.Logger }

// Printf implements the logger of the client library.
func (l clientLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.InfoContext(ctx, "redis client", "text", fmt.Sprintf(format, v...))
}
