package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/pkg/guardian/provider"
)

// files are where the provider writes what the gateway shows to it.
type files struct{ fcm, apns string }

func (d desk) provider() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "provider --credentials FILE",
		Short: "Play the push services for phones in terminals, without an account with one",
		Long: "Provider takes pushes from a gateway on this machine as Firebase Cloud Messaging does, and as the Apple Push\n" +
			"Notification service, and hands them to `sallyport device wait`. It writes the keys that the gateway shows to it,\n" +
			"keeps those that are there already, and prints the lines for the gateway's configuration. It is for demos and\n" +
			"tests: pushes are kept in memory, and no phone but those in terminals gets any.",
		Args: cobra.NoArgs,
	}
	listen := cmd.Flags().String("listen", defaultProvider, "loopback address to listen on")
	var f files
	cmd.Flags().StringVar(&f.fcm, "credentials", "", "`file` for the service account that the gateway shows to FCM (required)")
	cmd.Flags().StringVar(&f.apns, "apns-key", "", "`file` for the key that it shows to APNs; needed for profile swift")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.fcm == "" {
			return d.Misused("--credentials is missing; name a file, as in --credentials fcm.json")
		}
		ctx, stop := d.Interruptible(cmd.Context())
		defer stop()
		l, err := d.loopback(ctx, *listen)
		if err != nil {
			return err
		}
		return d.provide(ctx, l, f)
	}
	return cmd
}

// loopback listens for this machine alone: there is no TLS.
func (d desk) loopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, d.Misused("--listen must be host:port, as in %s", defaultProvider)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, d.Misused("the provider listens on loopback alone, as in --listen %s", defaultProvider)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w; name another port with --listen, and with --provider of `sallyport device wait`", err)
	}
	return l, err
}

// provide writes the files and serves until ctx ends.
func (d desk) provide(ctx context.Context, l net.Listener, f files) error {
	url := "http://" + l.Addr().String()
	keys, err := f.write(url)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	lines, err := f.lines(url)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.printf("# The gateway's configuration:\n%s# The provider waits for pushes at %s. Ctrl-C ends it.\n", lines, url)
	return provider.New(url, keys, d.Now).Serve(ctx, l)
}

// write makes the files, with the keys that they hold already.
func (f files) write(url string) (keys provider.Keys, err error) {
	var old [2][]byte
	for i, path := range []string{f.fcm, f.apns} {
		if path == "" {
			continue
		}
		if old[i], err = os.ReadFile(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return keys, fmt.Errorf("read the key of before: %w", err)
		}
	}
	if keys, err = provider.NewKeys(old[0], old[1]); err != nil {
		return keys, fmt.Errorf("%w; it stays as it is: name other files", err)
	}
	account, err := keys.ServiceAccount(url)
	if err != nil {
		return keys, err
	}
	if err := replace(f.fcm, account); err != nil {
		return keys, fmt.Errorf("write the service account: %w", err)
	}
	if f.apns == "" {
		return keys, nil
	}
	key, err := keys.APNsKey()
	if err != nil {
		return keys, err
	}
	if err := replace(f.apns, key); err != nil {
		return keys, fmt.Errorf("write the key for APNs: %w", err)
	}
	return keys, nil
}

// lines are what the gateway's configuration needs.
func (f files) lines(url string) (string, error) {
	fcm, err := filepath.Abs(f.fcm)
	if err != nil {
		return "", err
	}
	text := []string{"delivery:", "  push:", "    fcm:", "      credentials_file: " + strconv.Quote(fcm), "      endpoint: " + url}
	if f.apns != "" {
		apns, err := filepath.Abs(f.apns)
		if err != nil {
			return "", err
		}
		text = append(text, "    apns:", "      key_file: "+strconv.Quote(apns), "      key_id: SALLYPORT0", "      team_id: SALLYPORT0",
			"      topic: com.example.phone", "      endpoint: "+url)
	}
	return strings.Join(text, "\n") + "\n", nil
}
