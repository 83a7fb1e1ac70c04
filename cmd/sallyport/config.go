package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/config"
)

func configCommand(d deps) *cobra.Command {
	check := &cobra.Command{Use: "check", Short: "Name every problem of the configuration and its tenant files", Args: cobra.NoArgs}
	show := &cobra.Command{Use: "print", Short: "Print the configuration in effect, with every default and without secrets", Args: cobra.NoArgs}
	reference := &cobra.Command{Use: "reference", Short: "Print docs/configuration.md: what there is to configure", Args: cobra.NoArgs}
	g := group("config", "Check, print or explain the configuration", check, show, reference)
	path := d.configFlag(g)
	check.RunE = func(*cobra.Command, []string) error {
		c, tenants, err := config.Check(*path, d.getenv)
		if err != nil {
			return err
		}
		for _, w := range append(config.Warnings(c, tenants), config.UnknownAPIs(c, tenants)...) {
			d.printf("%s\n", w)
		}
		d.printf("ok\n")
		return nil
	}
	show.RunE = func(*cobra.Command, []string) error {
		c, err := config.Load(*path, d.getenv)
		if err != nil {
			return err
		}
		return config.Print(d.stdout, c)
	}
	reference.RunE = func(*cobra.Command, []string) error { return config.Reference(d.stdout) }
	return g
}
