package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/config"
)

func applyCommand(d deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f tenant.yaml",
		Short: "Make the database serve what a tenant file says",
		Long: "Apply adds and changes the APIs, clients and users of a tenant file, and says what it changed.\n" +
			"It removes nothing, sets no password again, and leaves alone what was made in another way.\n" +
			"Clients and users that it disabled stay so until `clients enable` and `users enable`.",
		Args: cobra.NoArgs,
	}
	path := d.configFlag(cmd)
	file := cmd.Flags().StringP("file", "f", "", "tenant file (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return misused("name the tenant file, as in -f tenant.yaml")
		}
		return d.apply(cmd.Context(), *path, *file)
	}
	return cmd
}

func (d deps) apply(ctx context.Context, path, file string) error {
	tenant, err := config.LoadTenant(file, d.getenv)
	if err != nil {
		return err
	}
	return d.withTables(ctx, path, func(db database) error {
		if err := tenant.Against(db.config); err != nil {
			return err
		}
		changes, err := db.Apply(ctx, tenant)
		for _, c := range changes {
			d.printf("%s\n", listing.Visible(c))
		}
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			d.printf("nothing to do\n")
		}
		found, err := db.Review(ctx)
		for _, f := range found {
			d.printf("warning: %s\n", listing.Visible(f))
		}
		return err
	})
}
