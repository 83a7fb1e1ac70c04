package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/keyring"
	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/config"
)

func keysCommand(d deps) *cobra.Command {
	create := &cobra.Command{
		Use:   "init",
		Short: "Write a new key ring",
		Long: "Init writes a key ring with one fresh key, for its owner to read alone. Keep a copy in a safe place:\n" +
			"without it no sealed secret can be read again, so an existing file is never overwritten.",
		Args: cobra.NoArgs,
	}
	list := &cobra.Command{Use: "list", Short: "List the keys that sign, and those of the ring with what each sealed", Args: cobra.NoArgs}
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the keys that sign tokens, or the one that seals secrets at rest",
		Long: "Rotate makes new signing keys while every gateway serves: they are published before they sign, and the\n" +
			"old ones until their last token is over. With --sealing it adds a key to the ring, which seals once every\n" +
			"gateway holds it; --finish then takes the old one out, as soon as nothing is sealed with it.",
		Args: cobra.NoArgs,
	}
	g := group("keys", "Make, list and rotate keys", create, list, rotate)
	path := d.configFlag(g)
	out := create.Flags().String("out", "", "file to write; default: secrets.key_file of the configuration")
	create.RunE = func(*cobra.Command, []string) (err error) {
		if *out == "" {
			if *out, err = config.KeyFile(*path, d.getenv); err != nil {
				return err
			}
		}
		return keyring.Create(d.stdout, *out, d.now())
	}
	asJSON := list.Flags().Bool("json", false, "print JSON")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.withTables(cmd.Context(), *path, func(db database) error {
			keys, err := keyring.List(cmd.Context(), db.Administration, d.now())
			if err != nil {
				return err
			}
			return listing.Print(d.stdout, *asJSON, keys, keyring.Heading, keyring.Key.Columns)
		})
	}
	sealing := rotate.Flags().Bool("sealing", false, "the key of the ring that seals secrets at rest")
	finish := rotate.Flags().Bool("finish", false, "with --sealing: take the old key out")
	rotate.RunE = func(cmd *cobra.Command, _ []string) error {
		if *finish && !*sealing {
			return misused("--finish goes with --sealing; signing keys retire by themselves")
		}
		return d.withTables(cmd.Context(), *path, func(db database) error {
			if *sealing {
				return keyring.RotateSealing(cmd.Context(), d.stdout, db.Administration, *finish)
			}
			return keyring.Rotate(cmd.Context(), d.stdout, db.Administration)
		})
	}
	return g
}
