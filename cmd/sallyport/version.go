package main

import (
	"errors"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(d deps) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the versions of this program and of Go", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, ok := debug.ReadBuildInfo()
			if !ok {
				return errors.New("this binary was built without module support and does not know its version")
			}
			d.version(b)
			return nil
		},
	}
}

func (d deps) version(b *debug.BuildInfo) {
	settings := map[string]string{}
	for _, s := range b.Settings {
		settings[s.Key] = s.Value
	}
	d.printf("sallyport %s\n", b.Main.Version)
	if revision := settings["vcs.revision"]; revision != "" {
		if settings["vcs.modified"] == "true" {
			revision += " (modified)"
		}
		d.printf("revision  %s\n", revision)
	}
	d.printf("go        %s\n", b.GoVersion)
}
