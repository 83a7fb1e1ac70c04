package device

import (
	"bytes"
	"context"
	"encoding/json"
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

// defaultProvider is where the provider listens.
const defaultProvider = "127.0.0.1:8977"

// answer is how a person answers a push.
type answer struct {
	approve, deny bool
	reason, code  string
}

func (a *answer) reasonFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.reason, "reason", "", "why: hacked says that it was not you, and ends all of your logins that wait; mistake is a plain no")
}

func (a *answer) codeFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.code, "code", "", "the code that the page of the login shows, where it asks for that (profile web)")
}

func (d desk) wait() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait for a push and show what the screen of the phone would",
		Long: "Wait comes for the next push at the provider, reads what the login asks for, and shows it. With --approve or\n" +
			"--deny it answers at once; else `sallyport device approve` and `deny` do.",
		Args: cobra.NoArgs,
	}
	var how answer
	cmd.Flags().BoolVar(&how.approve, "approve", false, "let the login go on")
	cmd.Flags().BoolVar(&how.deny, "deny", false, "end the login")
	how.reasonFlag(cmd)
	how.codeFlag(cmd)
	const usual = 2 * time.Minute
	timeout := cmd.Flags().Duration("timeout", usual, "how long to wait")
	at := cmd.Flags().String("provider", "http://"+defaultProvider, "`URL` of the provider that the gateway sends to")
	store := d.storeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := d.checkFlags(how, *timeout); err != nil {
			return err
		}
		path, err := storePath(*store)
		if err != nil {
			return err
		}
		ctx, stop := d.Interruptible(cmd.Context())
		defer stop()
		waiting, cancel := context.WithTimeout(ctx, *timeout)
		defer cancel()
		asks, err := d.await(waiting, path, strings.TrimRight(*at, "/"))
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no push came within %s; has the gateway delivery.push with an endpoint at %s?", *timeout, *at)
		}
		if err != nil {
			return err
		}
		if err := d.show(ctx, path, asks); err != nil {
			return err
		}
		if how.approve || how.deny {
			return d.answer(ctx, path, how)
		}
		d.printf("\n`sallyport device approve` lets it go on, `sallyport device deny` ends it; was it not you: `sallyport device deny --reason hacked`.\n")
		return nil
	}
	return cmd
}

func (d desk) checkFlags(how answer, timeout time.Duration) error {
	switch {
	case how.approve && how.deny:
		return d.Misused("--approve and --deny exclude each other")
	case how.reason != "" && !how.deny:
		return d.Misused("--reason goes with --deny")
	case how.code != "" && !how.approve:
		return d.Misused("--code goes with --approve")
	case timeout <= 0:
		return d.Misused("--timeout must be longer than nothing, as in 30s")
	}
	return nil
}

// asked is a push that asks for an answer, as the app of its account read it.
type asked struct {
	phone   *phone.Phone
	account phone.Account
	push    provider.Push
	*phone.Notification
}

// await waits for a push that asks for an answer. One that the app does not know is passed
// over, as it would be there.
func (d desk) await(ctx context.Context, path, at string) (*asked, error) {
	for {
		s, err := readState(path)
		if err != nil {
			return nil, err
		}
		if len(s.accounts) == 0 {
			return nil, errors.New("the phone has no account; `sallyport device enroll` makes one")
		}
		push, err := d.next(ctx, at, s)
		if err != nil {
			return nil, err
		}
		asks, err := d.read(s, push)
		if asks != nil || err != nil {
			return asks, err
		}
		d.printf("passed over a push that its app does not take\n")
	}
}

// patience is how many seconds one request waits.
const patience = 25

// next comes for the next push for one of the accounts.
func (d desk) next(ctx context.Context, at string, s state) (provider.Push, error) {
	wait := provider.Wait{Seconds: patience}
	for _, a := range s.accounts {
		wait.Tokens = append(wait.Tokens, a.Push.Token.Reveal())
	}
	body, err := json.Marshal(wait)
	if err != nil {
		return provider.Push{}, err
	}
	for {
		push, ok, err := ask(ctx, at+provider.InboxPath, body)
		if err != nil || ok {
			return push, err
		}
	}
}

// ask comes for a push once.
func ask(ctx context.Context, url string, body []byte) (push provider.Push, ok bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return push, false, fmt.Errorf("ask the provider: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r) // no proxy knows this machine
	if ctx.Err() != nil {
		return push, false, ctx.Err()
	}
	if err != nil {
		return push, false, fmt.Errorf("the provider does not answer; `sallyport device provider` starts one: %w", err)
	}
	defer got.Body.Close()
	const limit = 64 << 10
	switch got.StatusCode {
	case http.StatusNoContent:
		return push, false, nil
	case http.StatusOK:
		err = json.NewDecoder(io.LimitReader(got.Body, limit)).Decode(&push)
		return push, err == nil, err
	default:
		return push, false, fmt.Errorf("the provider answered %s; is another server at %s?", got.Status, url)
	}
}

// read reads a push as the app of its account does; nil where that takes no notice.
func (d desk) read(s state, push provider.Push) (*asked, error) {
	a, ok := s.owner(push)
	if !ok {
		return nil, nil
	}
	p, err := d.phone(a.Profile)
	if err != nil {
		return nil, err
	}
	var n *phone.Notification
	if push.Service == provider.APNs {
		n, err = p.FromAPNs(push.Payload)
	} else {
		var members map[string]string
		if json.Unmarshal(push.Payload, &members) != nil {
			return nil, nil
		}
		n, err = p.FromFCM(members)
	}
	if n == nil || err != nil || n.Account != a.ID {
		return nil, err
	}
	return &asked{p, a, push, n}, nil
}

// show shows what a push asks, and keeps it for an answer.
func (d desk) show(ctx context.Context, path string, asks *asked) error {
	consent, err := asks.phone.Consent(ctx, asks.account, *asks.Notification)
	if err != nil {
		return fmt.Errorf("%w; without it the app shows no buttons", err)
	}
	d.screen(asks.account, *asks.Notification, consent)
	return change(path, func(s *state) error {
		s.Waiting = &waiting{asks.account.ID, asks.push}
		return nil
	})
}

// screen prints what a phone shows.
func (d desk) screen(a phone.Account, n phone.Notification, c *phone.Consent) {
	from := n.Browser.String()
	if on := n.OS.String(); on != "" {
		from = strings.TrimSpace(from + " on " + on)
	}
	d.printf("Is it you who logs in?\n\n")
	lines := [][2]string{
		{"account", a.UserID + " at " + a.Issuer}, {"client", n.Client}, {"device", from}, {"place", n.Place.Name},
		{"began", n.Started.UTC().Format(time.RFC3339)},
	}
	if c != nil {
		lines = append(lines, [][2]string{{"audience", c.Audience}, {"scope", strings.Join(c.Scope, " ")}, {"message", c.BindingMessage}}...)
		for _, detail := range c.AuthorizationDetails {
			if text, err := json.Marshal(detail); err == nil {
				lines = append(lines, [2]string{"detail", string(text)})
			}
		}
	}
	for _, line := range lines {
		if line[1] != "" {
			d.printf("  %-9s %s\n", line[0], listing.Visible(line[1]))
		}
	}
	if n.Bind != "" {
		d.printf("\nThe page of the login shows a code: approve with --code.\n")
	}
}

func (d desk) approve() *cobra.Command {
	how := answer{approve: true}
	cmd := &cobra.Command{Use: "approve", Short: "Let the login go on that the last push asked about", Args: cobra.NoArgs}
	how.codeFlag(cmd)
	return d.answering(cmd, &how)
}

func (d desk) deny() *cobra.Command {
	how := answer{deny: true}
	cmd := &cobra.Command{Use: "deny", Short: "End the login that the last push asked about", Args: cobra.NoArgs}
	how.reasonFlag(cmd)
	return d.answering(cmd, &how)
}

func (d desk) answering(cmd *cobra.Command, how *answer) *cobra.Command {
	store := d.storeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := storePath(*store)
		if err != nil {
			return err
		}
		return d.answer(cmd.Context(), path, *how)
	}
	return cmd
}

// answer answers the push that waits.
func (d desk) answer(ctx context.Context, path string, how answer) error {
	s, err := readState(path)
	if err != nil {
		return err
	}
	if s.Waiting == nil {
		return errors.New("no push waits for an answer; `sallyport device wait` waits for one")
	}
	asks, err := d.read(s, s.Waiting.Push)
	if err != nil {
		return err
	}
	if asks == nil {
		return errors.New("the account of the push that waited is gone; `sallyport device wait` waits for another one")
	}
	if err := d.checkCode(asks, how); err != nil {
		return err
	}
	said := "approved"
	if how.approve {
		err = asks.phone.Allow(ctx, asks.account, *asks.Notification, secret.New(how.code))
	} else {
		said = "denied"
		err = asks.phone.Reject(ctx, asks.account, *asks.Notification, how.reason)
	}
	var refused *phone.Refusal
	over := errors.As(err, &refused) && refused.Gone()
	if err != nil && !over {
		return err
	}
	if forgotten := change(path, func(s *state) error { s.Waiting = nil; return nil }); forgotten != nil {
		return errors.Join(err, forgotten)
	}
	if over {
		return fmt.Errorf("%w; the login is over, was answered, or another one took its place; `sallyport device wait` comes for the next push", err)
	}
	d.printf("%s the login of %s\n", said, listing.Visible(asks.account.UserID))
	return nil
}

// checkCode asks for the code where the login does.
func (d desk) checkCode(asks *asked, how answer) error {
	profile := asks.account.Profile
	switch {
	case how.deny:
		return nil
	case how.code != "" && !profile.SendsCodes():
		return d.Misused("the app of profile %s sends no codes; enroll with --profile %s", profile, phone.Web)
	case how.code == "" && asks.Bind != "" && profile.SendsCodes():
		return d.Misused("the page of the login shows a code; add it with --code")
	}
	return nil
}
