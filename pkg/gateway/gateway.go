// Package gateway composes the gateway: configuration in, running server out. It is
// the only package that knows everyone; factors.go and storage.go hold the full lists
// of what there is to choose from.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/health"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/metrics"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/notice"
	"github.com/sallyport/sallyport/pkg/oauth"
	"github.com/sallyport/sallyport/pkg/observer"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/server"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/pkg/throttle"
	"github.com/sallyport/sallyport/pkg/tracing"
)

// Options are what a gateway is made from; all are needed.
type Options struct {
	Config  *config.Config
	Tenants []*config.Tenant
	Log     *slog.Logger
	Now     func() time.Time
	Random  io.Reader
}

// Gateway is a gateway that is ready to serve.
type Gateway struct {
	Options
	Public     http.Handler // the OAuth and MFA endpoints
	Management http.Handler // probes and metrics

	observer observer.Observer
	probes   *health.Probes
	stores   *stores
	signer   *signer.Signer
	tenant   atomic.Pointer[string] // its name, as authenticator apps show it

	senders  push.Senders // by service; none, and nobody is asked
	carriers []oob.Carrier
	waiters  *oob.Waiters // polls of this node that wait
	teller   *notice.Teller

	ring    *keyRing
	lacking atomic.Pointer[error] // a key that seals is not in the ring
}

// New opens the stores, migrates the database, applies the tenant files and makes
// signing keys where there are none. Close it when it is no longer needed.
func New(ctx context.Context, o Options) (*Gateway, error) {
	g, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := g.start(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// prepare makes a gateway that has not started: nothing but Management can be served.
func prepare(ctx context.Context, o Options) (*Gateway, error) {
	tracer, err := tracing.New(ctx, o.Config.Tracing, o.Log)
	if err != nil {
		return nil, err
	}
	if tracer != nil {
		o.Log = slog.New(tracing.Log(o.Log.Handler()))
	}
	g := &Gateway{Options: o, observer: observer.Observer{Metrics: metrics.New(o.Now), Tracer: tracer}, probes: &health.Probes{Log: o.Log}, waiters: oob.NewWaiters()}
	g.Management = g.probes.Handler(g.observer.Metrics.Handler(o.Log))
	return g, nil
}

// Close lets go of the stores.
func (g *Gateway) Close() error {
	var errs []error
	if g.stores != nil {
		if !g.ring.held.IsZero() {
			g.leaveRing()
		}
		errs = append(errs, g.stores.close())
	}
	if g.observer.Tracer != nil {
		errs = append(errs, g.observer.Tracer.Close())
	}
	return errors.Join(errs...)
}

// start does what has to be done before anything but Management is served.
func (g *Gateway) start(ctx context.Context) (err error) {
	if g.ring, err = openRing(g.Options); err != nil {
		return err
	}
	if g.stores, err = openStores(ctx, g.Options, g.ring.Ring, g.observer.Watch); err != nil {
		return err
	}
	g.observer.Metrics.Pools(g.stores.sql.Pools())
	g.observer.Metrics.Counter("audit_lost_total", "Audit records that could not be written, with audit.required off.", g.stores.sql.Lost)
	if err := g.stores.sql.Migrate(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if err := g.joinRing(ctx); err != nil {
		return err
	}
	users, err := newPasswords(g.Options, g.stores.sql, g.observer.Gate(g.Config.Passwords))
	if err != nil {
		return err
	}
	for _, t := range g.Tenants {
		changes, err := Apply(ctx, g.stores.sql, users, t, g.Now())
		if err != nil {
			return fmt.Errorf("apply %s: %w", t.File, err)
		}
		for _, c := range changes {
			g.Log.InfoContext(ctx, "applied", slog.String("file", t.File), slog.String("change", c))
		}
	}
	if err := errors.Join(g.review(ctx), g.named(ctx)); err != nil {
		return err
	}
	g.signer = signer.New(signer.Options{Store: g.stores.sql, Now: g.Now, Log: g.Log})
	if err := g.signer.EnsureKeys(ctx); errors.Is(err, secret.ErrSealed) {
		return fmt.Errorf("%s: %w", errForeignRing, err)
	} else if err != nil {
		return fmt.Errorf("load the signing keys: %w", err)
	}
	var reach [3]error
	g.senders, reach[0] = newSenders(g.Options)
	g.carriers, reach[1] = newCarriers(g.Options)
	g.teller, reach[2] = g.newTeller()
	if err := errors.Join(reach[:]...); err != nil {
		return err
	}
	g.Public = g.compose(users).Handler()
	g.probes.Started(g.dependencies()...)
	return nil
}

// dependencies are what /readyz asks.
func (g *Gateway) dependencies() []health.Dependency {
	all := []health.Dependency{{Name: "sql", Ping: g.stores.sql.Ping}, {Name: "keys", Ping: g.opens}}
	if !g.Config.Redis.Embedded() {
		all = append(all, health.Dependency{Name: "redis", Ping: g.stores.state.Ping})
	}
	return all
}

// named reads the name of the tenant, which may have been applied from another node.
func (g *Gateway) named(ctx context.Context) error {
	name, err := g.stores.sql.Setting(ctx, tenantName)
	if err != nil {
		return fmt.Errorf("read the tenant's name: %w", err)
	}
	if name == "" {
		name = "Sallyport"
	}
	g.tenant.Store(&name)
	return nil
}

// newPasswords makes the verifier of the first factor.
func newPasswords(o Options, users identity.UserStore, gate *identity.Gate) (*identity.Passwords, error) {
	c := o.Config.Passwords
	p, err := identity.NewPasswords(identity.Options{
		Users:  users,
		Gate:   gate,
		Params: identity.Params{Memory: c.Argon2.Memory, Time: c.Argon2.Time, Threads: c.Argon2.Parallelism},
		Now:    o.Now,
		Log:    o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("passwords: %w", err)
	}
	return p, nil
}

// compose wires the domain to the token endpoint and the MFA API.
func (g *Gateway) compose(users identity.Verifier) *server.Server {
	c, sql := g.Config, g.stores.sql
	url := c.Server.PublicURL
	domain := mfa.Options{
		Factors:        g.factors(),
		Authenticators: sql,
		Transactions:   g.stores.state,
		Limiter:        sql,
		Limits:         c.Throttle.Limits(),
		Audit:          sql,
		Handles:        mfa.Handles(g.ring.Ring, g.Random),
		Lifetime:       c.Lifetimes.MFA.TokenLifetime,
		Enrolling:      mfa.Window,
		PasswordProof:  c.Lifetimes.MFA.PasswordProof,
		VerifiedFirst:  c.Enrollment.First == config.FirstVerifiedAddress,
		Requirements:   c.Errors.MFARequirements,
		Now:            g.Now,
	}
	verifier := mfa.NewVerifier(domain)
	issuer := oauth.NewIssuer(oauth.Options{
		URL: url, Manage: grants.MFAAudience(url), Signer: g.signer, Store: sql, Sessions: sql, Revoker: sql, Registry: sql, Users: sql,
		Lifetimes: oauth.Lifetimes{
			Access: c.Lifetimes.AccessToken, ID: c.Lifetimes.IDToken, Refresh: c.Lifetimes.RefreshToken, Manage: manageLifetime,
		},
		Dialect: oauth.Dialect(c.Tokens.Dialect), AMR: c.Tokens.AMR, Now: g.Now, Random: g.Random,
	})
	options := grants.Options{Registry: sql, Users: users, Verifier: verifier, Issuer: issuer, Manage: issuer.Credential, URL: url,
		Passwords: &throttle.Passwords{Store: sql, User: c.Throttle.PasswordAttempts, Address: c.Throttle.AddressAttempts, Now: g.Now}}
	clients := &oauth.Authenticator{Registry: observer.Registry{Registry: sql}, Redeemer: sql, Audiences: assertionAudiences(c), Now: g.Now}
	return server.New(server.Options{
		URL: url, Proxies: c.Server.TrustedProxies,
		Provider: oauth.NewProvider(clients, append(firstGrants(c, options), grants.NewMFA(options),
			grants.NewRefresh(options, sql), grants.NewStepUp(options, issuer.InHand, c.Lifetimes.RefreshToken), grants.NewClientCredentials(options, issuer))...),
		Clients: clients, Verifier: verifier, Registrar: enrollment.NewRegistrar(domain),
		Issuer: issuer, Users: sql, Origins: origins(c, sql), JWKS: g.signer.JWKS, Kinds: c.Errors.MFARequirements,
		Requests: server.Requests{JSON: c.Requests.JSON, Tolerant: c.Requests.Tolerant}, Errors: grants.Errors{Statuses: grants.Statuses(c.Errors.Status), Throttled: c.Errors.Throttled, Rejected: c.Errors.Rejected},
		Faces: g.faces(), Observer: g.observer, Log: g.Log, Now: g.Now, Random: g.Random,
	})
}

// firstGrants are those that begin a login. Under profile strict nobody shows a password
// to a client, whatever a client was registered for before (C-01; RFC 9700, 2.4).
func firstGrants(c *config.Config, o grants.Options) []oauth.Grant {
	if c.Profile == config.Strict {
		return nil
	}
	return []oauth.Grant{grants.NewPassword(o)}
}

// origins are those of clients, and under profile strict nobody's (C-21).
func origins(c *config.Config, clients server.Origins) server.Origins {
	if c.Profile == config.Strict {
		return noOrigins{}
	}
	return clients
}

// noOrigins knows no web page.
type noOrigins struct{}

// HasOrigin implements server.Origins.
func (noOrigins) HasOrigin(context.Context, string) (bool, error) { return false, nil }

// assertionAudiences are what a client's assertion may be meant for. One that is meant
// for the token endpoint could have been made for another server that claims to have it;
// older libraries make no other.
func assertionAudiences(c *config.Config) []string {
	url := c.Server.PublicURL
	if c.Profile == config.Auth0Compat {
		return []string{url, url + "oauth/token"}
	}
	return []string{url}
}

// manageLifetime is that of an access token for /mfa/; the contract fixes it.
const manageLifetime = 10 * time.Minute
