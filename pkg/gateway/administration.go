package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// Administration is the database without a gateway, as the command line needs it. A
// gateway may be serving the database at the same time; it follows within a second.
type Administration struct {
	*sqlstore.Store
	Passwords *identity.Passwords
	Ring      *secret.Ring
	options   Options
}

// Administer opens the database of a configuration; o needs neither Tenants nor
// Random. It changes nothing: a database may lack migrations. Close it afterwards.
func Administer(ctx context.Context, o Options) (*Administration, error) {
	ring, err := secret.LoadRing(o.Config.Secrets.KeyFile)
	if err != nil {
		return nil, err
	}
	if err := o.Config.DatabaseFolder(); err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	sql, err := OpenSQL(ctx, o, ring)
	if err != nil {
		return nil, err
	}
	c := o.Config.Passwords
	passwords, err := newPasswords(o, sql, identity.NewGate(c.HashingConcurrency, c.Queue))
	if err != nil {
		return nil, errors.Join(err, sql.Close())
	}
	return &Administration{Store: sql, Passwords: passwords, Ring: ring, options: o}, nil
}

// Apply is [Apply] to this database.
func (a *Administration) Apply(ctx context.Context, t *config.Tenant) ([]string, error) {
	return Apply(ctx, a.Store, a.Passwords, t, a.options.Now())
}

// TenantName is the name that users know the service by, empty before a tenant file
// was applied.
func (a *Administration) TenantName(ctx context.Context) (string, error) {
	return a.Setting(ctx, tenantName)
}
