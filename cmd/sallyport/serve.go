package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/gateway"
)

func serveCommand(d deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve logins until SIGINT, SIGTERM or SIGHUP",
		Long: "Serve checks the configuration, migrates the database, applies the tenant files and serves.\n" +
			"A configuration with a problem is not served at all: every problem is named, and the exit code is 2.",
		Args: cobra.NoArgs,
	}
	path := d.configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return d.serve(cmd.Context(), *path) }
	return cmd
}

func (d deps) serve(ctx context.Context, path string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	c, tenants, err := config.Check(path, d.getenv)
	if err != nil {
		return err
	}
	log := d.log()
	for _, w := range config.Warnings(c, tenants) {
		log.WarnContext(ctx, w) //nolint:sloglint // each names its own line of the configuration
	}
	return gateway.Run(ctx, gateway.Options{Config: c, Tenants: tenants, Log: log, Now: d.now, Random: d.random})
}
