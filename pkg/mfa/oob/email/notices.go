package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/notice"
)

// Accounts knows where people get mail.
type Accounts interface {
	// Account fails with fault.NotFound or fault.UserBlocked.
	Account(ctx context.Context, subject string) (mfa.Account, error)
}

// NotifierOptions are what notices by mail work with; all are needed.
type NotifierOptions struct {
	Wording   wording.Config // its contact is where people object
	Accounts  Accounts
	Clients   oob.Clients
	Service   func() string   // the name that people know this gateway by
	Otherwise notice.Notifier // tells what no mail can
	Now       func() time.Time
	Log       *slog.Logger
}

// notifier tells people by mail what happened to their accounts.
type notifier struct {
	NotifierOptions

	texts   *wording.Texts
	outbox  *outbox
	replyTo string
}

// NewNotifier makes a notifier that writes to verified addresses. Whoever has none, is
// blocked, or whose mailbox takes no mail, is told in the other way; and so is everybody
// where there is no server for mail.
func NewNotifier(c *Config, o NotifierOptions) (notice.Notifier, error) {
	if c == nil {
		return o.Otherwise, nil
	}
	n := notifier{NotifierOptions: o}
	var err error
	if n.texts, err = wording.New(o.Wording); err != nil {
		return nil, fmt.Errorf("messages.%w", err)
	}
	if n.outbox, err = newOutbox(*c, o.Now); err != nil {
		return nil, fmt.Errorf("delivery.email.%w", err)
	}
	if a, err := mail.ParseAddress(o.Wording.Contact); err == nil {
		n.replyTo = a.Address
	}
	return n, nil
}

// Notify implements notice.Notifier. One notice has one Message-ID, so that what is told
// twice is one mail to a program that looks for that.
func (n notifier) Notify(ctx context.Context, told notice.Notice) error {
	account, err := n.Accounts.Account(ctx, told.Subject)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil
	case errors.Is(err, fault.UserBlocked):
		return n.Otherwise.Notify(ctx, told)
	case err != nil:
		return fmt.Errorf("find the address: %w", err)
	}
	to, err := parse(account.Email)
	if err != nil || !account.Verified {
		return n.Otherwise.Notify(ctx, told)
	}
	l, err := n.letter(ctx, told)
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	l.to = to.String()
	err = n.outbox.send(ctx, l, oob.Message{})
	if errors.Is(err, fault.Undeliverable) { // nor will it be in an hour
		n.Log.WarnContext(ctx, "a notice was not delivered", "event", told.ID, "error", err)
		return n.Otherwise.Notify(ctx, told)
	}
	return err
}

// letter is a notice in words, in the language of those of whom none is known.
func (n notifier) letter(ctx context.Context, told notice.Notice) (letter, error) {
	words := n.texts.In("")
	client, err := n.client(ctx, told.Client)
	if err != nil {
		return letter{}, err
	}
	authenticators, err := named(words, told.Authenticators)
	if err != nil {
		return letter{}, err
	}
	l := letter{id: "notice." + told.ID, service: n.Service(), replyTo: n.replyTo}
	err = l.write(words, "notice."+string(told.Type), map[string]any{
		"Service": l.service, "Authenticator": authenticators, "Time": told.At, "Address": told.Address, "Client": client,
	})
	if err != nil {
		return letter{}, err
	}
	object, err := words.Say("notice.object", map[string]any{"Service": l.service})
	if err != nil {
		return letter{}, err
	}
	l.add(object)
	return l, nil
}

// client is what people know an application by; empty for what an administrator did.
func (n notifier) client(ctx context.Context, id string) (string, error) {
	if id == "" {
		return "", nil
	}
	c, err := n.Clients.Client(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return id, nil
	}
	if err != nil {
		return "", fmt.Errorf("name the application: %w", err)
	}
	return cmp.Or(c.Name, id), nil
}

// named are authenticators as their user knows them.
func named(words *wording.Language, all []notice.Authenticator) (string, error) {
	var names []string
	for _, a := range all {
		kind := cmp.Or(a.Channel, a.Type)
		if kind == "auth0" { // the channel of pushes in the contract
			kind = "push"
		}
		said, err := words.Say("authenticator."+kind, map[string]any{"Name": a.Name})
		if err != nil {
			return "", err
		}
		names = append(names, said)
	}
	return strings.Join(names, ", "), nil
}
