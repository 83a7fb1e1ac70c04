package redis

import (
	"context"
	"errors"
	"net"

	goredis "github.com/redis/go-redis/v9"
)

// A watch reports commands and connections by their names alone: keys and values are
// nobody's business.
type watch func(ctx context.Context, operation string) (context.Context, func(error))

var _ goredis.Hook = watch(nil)

// DialHook implements goredis.Hook.
func (w watch) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, ended := w(ctx, "dial")
		c, err := next(ctx, network, addr)
		ended(err)
		return c, err
	}
}

// ProcessHook implements goredis.Hook.
func (w watch) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		ctx, ended := w(ctx, cmd.Name())
		err := next(ctx, cmd)
		ended(failure(err))
		return err
	}
}

// ProcessPipelineHook implements goredis.Hook. The client library greets a server with a
// pipeline.
func (w watch) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		ctx, ended := w(ctx, "pipeline")
		err := next(ctx, cmds)
		ended(failure(err))
		return err
	}
}

// failure leaves out what only looks like one: there is nothing under a key, or a server
// does not know a script yet.
func failure(err error) error {
	if errors.Is(err, goredis.Nil) || goredis.HasErrorPrefix(err, "NOSCRIPT") {
		return nil
	}
	return err
}
