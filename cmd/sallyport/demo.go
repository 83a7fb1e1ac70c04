package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/demo"
	"github.com/sallyport/sallyport/pkg/server"
)

// demoListen is where the demo listens when that is free.
const demoListen = "127.0.0.1:8976"

func demoCommand(d deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a whole login with a second factor, without any preparation",
		Long: "Demo runs a gateway in this process, with a fresh database in a temporary folder and a page for its messages,\n" +
			"and prints logins as lines for a shell. With --run it goes that way itself and checks the tokens.",
		Args: cobra.NoArgs,
	}
	address := cmd.Flags().String("listen", demoListen, "loopback address to listen on")
	itself := cmd.Flags().Bool("run", false, "play the walk-through, check the tokens and end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		l, err := listenLoopback(ctx, *address, !cmd.Flags().Changed("listen"))
		if err != nil {
			return err
		}
		return d.demo(ctx, l, *itself)
	}
	return cmd
}

// listenLoopback listens for this machine alone: the demo prints its password. When
// the port may be another one and is taken, it takes a free one.
func listenLoopback(ctx context.Context, address string, another bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, misused("--listen must be host:port, as in %s", demoListen)
	}
	if !server.Loopback(host) {
		return nil, misused("the demo shows its password to everybody, so it listens on loopback alone, as in --listen %s", demoListen)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		if another {
			return listenLoopback(ctx, net.JoinHostPort(host, "0"), false)
		}
		return nil, fmt.Errorf("%w; name another port with --listen", err)
	}
	if err != nil {
		return nil, err
	}
	if at, ok := l.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return nil, errors.Join(misused("%s is not loopback on this machine; use %s", host, demoListen), l.Close())
	}
	return l, nil
}

// demo serves on l, and prints the walk-through or plays it.
func (d deps) demo(ctx context.Context, l net.Listener, itself bool) error {
	o := demo.Options{Public: l, Stdout: d.stdout, Log: d.quiet(), Now: d.now, Random: d.random, NextStep: d.nextStep, Wait: d.wait}
	o.Itself = func(ctx context.Context, args ...string) error { return newRoot(d, args).ExecuteContext(ctx) }
	var err error
	if o.Management, err = listenLoopback(ctx, "127.0.0.1:0", false); err != nil {
		return errors.Join(err, l.Close())
	}
	if o.Executable, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if o.Password, err = readable(d.random); err != nil {
		return err
	}
	for _, name := range []string{"http_proxy", "all_proxy", "ALL_PROXY"} {
		v, _ := d.getenv(name)
		o.Proxied = o.Proxied || v != ""
	}
	if itself {
		return demo.Play(ctx, o)
	}
	return demo.Serve(ctx, o)
}
