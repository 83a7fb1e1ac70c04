package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Authenticator authenticates OAuth clients (RFC 6749, 2.3); all is needed.
type Authenticator struct {
	Registry record.Registry
	Redeemer record.Redeemer // of assertions
	// Audiences are what an assertion may be meant for: the issuer, and nothing else
	// unless old libraries must be served.
	Audiences []string
	Now       func() time.Time
}

// presented is what a request says about its client.
type presented struct {
	id        string
	secret    secret.Text
	assertion secret.Text
}

// Authenticate returns the client of a request whose body is form: a public one by its
// id alone, a confidential one by an assertion, or by its secret, in the Authorization
// header, in the body or in both alike. It fails with fault.BadClient, whatever was
// wrong.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request, form url.Values) (record.Client, error) {
	client, proved, err := a.Identify(ctx, r, form)
	if err != nil {
		return record.Client{}, err
	}
	if client.Confidential && !proved {
		return record.Client{}, fault.BadClient
	}
	return client, nil
}

// Holder is Authenticate for a request that holds an mfa_token beside its client_id. A
// client that signs assertions may come without one then: libraries send none, and the
// mfa_token is bound to the client (Auth0 MFA API, 1.3.2); then it has not proved itself.
func (a *Authenticator) Holder(ctx context.Context, r *http.Request, form url.Values) (client record.Client, proved bool, err error) {
	client, proved, err = a.Identify(ctx, r, form)
	if err != nil {
		return record.Client{}, false, err
	}
	if client.Confidential && !proved && len(client.Keys) == 0 {
		return record.Client{}, false, fault.BadClient
	}
	return client, proved, nil
}

// Identify returns the client that a request names, and whether it proved itself: what
// is presented must hold, but nothing has to be.
func (a *Authenticator) Identify(ctx context.Context, r *http.Request, form url.Values) (record.Client, bool, error) {
	p, err := read(r, form)
	if err != nil {
		return record.Client{}, false, err
	}
	client, err := a.Registry.Client(ctx, p.id)
	if errors.Is(err, fault.NotFound) {
		return record.Client{}, false, fault.BadClient
	}
	if err != nil {
		return record.Client{}, false, fault.Because(fault.Unavailable, fmt.Errorf("find the client: %w", err))
	}
	switch {
	case client.Disabled:
		return record.Client{}, false, fault.BadClient
	case !p.assertion.Empty():
		if err := a.asserted(ctx, client, p.assertion); err != nil {
			return record.Client{}, false, err
		}
		return client, true, nil
	case p.secret.Empty():
		return client, false, nil
	case !holds(client, p.secret):
		return record.Client{}, false, fault.BadClient
	}
	return client, true, nil
}

// holds compares with every live secret. Client secrets are long and random, so a fast
// hash protects them, and a poll does not pay for a slow one.
func holds(c record.Client, s secret.Text) bool {
	hash := []byte(secret.Hash(s))
	ok := 0
	for _, live := range c.SecretHashes {
		ok |= subtle.ConstantTimeCompare(hash, []byte(live))
	}
	return c.Confidential && ok == 1
}

// read takes the client's id and its proof from the header and the body. Both at once are
// tolerated if they say the same. A Bearer header is not the client's and ignored:
// published samples send one (Auth0 MFA API, 1.1.12).
func read(r *http.Request, form url.Values) (presented, error) {
	body := presented{id: form.Get("client_id"), secret: secret.New(form.Get("client_secret"))}
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	basic := strings.EqualFold(scheme, "Basic")
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		if basic || !body.secret.Empty() { // RFC 6749, 2.3: one method
			return presented{}, fault.BadClient
		}
		return readAssertion(form)
	}
	if !basic {
		return body, nil
	}
	id, text, ok := r.BasicAuth()
	if !ok {
		return presented{}, fault.BadClient
	}
	// RFC 6749, 2.3.1: both are form-encoded before they are joined.
	id, idErr := url.QueryUnescape(id)
	text, textErr := url.QueryUnescape(text)
	header := presented{id: id, secret: secret.New(text)}
	if idErr != nil || textErr != nil || header.secret.Empty() {
		return presented{}, fault.BadClient
	}
	if body.id != "" && body.id != header.id || !body.secret.Empty() && !body.secret.Equal(header.secret) {
		return presented{}, fault.BadClient
	}
	return header, nil
}

// client is a record.Client as fosite wants to see one.
type client struct{ record.Client }

var _ fosite.Client = client{}

func (c client) GetID() string                    { return c.ID }
func (client) GetHashedSecret() []byte            { return nil }
func (c client) GetRedirectURIs() []string        { return c.RedirectURIs }
func (c client) GetGrantTypes() fosite.Arguments  { return c.Grants }
func (client) GetResponseTypes() fosite.Arguments { return nil }
func (client) GetScopes() fosite.Arguments        { return nil }
func (c client) IsPublic() bool                   { return !c.Confidential }
func (client) GetAudience() fosite.Arguments      { return nil }
