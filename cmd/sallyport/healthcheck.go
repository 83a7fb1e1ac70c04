package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/config"
)

// healthDeadline is longer than /readyz takes to give a dependency up.
const healthDeadline = 5 * time.Second

func healthcheckCommand(d deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the gateway on this machine whether it is ready: exit code 0 or 1",
		Args:  cobra.NoArgs,
	}
	path := d.configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return d.healthcheck(cmd.Context(), *path) }
	return cmd
}

func (d deps) healthcheck(ctx context.Context, path string) error {
	c, err := config.Load(path, d.getenv)
	if err != nil {
		return fmt.Errorf("%v", err) //nolint:errorlint // containers know the exit codes 0 and 1 only
	}
	ctx, cancel := context.WithTimeout(ctx, healthDeadline)
	defer cancel()
	url := "http://" + reachable(c.Server.Management.Listen) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{}}).Do(req) // no proxy knows this machine
	if err != nil {
		return fmt.Errorf("the gateway does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway is not ready: %s", answer.Status)
	}
	d.printf("ready\n")
	return nil
}

// reachable turns an address to listen on into one to call: "everywhere" includes this
// machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && addr == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case err == nil && addr.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
