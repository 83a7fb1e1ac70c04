package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/notice"
)

// commitLeeway is how long after its time an event is in the record at the latest.
const commitLeeway = time.Minute

// newTeller tells users what happened to their accounts.
func (g *Gateway) newTeller() (*notice.Teller, error) {
	n, err := email.NewNotifier(g.Config.Delivery.Email, email.NotifierOptions{
		Wording: g.Config.Messages.Wording, Accounts: g.stores.sql, Clients: g.stores.sql, Service: g.issuer,
		Otherwise: notice.Logger{Log: g.Log}, Now: g.Now, Log: g.Log,
	})
	return &notice.Teller{Store: g.stores.sql, Notifier: n, Now: g.Now, Log: g.Log}, err
}

// unfinished makes notices of logins whose mfa_token is over and led to nothing.
func (g *Gateway) unfinished(ctx context.Context) error {
	return g.stores.sql.NoticeUnfinished(ctx, g.Now().Add(-g.Config.Lifetimes.MFA.TokenLifetime-commitLeeway))
}
