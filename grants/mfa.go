package grants

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

// mfaGrant is the tenant's one word for every MFA grant type.
const mfaGrant = "mfa"

// MFA handles every MFA grant type: "mfa-" and an authenticator type, bare or after
// Auth0's prefix. fosite keeps one handler for each Go type, so there is one for all.
type MFA struct{ issuing }

var _ fosite.TokenEndpointHandler = (*MFA)(nil)

// NewMFA makes the handler for the factors of the verifier.
func NewMFA(o Options) *MFA {
	m := &MFA{}
	m.issuing = issuing{o, func(grant string) (string, bool) {
		_, ok := m.factor(grant)
		return mfaGrant, ok
	}}
	return m
}

// GrantTypes lists what the handler serves, as discovery names it.
func (m *MFA) GrantTypes() []string {
	var out []string
	for _, f := range m.Verifier.Factors {
		out = append(out, extension+"mfa-"+string(f.Type()))
	}
	return out
}

// HandleTokenEndpointRequest lets the verifier judge the proof.
func (m *MFA) HandleTokenEndpointRequest(ctx context.Context, ar fosite.AccessRequester) error {
	name, ok := m.serves(ar)
	if !ok {
		return fosite.ErrUnknownRequest
	}
	r, err := m.check(ctx, ar, name)
	if err != nil {
		return err
	}
	a := r.session.attempt
	if a == nil {
		if a, err = m.attempt(r); err != nil {
			return err
		}
	}
	r.session.clearance, err = m.judge(ctx, *a)
	return err
}

// Early decides about a poll whose answer is out before fosite looks at it: most of what a
// token endpoint is asked is that (standards, 3.3). What it lets pass has its proof out of
// the form.
func (m *MFA) Early(ctx context.Context, client record.Client, form url.Values, carried fosite.Session) error {
	session, ok := carried.(*Session)
	if !ok {
		return errNoSession
	}
	r := request{client: client, form: form, session: session, grant: form.Get("grant_type")}
	f, _ := m.factor(r.grant)
	if _, ok := f.(mfa.Awaited); !ok {
		return nil
	}
	if err := r.permit(mfaGrant); err != nil {
		return err
	}
	a, err := m.attempt(r)
	if err != nil {
		return err
	}
	*a, err = m.Verifier.Await(ctx, *a)
	if session.Resume != nil {
		session.Resume()
	}
	session.attempt = a
	if errors.Is(err, fault.MalformedMFAToken) {
		return nil // it may be an access token for /mfa/
	}
	return err
}

// judge finishes the transaction of an mfa_token, or confirms what an access token for
// /mfa/ associated.
func (m *MFA) judge(ctx context.Context, a mfa.Attempt) (mfa.Clearance, error) {
	cleared, refusal := m.Verifier.Verify(ctx, a)
	if _, err := m.Verifier.Handles.Read(a.Token); m.Manage == nil || fault.Of(refusal) != fault.MalformedMFAToken || err == nil {
		return cleared, refusal
	}
	c, err := m.Manage(ctx, a.Token, ScopeEnroll)
	if errors.Is(err, fault.BadAccessToken) || errors.Is(err, fault.InsufficientScope) {
		return mfa.Clearance{}, fault.MalformedMFAToken
	}
	if err != nil {
		return mfa.Clearance{}, err
	}
	return m.Verifier.Confirm(ctx, c, a)
}

// attempt reads the proof. Everything secret leaves the form, also when something
// else is missing.
func (m *MFA) attempt(r request) (*mfa.Attempt, error) {
	f, _ := m.factor(r.grant)
	a := mfa.Attempt{Client: r.client.ID, Type: f.Type(), Grant: r.grant, Address: r.session.Address, Wait: r.session.Wait, Proof: mfa.Proof{}}
	token, err := r.take("mfa_token")
	a.Token = token
	for i, name := range f.Params() {
		value, missing := r.take(name)
		if i == 0 && err == nil {
			err = missing
		}
		a.Proof[name] = value
	}
	if scope := strings.Fields(r.form.Get("scope")); len(scope) > 0 {
		a.Scopes = scope
	}
	if a.Audience = r.form.Get("audience"); m.isMFAAudience(a.Audience) {
		a.Audience = MFAAudience(m.URL)
	}
	return &a, err
}

func (m *MFA) factor(grant string) (mfa.Factor, bool) {
	kind, ok := strings.CutPrefix(bare(grant), "mfa-")
	i := slices.IndexFunc(m.Verifier.Factors, func(f mfa.Factor) bool { return string(f.Type()) == kind })
	if !ok || i < 0 {
		return nil, false
	}
	return m.Verifier.Factors[i], true
}

// bare is a grant type without Auth0's prefix.
func bare(grant string) string { return strings.TrimPrefix(grant, extension) }
