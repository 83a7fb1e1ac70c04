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
			d.printf("%s", versions(b))
			return nil
		},
	}
}

// versions names the versions of a build, a line each.
func versions(b *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range b.Settings {
		settings[s.Key] = s.Value
	}
	text := "sallyport " + b.Main.Version + "\n"
	if revision := settings["vcs.revision"]; revision != "" {
		if settings["vcs.modified"] == "true" {
			revision += " (modified)"
		}
		text += "revision  " + revision + "\n"
	}
	return text + "go        " + b.GoVersion + "\n"
}
