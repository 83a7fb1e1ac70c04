package grants

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const grantMFAToken = "mfa_token"

// StepUp handles the grant "mfa_token", the gateway's own: a live access token in, an
// mfa_token out, which the MFA grants finish. So a client answers an API that wants a
// stronger or newer login (RFC 9470, 3) without a browser.
type StepUp struct {
	issuing
	read    func(ctx context.Context, token secret.Text) (mfa.Credential, error)
	longest time.Duration
}

var _ fosite.TokenEndpointHandler = (*StepUp)(nil)

// NewStepUp makes the handler. read returns what a live access token of a user was issued
// for, or fails with fault.BadAccessToken. A session that is older than longest is not
// stepped up: no login lasts for ever.
func NewStepUp(o Options, read func(ctx context.Context, token secret.Text) (mfa.Credential, error), longest time.Duration) *StepUp {
	return &StepUp{issuing{o, func(grant string) (string, bool) {
		return mfaGrant, grant == grantMFAToken
	}}, read, longest}
}

// GrantTypes lists what the handler serves, as discovery names it.
func (*StepUp) GrantTypes() []string { return []string{grantMFAToken} }

// HandleTokenEndpointRequest asks the gate what is needed beyond the session in hand. An
// mfa_token is an answer and no failure, but fosite knows of no answer without an access
// token: it goes out as a fault that the catalogue writes with 200.
func (s *StepUp) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	name, ok := s.serves(ar)
	if !ok {
		return fosite.ErrUnknownRequest
	}
	r, err := s.check(ctx, ar, name)
	if err != nil {
		return err
	}
	c, err := s.inHand(ctx, r)
	if err != nil {
		return err
	}
	w, err := s.step(ctx, r, held{c.Audience, c.Scopes})
	if err != nil {
		return err
	}
	r.session.clearance, err = s.Verifier.Begin(ctx, mfa.Login{
		Subject: c.Subject, Client: r.client.ID, Origin: mfa.FromStepUp, Grant: r.grant,
		Scopes: w.scopes, Audience: w.audience, Proofs: c.Session.Proofs, Session: c.Session.ID,
		Address: r.session.Address, Until: c.ExpiresAt, Access: c.Handle,
	}, w.demand)
	var d *fault.Details
	if errors.As(err, &d) && d.Kind == fault.MFARequired {
		members := maps.Clone(d.Extra)
		members["expires_in"] = int64(s.Verifier.Lifetime.Seconds())
		return &fault.Details{Kind: fault.StepUpBegun, Extra: members}
	}
	return err
}

// inHand reads the access token of a request.
func (s *StepUp) inHand(ctx context.Context, r request) (mfa.Credential, error) {
	token, err := r.take("access_token")
	if err != nil {
		return mfa.Credential{}, err
	}
	c, err := s.read(ctx, token)
	if err != nil {
		return mfa.Credential{}, err
	}
	if c.Client != r.client.ID {
		return mfa.Credential{}, fault.ForeignToken
	}
	if s.Verifier.Now().Sub(c.Session.CreatedAt) > s.longest {
		return mfa.Credential{}, fault.StaleSession
	}
	return c, nil
}

// step resolves what is asked for. An access token is shown to APIs, any of which could
// send it here. So without a new proof it yields nothing that it is not good for itself,
// but mfa_scopes of its own API to a session that proved a second factor; for another
// audience or more scopes the user has to be there. A refresh token never comes of it.
func (s *StepUp) step(ctx context.Context, r request, h held) (wish, error) {
	if acr := strings.Fields(r.form.Get("acr_values")); len(acr) > 0 && !slices.Contains(acr, record.MultiFactor) {
		return wish{}, fault.UnmetACR // RFC 9470, 5
	}
	var w wish
	var err error
	if s.same(r, h) {
		w, err = s.more(ctx, r, h)
		w.demand.Anew = w.wider
	} else {
		w, err = s.wish(ctx, r)
		w.demand.Anew = true
	}
	w.scopes = slices.DeleteFunc(w.scopes, func(scope string) bool { return scope == "offline_access" })
	return w, err
}
