package notice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	// tellTimeout bounds an attempt to tell, a stop of the gateway included. It is far less
	// than the first wait, so no other node begins meanwhile.
	tellTimeout = 5 * time.Second
	firstWait   = time.Minute
	longestWait = time.Hour
)

// Wait is how long after the nth attempt, which failed or was never ended, the next one is.
func Wait(attempt int) time.Duration {
	return min(firstWait<<min(attempt-1, 10), longestWait)
}

// Teller tells what waits. All fields are needed.
type Teller struct {
	Store    Store
	Notifier Notifier
	Now      func() time.Time
	Log      *slog.Logger
}

// Tell tells everything that is due, and returns the first failure: one that cannot be
// told keeps nobody else's waiting.
func (t *Teller) Tell(ctx context.Context) (failed error) {
	for ctx.Err() == nil {
		n, err := t.Store.ClaimNotice(ctx)
		if errors.Is(err, fault.NotFound) {
			return failed
		}
		if err != nil {
			return cmp.Or(failed, err)
		}
		failed = cmp.Or(failed, t.tell(ctx, n))
	}
	return failed
}

// tell goes on when ctx ends: what was begun is not to be told twice.
func (t *Teller) tell(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	if err := t.Notifier.Notify(ctx, n); err != nil {
		err = fmt.Errorf("tell a notice, attempt %d: %w", n.Attempt, err)
		if t.Now().Before(n.At.Add(Life)) {
			return err
		}
		t.Log.LogAttrs(ctx, slog.LevelError, "a notice is given up", append(n.words(), slog.Any("cause", err))...)
	}
	return t.Store.EndNotice(ctx, n.ID)
}

// Logger is the Notifier of a gateway without a channel to people: a line of its log,
// which the operator can pass on.
type Logger struct{ Log *slog.Logger }

// Notify implements Notifier.
func (l Logger) Notify(ctx context.Context, n Notice) error {
	l.Log.LogAttrs(ctx, slog.LevelInfo, "notice", n.words()...)
	return nil
}

// words are what a log says of a notice: no name that a user chose.
func (n Notice) words() []slog.Attr {
	types := make([]string, len(n.Authenticators))
	for i, a := range n.Authenticators {
		types[i] = a.Type
	}
	return []slog.Attr{
		slog.String("type", string(n.Type)), slog.String("event", n.ID), slog.Time("at", n.At), slog.String("subject", n.Subject),
		slog.String("client", n.Client), slog.String("address", n.Address), slog.Any("authenticators", types),
	}
}

var _ Notifier = Logger{}
