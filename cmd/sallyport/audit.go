package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/trail"
	"github.com/sallyport/sallyport/pkg/audit"
)

func auditCommand(d deps) *cobra.Command {
	leaf := func(use, short, long string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs}
	}
	verify := leaf("verify", "Find what was changed, removed or reordered: exit code 0, or 3",
		"Verify reads the whole audit. A tail that was cut off, and an audit that was sealed anew, show only against a head\n"+
			"of before, kept where the gateway's machine cannot change it. Exit codes: 0 it holds, 3 it does not, 1 it could\n"+
			"not be read.")
	head := leaf("head", "Print the end of the audit, to be kept elsewhere", "")
	export := leaf("export", "Print the audit as lines of JSON, in the order of time", "")
	tail := leaf("tail", "Print the last records as lines of JSON, and what follows", "")
	g := group("audit", "Read and verify the record of who proved what", verify, head, export, tail)
	path := d.configFlag(g)
	var known audit.Seal
	var q audit.Query
	verify.Flags().Func("head", "a `head` that was printed before: the audit must still hold it", func(text string) (err error) {
		known, err = audit.ParseHead(text)
		return err
	})
	bound := func(name, usage string, t *time.Time) {
		export.Flags().Func(name, usage, func(text string) (err error) {
			*t, err = trail.Time(text, d.now())
			return err
		})
	}
	bound("since", "only from this `time` on: 2026-03-01, 2026-03-01T12:00:00Z, or 24h for a day ago", &q.Since)
	bound("until", "only before this `time`", &q.Until)
	abandoned := export.Flags().Bool("abandoned", false, "only demands for a second factor that no tokens followed, though their time is over")
	after := tail.Flags().Int64("after", -1, "begin behind the record with this seq (default: the last ten)")
	on := func(cmd *cobra.Command, do func(context.Context, database) error) {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			return d.withTables(cmd.Context(), *path, func(db database) error { return do(cmd.Context(), db) })
		}
	}
	on(verify, func(ctx context.Context, db database) error { return trail.Verify(ctx, d.stdout, db, db.Ring, known) })
	on(head, func(ctx context.Context, db database) error { return trail.Head(ctx, d.stdout, db, db.Ring) })
	on(tail, func(ctx context.Context, db database) error {
		ctx, stop := interruptible(ctx)
		defer stop()
		return trail.Follow(ctx, d.stdout, db, *after, d.wait)
	})
	on(export, func(ctx context.Context, db database) error {
		if *abandoned {
			q.Abandoned = d.now().Add(-db.config.Lifetimes.MFA.TokenLifetime)
		}
		return trail.Export(ctx, d.stdout, db, q)
	})
	return g
}
