// Package demo is a gateway for a look around: three users, one client, one folder
// that goes when it ends, and a walk through seven logins, which it prints as lines for a
// shell or plays itself.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// Options are what a demo is made from; all are needed.
type Options struct {
	Public, Management net.Listener // on loopback; closed when the demo ends
	Password           secret.Text  // of all users, without characters that a shell knows
	Executable         string       // the program whose subcommands otp and device are app and phone
	Proxied            bool         // the environment has a proxy, which does not know this machine
	Stdout             io.Writer
	Log                *slog.Logger
	Now                func() time.Time
	Random             io.Reader
	// NextStep waits until the time step after the used one has begun, and returns the
	// current one.
	NextStep func(ctx context.Context, used int64) (int64, error)
	Wait     func(context.Context, time.Duration) error
	Itself   func(ctx context.Context, args ...string) error // runs a command line of this program
}

// Serve prints the walk and serves until ctx ends.
func Serve(ctx context.Context, o Options) error {
	return with(ctx, o, func(g *house) error {
		newWalk(o, g.places()).print(o.Stdout)
		note(o.Stdout, "The gateway waits for you. Ctrl-C ends it, and nothing of it stays.")
		return g.serve(ctx)
	})
}

// Play goes the walk itself and shows every step. It fails unless the tokens verified.
func Play(ctx context.Context, o Options) error {
	return with(ctx, o, func(g *house) error {
		serving, stop := context.WithCancel(ctx)
		defer stop()
		served := make(chan error, 1)
		go func() { served <- g.serve(serving) }()
		err := play(ctx, newWalk(o, g.places()))
		stop()
		return errors.Join(err, <-served)
	})
}

// with makes a gateway, and removes every trace of it afterwards.
func with(ctx context.Context, o Options, do func(*house) error) (err error) {
	g := &house{Options: o}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.build(ctx); err != nil {
		return err
	}
	return do(g)
}

// note writes lines that a shell takes for comments.
func note(out io.Writer, lines ...string) {
	for _, line := range lines {
		fmt.Fprintf(out, "# %s\n", line)
	}
}
