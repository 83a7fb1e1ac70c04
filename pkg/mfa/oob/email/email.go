package email

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/secret"
)

// name is the oob_channel, the kind of factor and the amr. The last is a value of our own,
// in no class of factors, so that acr stays what it was (record.ACR).
const name = "email"

// carrier takes codes to mailboxes.
type carrier struct {
	rules  Rules
	texts  *wording.Texts
	outbox *outbox
}

var _ oob.Carrier = carrier{}

// New makes the channel of what is configured.
func New(c Config, rules Rules, texts *wording.Texts, now func() time.Time) (oob.Carrier, error) {
	out, err := newOutbox(c, now)
	if err != nil {
		return nil, err
	}
	return carrier{rules: rules, texts: texts, outbox: out}, nil
}

// About implements oob.Carrier.
func (carrier) About() oob.About { return oob.About{Name: name, Kind: name, Methods: []string{name}} }

// Address implements oob.Carrier: what the client sent as email, else the account's own. Who
// proved the password alone may have a code sent nowhere but to the account's own verified
// address: who stole the password would enroll a mailbox of theirs.
func (carrier) Address(r mfa.Enrolling) (oob.Address, error) {
	sent, given := r.Params["email"]
	text := sent
	if !given || sent == "" {
		text = r.Account.Email
	}
	if text == "" {
		return oob.Address{}, fault.Param(fault.MissingParameter, "email")
	}
	to, err := parse(text)
	if err != nil {
		return oob.Address{}, err
	}
	if r.OwnAddress {
		own, err := parse(r.Account.Email)
		if err != nil || !r.Account.Verified || !own.is(to) {
			return oob.Address{}, fault.ForeignAddress
		}
		to = own
	}
	return oob.Address{To: secret.New(to.String()), Name: mfa.MaskEmail(to.String())}, nil
}

// Budgets implements oob.Carrier.
func (c carrier) Budgets(a mfa.Authenticator) ([]oob.Budget, error) {
	to, err := parse(a.Address.Reveal())
	if err != nil {
		return nil, err
	}
	return c.rules.budgets(a, to), nil
}

// Send implements oob.Carrier. The mail says what site the code is for, so that nobody types
// it at another one.
func (c carrier) Send(ctx context.Context, m oob.Message) error {
	l := letter{id: m.ID, to: m.To.Reveal(), service: m.Service, code: m.Code.Reveal()}
	err := l.write(c.texts.In(m.Locale), "email.code", map[string]any{
		"Service": m.Service, "Client": m.Host, "Minutes": minutes(m.ExpiresIn),
	})
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	return c.outbox.send(ctx, l, m)
}

// minutes is a time as people say it: whole minutes, at least one.
func minutes(d time.Duration) int { return max(int(d.Round(time.Minute)/time.Minute), 1) }
