package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/secret"
)

func keysCommand(d deps) *cobra.Command {
	create := &cobra.Command{
		Use:   "init",
		Short: "Write a new key ring",
		Long: "Init writes a key ring with one fresh key, for its owner to read alone. Keep a copy in a safe place:\n" +
			"without it no sealed secret can be read again, so an existing file is never overwritten.",
		Args: cobra.NoArgs,
	}
	g := group("keys", "Make the key ring that seals secrets at rest", create)
	path := d.configFlag(g)
	out := create.Flags().String("out", "", "file to write; default: secrets.key_file of the configuration")
	create.RunE = func(*cobra.Command, []string) error { return d.makeKeys(*path, *out) }
	return g
}

func (d deps) makeKeys(path, out string) error {
	if out == "" {
		var err error
		if out, err = config.KeyFile(path, d.getenv); err != nil {
			return err
		}
	}
	ring, err := secret.NewRing(d.now())
	if err != nil {
		return err
	}
	if err := ring.Save(out); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists and stays as it is: what it sealed could not be read again; name another file with --out", out)
	} else if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no folder for %s; make it with `install -d -m 700 %s`", out, filepath.Dir(out))
	} else if err != nil {
		return err
	}
	d.printf("wrote %s; keep a copy in a safe place\n", out)
	return nil
}
