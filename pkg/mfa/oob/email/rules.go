package email

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Rules say whether codes go by mail, and how many (C-09, C-16).
type Rules struct {
	Codes      bool `yaml:"codes" doc:"Send codes by mail, where there is a server for it. off: notices alone."`
	PerUser    int  `yaml:"per_user" default:"20" doc:"Mails with codes for a user at a time; one more each minute. At most 100."`
	PerMailbox int  `yaml:"per_mailbox" doc:"Mails with codes to a mailbox at a time, whoever asks; one more each minute. Who confirmed it has as many alone. 0: no bound."`
	PerGateway int  `yaml:"per_gateway" doc:"Mails with codes at a time, half of them to mailboxes that are not confirmed; as many more in an hour. 0: no bound."`
}

// Validate reports everything that is wrong, each error as "key: text".
func (r Rules) Validate() error {
	var errs []error
	for _, l := range []struct {
		key             string
		value, min, max int
	}{
		{"per_user", r.PerUser, 1, 100}, {"per_mailbox", r.PerMailbox, 0, 1000}, {"per_gateway", r.PerGateway, 0, 1_000_000},
	} {
		if l.value < l.min || l.value > l.max {
			errs = append(errs, fmt.Errorf("%s: must be between %d and %d", l.key, l.min, l.max))
		}
	}
	return errors.Join(errs...)
}

// budgets are the buckets of a mail. Whose mailbox it is has one for it alone, and half of
// what all have together: whoever enters others' uses up neither.
func (r Rules) budgets(a mfa.Authenticator, to address) []oob.Budget {
	var all []oob.Budget
	whose, share := to.mailbox(), (r.PerGateway+1)/2
	if a.Active() {
		whose, share = whose+"\x00"+a.Subject, r.PerGateway
	}
	add := func(size int, every time.Duration, name ...string) {
		if size > 0 {
			hashed := secret.Hash(secret.New(strings.Join(append([]string{"email"}, name...), "\x00")))
			all = append(all, oob.Budget{Bucket: throttle.Bucket{Name: hashed, Size: size, Every: every}})
		}
	}
	add(r.PerUser, time.Minute, "user", a.Subject)
	add(r.PerMailbox, time.Minute, "mailbox", whose)
	add(share, time.Hour/time.Duration(max(r.PerGateway, 1)), "gateway")
	return all
}
