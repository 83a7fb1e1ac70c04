package redis

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// silence is how long a subscription may say nothing before it is asked whether it is
	// still there, and then how long it has to answer. Nobody else would notice that a server
	// is gone that does not say so.
	silence = 3 * time.Second

	// pause lies between two tries to subscribe.
	pause = 200 * time.Millisecond
)

// Listen implements oob.Store: one subscription, however many wait. On a Cluster what is
// published on one node is heard on all.
func (s *Store) Listen(ctx context.Context, heard func(id string)) error {
	again := time.NewTicker(pause)
	defer again.Stop()
	for failed := false; ; {
		err := s.subscribe(ctx, func(id string) {
			failed = false
			heard(id)
		})
		if ctx.Err() != nil {
			return nil
		}
		if !failed {
			failed = true
			s.log.WarnContext(ctx, "redis does not tell of answers; long polls wait in vain until it does", slog.Any("cause", err))
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// subscribe listens for as long as one connection lasts.
func (s *Store) subscribe(ctx context.Context, heard func(id string)) error {
	sub := s.client.Subscribe(ctx, changes)
	defer sub.Close()                                          //nolint:errcheck // nothing is left to lose
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // nothing else ends a read
	for asked := false; ; {
		message, err := sub.ReceiveTimeout(ctx, silence)
		var late net.Error
		switch {
		case err == nil:
			asked = false
		case !asked && errors.As(err, &late) && late.Timeout():
			asked = true
			if err := sub.Ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
		switch m := message.(type) {
		case *goredis.Subscription: // from here on; what was told before is lost
			heard("")
		case *goredis.Message:
			heard(m.Payload)
		}
	}
}
