package grants

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// request is a token request that passed the checks no grant may skip; fosite makes
// none of them itself.
type request struct {
	client  record.Client
	form    url.Values
	session *Session
	grant   string
}

var errNoSession = errors.New("the token request carries no grants.Session")

// check returns the request of an authenticated client that is registered for the
// grant under the tenant's name for it.
func (o Options) check(ctx context.Context, ar fosite.AccessRequester, name string) (request, error) {
	session, ok := ar.GetSession().(*Session)
	if !ok {
		return request{}, errNoSession
	}
	client, err := o.Registry.Client(ctx, ar.GetClient().GetID())
	if errors.Is(err, fault.NotFound) {
		return request{}, fault.BadClient // deleted since it was authenticated
	}
	if err != nil {
		return request{}, fault.Because(fault.Unavailable, fmt.Errorf("check the client: %w", err))
	}
	r := request{client: client, form: ar.GetRequestForm(), session: session, grant: ar.GetGrantTypes()[0]}
	return r, r.permit(name)
}

// permit wants a client that may use the grant. What it says of its user's address counts if
// it is trusted with that.
func (r request) permit(name string) error {
	if r.client.Disabled {
		return fault.BadClient
	}
	if !r.client.Allows(name) {
		return fault.Param(fault.GrantNotAllowed, r.grant)
	}
	if r.session.Forwarded != "" && r.client.Forwards() {
		r.session.Address = r.session.Forwarded
	}
	return nil
}

// take reads a required secret and removes it from the form, which travels on through
// other handlers and hooks.
func (r request) take(name string) (secret.Text, error) {
	value := r.form.Get(name)
	r.form.Del(name)
	if value == "" {
		return secret.Text{}, fault.Param(fault.MissingParameter, name)
	}
	return secret.New(value), nil
}

// wish is what a request asks for, cut down to what there is.
type wish struct {
	audience []string // of the access token; the API's first
	scopes   []string
	wider    bool // some scope is beyond what was held, and mfa_scopes do not explain it
	demand   mfa.Demand
}

// oidcScopes go with every audience.
var oidcScopes = []string{"openid", "profile", "email", "phone", "address", "offline_access"}

// held is what a token in hand has.
type held struct{ audience, scopes []string }

// wish resolves audience and scopes of a user grant. A scope that no API knows is
// dropped; one that this client may not have is an error; none at all means all of
// the API's (fixtures, settled points).
func (o Options) wish(ctx context.Context, r request) (wish, error) {
	return o.resolve(ctx, r, r.form["audience"], nil)
}

// more resolves what is asked for with a token in hand, for the API that it was issued
// for. None at all means the same again, without what the client has lost meanwhile.
func (o Options) more(ctx context.Context, r request, h held) (wish, error) {
	if !o.same(r, h) || len(r.form["audience"]) > 1 {
		return wish{}, fault.Param(fault.BadRequest, "The token was issued for another audience.")
	}
	return o.resolve(ctx, r, h.audience[:1], &h)
}

// same reports whether a request stays with the audience of a token in hand.
func (o Options) same(r request, h held) bool {
	asked := r.form.Get("audience")
	return asked == "" || slices.Contains(h.audience, asked) || o.isMFAAudience(asked) && o.isMFAAudience(h.audience[0])
}

func (o Options) resolve(ctx context.Context, r request, audience []string, h *held) (wish, error) {
	w := wish{demand: mfa.Demand{Mode: r.client.MFA}}
	if err := askFresh(r.form, &w.demand); err != nil {
		return wish{}, err
	}
	api, allowed, err := o.reach(ctx, r.client, audience)
	if err != nil {
		return wish{}, err
	}
	w.demand.Factors = o.isMFAAudience(api.Audience)
	if err := w.grant(strings.Fields(r.form.Get("scope")), r.client, reachable{api, allowed, h}); err != nil {
		return wish{}, err
	}
	w.demand.Beyond = w.demand.Factors && slices.ContainsFunc(w.scopes, func(s string) bool { return !slices.Contains(api.Scopes, s) })
	w.audience = []string{api.Audience}
	if userinfo := UserinfoAudience(o.URL); api.Audience != userinfo && slices.Contains(w.scopes, "openid") {
		w.audience = append(w.audience, userinfo)
	}
	return w, w.demand.Check()
}

// reachable is an API as far as a request can reach.
type reachable struct {
	record.API
	allowed []string // the scopes that are open to the client; none named: all
	held    *held    // what a token in hand has; nil: there is none
}

func (a reachable) open(scope string) bool {
	return len(a.allowed) == 0 || !slices.Contains(a.Scopes, scope) || slices.Contains(a.allowed, scope)
}

// all are the scopes of a request that names none.
func (a reachable) all() []string {
	scopes := a.Scopes
	if a.held != nil {
		scopes = a.held.scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !a.open(s) })
}

// grant adds the scopes that a client asked for and may have of an API.
func (w *wish) grant(asked []string, c record.Client, api reachable) error {
	if len(asked) == 0 {
		asked = api.all()
	}
	for _, scope := range asked {
		if !api.open(scope) {
			return fault.ScopeNotAllowed
		}
		if withheld(scope, c, api.API) || slices.Contains(w.scopes, scope) {
			continue
		}
		w.scopes = append(w.scopes, scope)
		guarded := slices.Contains(api.MFAScopes, scope)
		w.demand.Scopes = w.demand.Scopes || guarded
		w.wider = w.wider || api.held != nil && !guarded && !slices.Contains(api.held.scopes, scope)
	}
	return nil
}

// withheld reports whether a client goes without a scope. An API may call one of its own
// as OpenID Connect does; then the rules of both hold.
func withheld(scope string, c record.Client, api record.API) bool {
	switch {
	case !slices.Contains(oidcScopes, scope) && !slices.Contains(api.Scopes, scope):
		return true
	case scope == "offline_access" && !c.Allows("refresh_token"):
		return true
	default:
		// Who asks nobody for a factor cannot have what demands one.
		return c.MFA == record.MFAOff && slices.Contains(api.MFAScopes, scope)
	}
}

// reach finds the API of an audience parameter and the scopes of it that are open to the
// client (none: all).
func (o Options) reach(ctx context.Context, c record.Client, audience []string) (record.API, []string, error) {
	api, err := o.api(ctx, audience)
	if err != nil {
		return record.API{}, nil, err
	}
	allowed, ok := c.Audiences[api.Audience]
	if c.Audiences != nil && !ok && !o.gateways(api) {
		return record.API{}, nil, fault.UnknownAudience
	}
	return api, allowed, nil
}

// gateways reports whether the API is one of the gateway's own, which every client has
// for its users.
func (o Options) gateways(api record.API) bool {
	return api.Audience == MFAAudience(o.URL) || api.Audience == UserinfoAudience(o.URL)
}

// api finds the API of the audience parameter.
func (o Options) api(ctx context.Context, audience []string) (record.API, error) {
	audience = slices.DeleteFunc(slices.Clone(audience), func(a string) bool { return a == "" })
	switch {
	case len(audience) > 1:
		return record.API{}, fault.Param(fault.BadRequest, "Only one audience can be asked for.")
	case len(audience) == 0 || audience[0] == UserinfoAudience(o.URL):
		return record.API{Audience: UserinfoAudience(o.URL)}, nil
	case o.isMFAAudience(audience[0]):
		return record.API{Audience: MFAAudience(o.URL), Scopes: []string{ScopeEnroll, ScopeRead, ScopeRemove}}, nil
	}
	api, err := o.Registry.API(ctx, audience[0])
	if errors.Is(err, fault.NotFound) {
		return record.API{}, fault.UnknownAudience
	}
	if err != nil {
		return record.API{}, fault.Because(fault.Unavailable, fmt.Errorf("find the API: %w", err))
	}
	return api, nil
}

// isMFAAudience accepts the audience without its trailing slash too; both are in use
// (Auth0 MFA API, 4.1). Nobody has it where nothing reads such tokens: it would only be a
// way around the factor of a client that demands one (mfa.Demand.Factors).
func (o Options) isMFAAudience(a string) bool {
	return o.Manage != nil && strings.TrimSuffix(a, "/") == strings.TrimSuffix(MFAAudience(o.URL), "/")
}

// askFresh reads acr_values and max_age (OIDC Core 3.1.2.1), as RFC 9470 has a client
// repeat them.
func askFresh(form url.Values, d *mfa.Demand) error {
	d.ACR = slices.Contains(strings.Fields(form.Get("acr_values")), record.MultiFactor)
	if age := form.Get("max_age"); age != "" {
		n, err := strconv.ParseInt(age, 10, 32)
		if err != nil || n < 0 {
			return fault.Param(fault.BadRequest, "max_age: want a number of seconds.")
		}
		limit := time.Duration(n) * time.Second
		d.MaxAge = &limit
	}
	return nil
}
