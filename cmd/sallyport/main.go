// Sallyport is a gateway that asks for a second factor: it checks passwords, one-time passwords,
// approvals on a phone and recovery codes, and issues tokens, over the Auth0 MFA API.
//
// Each subcommand is a file of this package. None of them has state of its own: what a
// command reads, writes and asks the time of is in deps.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/draft"
	"github.com/sallyport/sallyport/cmd/sallyport/trail"
	"github.com/sallyport/sallyport/config"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitMisuse = 2 // wrong flags, or a configuration that is not served
	exitDamage = 3 // the audit is not as it was sealed
)

// deps is everything that a command has from outside.
type deps struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) (string, bool)
	now            func() time.Time
	wait           func(context.Context, time.Duration) error // returns early when ctx ends, with its error
	random         io.Reader
}

func main() {
	signal.Ignore(syscall.SIGPIPE) // a reader that went away is no reason to leave a folder behind
	os.Exit(run(context.Background(), deps{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.LookupEnv, now: time.Now, wait: wait, random: rand.Reader,
	}, os.Args[1:]))
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interruptible ends the context of a server at SIGINT or SIGTERM, or at SIGHUP, which a
// terminal sends when it closes, unless nohup(1) has it ignored. A second signal does no
// more: timeout(1) sends two, and stopping takes seconds at most.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	return signal.NotifyContext(ctx, ends...)
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, d deps, args []string) int {
	cmd, err := newRoot(d, args).ExecuteContextC(ctx)
	var problems config.Problems
	var failed *failure
	var wrong *misuse
	var flags *draft.Misuse
	var damaged *trail.Damaged
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &problems):
		fmt.Fprintln(d.stderr, problems.Error())
		return exitMisuse
	case errors.As(err, &damaged):
		fmt.Fprintf(d.stderr, "%s: %v\n", cmd.CommandPath(), err)
		return exitDamage
	case errors.As(err, &failed) && !errors.As(err, &wrong) && !errors.As(err, &flags):
		fmt.Fprintf(d.stderr, "%s: %v\n", cmd.CommandPath(), err)
		return exitFailed
	default: // cobra found it before the command ran, or the command did
		fmt.Fprintf(d.stderr, "%s: %v\n%s --help says more.\n", cmd.CommandPath(), err, cmd.CommandPath())
		return exitMisuse
	}
}

// failure is an error of a command that was called rightly.
type failure struct{ error }

// Unwrap returns what failed.
func (f *failure) Unwrap() error { return f.error }

// misuse is an error of the caller that only the command could find.
type misuse struct{ text string }

// Error returns the text.
func (m *misuse) Error() string { return m.text }

func misused(format string, args ...any) error { return &misuse{fmt.Sprintf(format, args...)} }

// marked makes failures of what the commands of a tree return.
func marked(tree *cobra.Command) *cobra.Command {
	for _, cmd := range append(tree.Commands(), tree) {
		if cmd != tree {
			marked(cmd)
		} else if does := cmd.RunE; does != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if err := does(cmd, args); err != nil {
					return &failure{err}
				}
				return nil
			}
		}
	}
	return tree
}
