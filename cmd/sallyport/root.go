package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/device"
)

// newRoot makes the tree of commands, for a command line.
func newRoot(d deps, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport",
		Short: "A self-hosted gateway for logins with a second factor",
		Long: "Sallyport checks passwords, one-time passwords, approvals on a phone and recovery codes, and issues tokens.\n" +
			"`sallyport demo` shows a whole login without any preparation.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		root.Version = versions(b)
		root.SetVersionTemplate("{{.Version}}")
		root.Flags().Bool("version", false, "print the versions of this program and of Go") // without the -v of cobra
	}
	root.SetArgs(args)
	root.SetIn(d.stdin)
	root.SetOut(d.stdout)
	root.SetErr(d.stderr)
	root.AddCommand(
		serveCommand(d), demoCommand(d), applyCommand(d), migrateCommand(d), configCommand(d), keysCommand(d),
		usersCommand(d), clientsCommand(d), auditCommand(d), healthcheckCommand(d), otpCommand(d), deviceCommand(d),
		versionCommand(d),
	)
	return marked(root)
}

func deviceCommand(d deps) *cobra.Command {
	return group("device", "Play a phone that approves logins: enroll it, wait for a push, answer", device.Commands(device.Options{
		Stdout: d.stdout, Now: d.now, Random: d.random, ReadStdin: d.readStdin, Misused: misused, Interruptible: interruptible,
	})...)
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	var names []string
	for _, c := range commands {
		names = append(names, c.Name())
	}
	g.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return misused("there is no %q; name one of %s", args[0], strings.Join(names, ", "))
		}
		return misused("name one of %s", strings.Join(names, ", "))
	}
	g.AddCommand(commands...)
	return g
}

// configFlag gives a command, and those below it, the flag that names the configuration.
func (d deps) configFlag(cmd *cobra.Command) *string {
	name := "sallyport.yaml"
	if set, ok := d.getenv("SALLYPORT_CONFIG"); ok && set != "" {
		name = set
	}
	return cmd.PersistentFlags().StringP("config", "c", name, "configuration file; or set SALLYPORT_CONFIG")
}

// log is for servers: text for a person at a terminal, JSON for everybody else.
func (d deps) log() *slog.Logger {
	if d.terminal() {
		return slog.New(slog.NewTextHandler(d.stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(d.stderr, nil))
}

// quiet is the log of a command whose output is for people.
func (d deps) quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(d.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// terminal reports whether messages go to a terminal.
func (d deps) terminal() bool {
	f, ok := d.stderr.(*os.File)
	if !ok {
		return false
	}
	at, err := f.Stat()
	return err == nil && at.Mode()&os.ModeCharDevice != 0
}

func (d deps) printf(format string, args ...any) { fmt.Fprintf(d.stdout, format, args...) }
