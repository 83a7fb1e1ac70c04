// Package device is a phone in the terminal: the commands that enroll it at a gateway, wait
// for a push, and answer it, as an app of the Guardian SDKs would; and a provider of
// pushes for a machine that has no account with one.
package device

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/guardian/provider"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Options are what the commands have from outside; all are needed.
type Options struct {
	Stdout        io.Writer
	Now           func() time.Time
	Random        io.Reader
	ReadStdin     func() (secret.Text, error)
	Misused       func(format string, args ...any) error // an error of the caller
	Interruptible func(context.Context) (context.Context, context.CancelFunc)
}

// desk is where the commands are run.
type desk struct{ Options }

// Commands are the subcommands of device.
func Commands(o Options) []*cobra.Command {
	d := desk{o}
	return []*cobra.Command{d.enroll(), d.list(), d.wait(), d.approve(), d.deny(), d.provider()}
}

// storeFlag gives a command the flag that all have but one.
func (desk) storeFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("store", "", "`file` with the phone's accounts and their private keys (default sallyport/device.json in your configuration folder)")
}

// callTimeout is that of the apps.
const callTimeout = 10 * time.Second

func (d desk) phone(p phone.Profile) (*phone.Phone, error) {
	return phone.New(phone.Options{Profile: p, Client: &http.Client{Timeout: callTimeout}, Now: d.Now, Random: d.Random})
}

// profiles are the names of all profiles.
func profiles() string {
	var names []string
	for _, p := range phone.Profiles() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// wanted are the flags of enroll.
type wanted struct{ url, name, profile, store string }

func (d desk) enroll() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "enroll BARCODE_URI|TICKET --url URL",
		Short: "Enroll this phone with the barcode_uri that a client got from /mfa/associate",
		Long: "Enroll makes a key and an account at a gateway, as an app does that scans a QR code. Of the barcode_uri only the\n" +
			"ticket counts: every app knows its own gateway, and so --url names it. \"-\" reads it from standard input, where\n" +
			"no list of processes shows it. The account and its private key go to the store, which nobody else may read.\n\n" +
			"A profile is the app that is played, with all its ways: android and swift are the SDKs of today, android-0.2 and\n" +
			"swift-0.1 their first ones, web is a page with a key in the browser. Pushes for swift go to APNs, all others to\n" +
			"FCM; `sallyport device provider` plays both.\n\n" +
			"A gateway whose certificate is signed by an authority of your own needs SSL_CERT_FILE in the environment.",
		Args: cobra.ExactArgs(1),
	}
	var w wanted
	cmd.Flags().StringVar(&w.url, "url", "", "URL of the gateway, https except for this machine (required)")
	cmd.Flags().StringVar(&w.name, "name", "Terminal", "name of the phone, for people")
	cmd.Flags().StringVar(&w.profile, "profile", string(phone.Android), "the app that is played: "+profiles())
	store := d.storeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if w.url == "" {
			return d.Misused("--url is missing; it is the public_url of the gateway")
		}
		w.store = *store
		return d.enrollAt(cmd.Context(), args[0], w)
	}
	return cmd
}

func (d desk) enrollAt(ctx context.Context, scanned string, w wanted) error {
	p, err := d.phone(phone.Profile(w.profile))
	if err != nil {
		return d.Misused("--profile must be one of %s", profiles())
	}
	path, err := storePath(w.store)
	if err != nil {
		return err
	}
	if _, err := readState(path); err != nil { // before the ticket is used up
		return err
	}
	if scanned == "-" {
		text, err := d.ReadStdin()
		if err != nil {
			return err
		}
		scanned = text.Reveal()
	}
	ticket, err := p.Scan(scanned)
	if err != nil {
		return d.Misused("that is no barcode_uri that the app of profile %s can scan: %v", w.profile, err)
	}
	push, err := d.pushCredentials(phone.Profile(w.profile))
	if err != nil {
		return err
	}
	a, err := p.Enroll(ctx, phone.Enrollment{URL: w.url, Ticket: ticket, Name: w.name, Push: push})
	var refused *phone.Refusal
	if errors.As(err, &refused) && (refused.Gone() || refused.Status == http.StatusConflict) {
		return fmt.Errorf("%w; a ticket is good once and for minutes: let the client ask for another one at /mfa/associate", err)
	}
	if err != nil {
		return err
	}
	if err := change(path, func(s *state) error { return s.add(a) }); err != nil {
		return err
	}
	d.printf("enrolled %s for %s at %s\n`sallyport device wait` shows the next push; the client's next poll finds the enrollment.\n",
		listing.Visible(a.ID), listing.Visible(a.UserID), listing.Visible(a.Issuer))
	return nil
}

// pushCredentials are where the provider keeps what is sent to an account: FCM's for a page
// too, as there is no web push in a terminal.
func (d desk) pushCredentials(p phone.Profile) (phone.PushCredentials, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(d.Random, raw); err != nil {
		return phone.PushCredentials{}, fmt.Errorf("make a push token: %w", err)
	}
	if p.Service() == provider.APNs {
		return phone.PushCredentials{Service: provider.APNs, Token: secret.New(strings.ToUpper(hex.EncodeToString(raw)))}, nil
	}
	return phone.PushCredentials{Service: provider.FCM, Token: secret.New(base64.RawURLEncoding.EncodeToString(raw))}, nil
}

// row is an account as it is listed.
type row struct {
	ID      string `json:"id"`
	Issuer  string `json:"issuer"`
	User    string `json:"user_id"`
	Name    string `json:"name"`
	Profile string `json:"profile"`
	URL     string `json:"url"`
	Waits   bool   `json:"waits"`
}

func (d desk) list() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the accounts of this phone", Args: cobra.NoArgs}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	store := d.storeFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		path, err := storePath(*store)
		if err != nil {
			return err
		}
		s, err := readState(path)
		if err != nil {
			return err
		}
		waiting := ""
		if s.Waiting != nil {
			waiting = s.Waiting.Account
		}
		var rows []row
		for _, a := range s.accounts {
			rows = append(rows, row{a.ID, a.Issuer, a.UserID, a.Name, string(a.Profile), a.URL, a.ID == waiting})
		}
		return listing.Print(d.Stdout, *asJSON, rows, "ID ISSUER USER NAME PROFILE URL WAITS", func(r row) []string {
			waits := ""
			if r.Waits {
				waits = "for an answer"
			}
			return []string{r.ID, r.Issuer, r.User, r.Name, r.Profile, r.URL, waits}
		})
	}
	return cmd
}

func (d desk) printf(format string, args ...any) { fmt.Fprintf(d.Stdout, format, args...) }
