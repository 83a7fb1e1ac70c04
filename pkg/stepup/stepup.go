// Package stepup guards the HTTP handlers of an API with the access tokens of a gateway,
// or of any issuer of RFC 9068's tokens, and asks for a stronger or fresher login where
// a request deserves one (RFC 9470).
//
// A token is verified here, by the published keys of the issuer: the issuer is not asked
// about it, so one that was revoked opens the API until it expires.
package stepup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/pkg/record"
)

// MultiFactor is the acr to demand where a password alone does not do.
const MultiFactor = record.MultiFactor

// Options say whose tokens open an API.
type Options struct {
	Issuer   string // as in iss, byte for byte: the gateway's public_url with its slash
	Audience string // of this API, as in aud

	// Auth0 takes, beside RFC 9068's, the tokens of an issuer that speaks Auth0's dialect:
	// typ "JWT" as ID tokens have it, azp instead of client_id.
	Auth0 bool

	Client *http.Client     // reads the keys; nil for one that follows no redirect
	Now    func() time.Time // nil for the clock
	Log    *slog.Logger     // nil for none; says why tokens are refused at level debug
}

// A Guard verifies access tokens. It may be used by any number of goroutines.
type Guard struct {
	o    Options
	keys *keys
}

// New makes a guard. The keys are read when the first token comes in: an API starts
// also while its issuer is down.
func New(o Options) (*Guard, error) {
	if err := issuerURL(o.Issuer); err != nil {
		return nil, err
	}
	if o.Audience == "" {
		return nil, errors.New("no audience: a token for any API would do")
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Guard{o: o, keys: &keys{issuer: o.Issuer, client: o.Client, now: o.Now, log: o.Log}}, nil
}

// issuerURL refuses an issuer whose keys anybody on the way could replace.
func issuerURL(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("the issuer %q is not a URL without query and fragment", issuer)
	}
	if !trustworthy(u) {
		return fmt.Errorf("the issuer %q is not an https URL", issuer)
	}
	return nil
}

// trustworthy reports whether what comes from a URL is from who it says: by TLS, or on
// this machine.
func trustworthy(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Require is next behind the guard: it serves the requests whose token meets the demand
// and finds the token with [FromContext]. It panics when the demand makes no sense, as
// http.Handle does: that is a mistake in the program.
//
// The others are answered as RFC 6750, section 3, and RFC 9470, section 3, have it. Only
// the Authorization header is looked at. What is asked of the login goes first, and the
// challenge names the scopes that lack as well, so that one step-up brings both.
func (g *Guard) Require(d Demand, next http.Handler) http.Handler {
	d.mustMakeSense()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, no := g.token(r)
		if no == nil {
			no = d.met(token, g.o.Now())
		}
		if no != nil {
			g.refuse(w, r, no)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
	})
}

type tokenKey struct{}

// FromContext is the token that opened the way to a handler behind a guard.
func FromContext(ctx context.Context) (Token, bool) {
	t, ok := ctx.Value(tokenKey{}).(Token)
	return t, ok
}
