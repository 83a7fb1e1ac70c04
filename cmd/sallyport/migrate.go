package main

import (
	"context"

	"github.com/spf13/cobra"
)

func migrateCommand(d deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to the tables of this version",
		Long:  "Serve does the same at its start. Running it before, on one machine, makes an upgrade show its problems early.",
		Args:  cobra.NoArgs,
	}
	path := d.configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return d.migrate(cmd.Context(), *path) }
	return cmd
}

func (d deps) migrate(ctx context.Context, path string) error {
	return d.withDatabase(ctx, path, func(db database) error {
		have, want, err := db.Version(ctx)
		if err != nil {
			return err
		}
		if err := db.Migrate(ctx); err != nil {
			return err
		}
		if have == want {
			d.printf("nothing to do: the database has version %d\n", have)
		} else {
			d.printf("migrated the database from version %d to %d\n", have, want)
		}
		return nil
	})
}
