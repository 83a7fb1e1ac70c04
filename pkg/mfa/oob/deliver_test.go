package oob_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// X-30, S-6: a message goes to the next provider when one fails, and the client hears in
// time when all do. The clock is that of the bubble.
func TestDeliver(t *testing.T) {
	busy := &fault.Details{Kind: fault.Unavailable, Err: errors.New("503")}
	wait := &fault.Details{Kind: fault.Unavailable, RetryAfter: time.Minute}
	never := &fault.Details{Kind: fault.Undeliverable, Err: errors.New("no such number")}
	hang := errors.New("hang")
	for name, c := range map[string]struct {
		first, second []error // what each says in turn; then it accepts
		want          fault.Kind
		tries         string
		within        time.Duration
	}{
		"accepted":           {nil, nil, "", "1", 0},
		"busy once":          {[]error{busy}, nil, "", "12", 0},
		"both busy once":     {[]error{busy}, []error{busy}, "", "121", 100 * time.Millisecond},
		"refused":            {[]error{never}, []error{busy}, "", "122", 100 * time.Millisecond},
		"both refuse":        {[]error{never}, []error{never}, fault.Undeliverable, "12", 0},
		"both say later":     {[]error{wait}, []error{wait}, fault.Unavailable, "12", 0},
		"refused later on":   {[]error{busy, never}, []error{never}, fault.Unavailable, "121", 100 * time.Millisecond},
		"one says later":     {[]error{wait, nil}, []error{busy, busy}, "", "1222", 300 * time.Millisecond},
		"busy for ever":      {[]error{busy, busy, busy}, []error{busy, busy, busy}, fault.Unavailable, "121212", 300 * time.Millisecond},
		"the first hangs":    {[]error{hang}, nil, "", "12", 1500 * time.Millisecond},
		"both hang":          {[]error{hang, hang, hang}, []error{hang, hang, hang}, fault.Unavailable, "12", 3 * time.Second},
		"one never, one not": {[]error{never}, []error{busy, busy, busy}, fault.Unavailable, "1222", 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, began := "", time.Now()
				provider := func(name string, says []error) oob.Provider {
					return oob.Provider{Name: name, Offer: func(ctx context.Context) error {
						tries += name
						if len(says) == 0 {
							return nil
						}
						next := says[0]
						says = says[1:]
						if errors.Is(next, hang) {
							<-ctx.Done()
							return fault.Because(fault.Unavailable, ctx.Err())
						}
						return next
					}}
				}
				err := oob.Deliver(t.Context(), provider("1", c.first), provider("2", c.second))
				if took := time.Since(began); took > c.within {
					t.Errorf("took %v", took)
				}
				if (err == nil) != (c.want == "") || err != nil && fault.Of(err) != c.want || !strings.HasPrefix(tries, c.tries) {
					t.Errorf("%v after %s, want %q after %s", err, tries, c.want, c.tries)
				}
			})
		})
	}
}
