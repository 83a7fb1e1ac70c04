package oob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	// patience bounds a delivery from its first to its last byte. A client waits for it.
	patience = 3 * time.Second
	// rounds is how often one provider is asked.
	rounds = 3
	// pause is between two rounds, and doubles.
	pause = 100 * time.Millisecond
)

// A Provider hands one message to somebody who delivers it. It tries once, in the time that
// ctx has. It fails with fault.Undeliverable where it would never take this message, with
// fault.Unavailable where it may take it a moment later, or with how long that is.
type Provider struct {
	Name  string // for the log: "twilio"
	Offer func(ctx context.Context) error
}

// Deliver offers a message to several providers until one accepts it. One that does not
// answer has half of the time that is left, so that another one is asked before the client
// has to go without. What is accepted by two, because the first one's answer was lost, has
// the same code.
func Deliver(ctx context.Context, providers ...Provider) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out := make([]bool, len(providers)) // those that need not be asked again
	var failures []error
	for round := range rounds {
		if round > 0 && (!slices.Contains(out, false) || !rest(ctx, pause<<(round-1))) {
			break
		}
		for i, p := range providers {
			if out[i] {
				continue
			}
			err := offer(ctx, p)
			if err == nil {
				return nil
			}
			failures = append(failures, fmt.Errorf("%s: %w", p.Name, err))
			out[i] = final(ctx, err)
		}
	}
	kind := fault.Undeliverable
	if slices.ContainsFunc(failures, func(err error) bool { return fault.Of(err) != fault.Undeliverable }) {
		kind = fault.Unavailable
	}
	return &fault.Details{Kind: kind, Err: errors.New(errors.Join(failures...).Error())}
}

// offer asks one provider.
func offer(ctx context.Context, p Provider) error {
	if until, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(until)/2)
		defer cancel()
	}
	return p.Offer(ctx)
}

// final reports whether a provider would not take the message in the time that is left.
func final(ctx context.Context, err error) bool {
	var d *fault.Details
	if !errors.As(err, &d) {
		return false
	}
	until, _ := ctx.Deadline()
	return d.Kind == fault.Undeliverable || d.RetryAfter > time.Until(until)
}

// rest waits, and reports whether there is time left.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
