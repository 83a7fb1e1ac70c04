package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/pkg/notice"
)

// commitLeeway is how long after its time an event is in the record at the latest, other
// nodes' clocks included.
const commitLeeway = time.Minute

// teller tells users what happened to their accounts. No channel to people is served yet:
// it is the log that is told.
func (g *Gateway) teller() *notice.Teller {
	return &notice.Teller{Store: g.stores.sql, Notifier: notice.Logger{Log: g.Log}, Now: g.Now, Log: g.Log}
}

// unfinished makes notices of logins whose mfa_token is over and led to nothing.
func (g *Gateway) unfinished(ctx context.Context) error {
	return g.stores.sql.NoticeUnfinished(ctx, g.Now().Add(-g.Config.Lifetimes.MFA.TokenLifetime-commitLeeway))
}
