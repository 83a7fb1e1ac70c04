package gateway

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// tenantName is the setting that names the tenant.
const tenantName = "tenant.name"

// Apply makes the database serve what a tenant file says, and returns what it changed,
// a line each. A file that was applied before and has not changed since is skipped by
// its digest, which is kept for each tenant and name of a file. What was made in another way than by a file is left alone, and so is
// everything that the file no longer mentions.
func Apply(
	ctx context.Context, sql *sqlstore.Store, passwords *identity.Passwords, t *config.Tenant, now time.Time,
) ([]string, error) {
	file := t.Name + "/" + filepath.Base(t.File)
	if done, err := sql.Applied(ctx, file, t.Digest); err != nil || done {
		return nil, err
	}
	a := application{sql: sql, passwords: passwords, now: now.UTC().Truncate(time.Millisecond)}
	for _, step := range []func(context.Context, *config.Tenant) error{a.name, a.apis, a.clients, a.users} {
		if err := step(ctx, t); err != nil {
			return a.changes, err
		}
	}
	// Last, so that a file that was applied in part is applied again.
	return a.changes, sql.SetApplied(ctx, file, t.Digest)
}

type application struct {
	sql       *sqlstore.Store
	passwords *identity.Passwords
	now       time.Time
	changes   []string
}

func (a *application) changed(format string, args ...any) {
	a.changes = append(a.changes, fmt.Sprintf(format, args...))
}

func (a *application) event(t audit.Type, subject, client, reason string) audit.Event {
	return audit.Event{At: a.now, Type: t, Success: true, Subject: subject, Client: client, Reason: reason, Grant: "apply"}
}

func (a *application) name(ctx context.Context, t *config.Tenant) error {
	before, err := a.sql.Setting(ctx, tenantName)
	if err != nil || before == t.Name {
		return err
	}
	a.changed("tenant name: %s", t.Name)
	return a.sql.SetSetting(ctx, tenantName, t.Name)
}

func (a *application) apis(ctx context.Context, t *config.Tenant) error {
	for _, api := range t.APIs {
		changed, err := a.sql.SaveAPI(ctx, api.API(), a.event(audit.APIChanged, "", "", api.Audience))
		if err != nil {
			return fmt.Errorf("api %s: %w", api.Audience, err)
		}
		if changed {
			a.changed("api %s", api.Audience)
		}
	}
	return nil
}

func (a *application) clients(ctx context.Context, t *config.Tenant) error {
	for _, c := range t.Clients {
		changed, err := a.sql.SaveClient(ctx, c.Client(), a.event(audit.ClientChanged, "", c.ID, "saved"))
		if changed {
			a.changed("client %s", c.ID)
		}
		if err != nil {
			return fmt.Errorf("client %s: %w", c.ID, err)
		}
	}
	return a.disable(ctx, t)
}

// disable disables the clients that the file says so of, and that a file made. It ends
// nothing: who disabled a client on the command line means it.
func (a *application) disable(ctx context.Context, t *config.Tenant) error {
	kept, err := a.sql.Clients(ctx)
	if err != nil {
		return err
	}
	before := map[string]record.Client{}
	for _, c := range kept {
		before[c.ID] = c
	}
	for _, c := range t.Clients {
		if was := before[c.ID]; !c.Disabled || was.Disabled || was.ManagedBy != record.ManagedByFile {
			continue
		}
		if err := a.sql.SetClientDisabled(ctx, c.ID, true, a.event(audit.ClientChanged, "", c.ID, "disabled")); err != nil {
			return fmt.Errorf("client %s: %w", c.ID, err)
		}
		a.changed("client %s: disabled", c.ID)
	}
	return nil
}

func (a *application) users(ctx context.Context, t *config.Tenant) error {
	for _, u := range t.Users {
		if err := a.user(ctx, u); err != nil {
			return fmt.Errorf("user %s: %w", u.ID, err)
		}
	}
	return nil
}

// user creates a user, or brings one up to date that a file created. The password is
// set at creation and never again: its owner may have changed it since.
func (a *application) user(ctx context.Context, u config.TenantUser) error {
	want := identity.User{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified,
		PhoneNumber: u.PhoneNumber, Name: u.Name, Blocked: u.Blocked,
	}
	by, err := a.sql.UserManagedBy(ctx, u.ID)
	switch {
	case errors.Is(err, fault.NotFound):
		return a.create(ctx, u, want)
	case err != nil || by != record.ManagedByFile:
		return err
	}
	changed, err := a.sql.UpdateUser(ctx, want, a.event(audit.UserChanged, u.ID, "", "updated"))
	if err != nil {
		return err
	}
	if changed {
		a.changed("user %s", u.ID)
	}
	return a.block(ctx, u)
}

// block blocks a user that the file says so of. It ends nothing.
func (a *application) block(ctx context.Context, u config.TenantUser) error {
	before, err := a.sql.User(ctx, u.ID)
	if err != nil || !u.Blocked || before.Blocked {
		return err
	}
	if err := a.sql.SetUserBlocked(ctx, u.ID, true, a.event(audit.UserChanged, u.ID, "", "blocked")); err != nil {
		return err
	}
	a.changed("user %s: blocked", u.ID)
	return nil
}

func (a *application) create(ctx context.Context, u config.TenantUser, want identity.User) error {
	hash := u.PasswordHash.Reveal()
	if !u.Password.Empty() {
		var err error
		if hash, err = a.passwords.Hash(ctx, u.Password); err != nil {
			return err
		}
	}
	e := a.event(audit.UserChanged, u.ID, "", "created")
	if err := a.sql.CreateUser(ctx, want, hash, record.ManagedByFile, e); err != nil {
		if _, now := a.sql.UserManagedBy(ctx, u.ID); now == nil {
			return nil // another node applied the same file at the same moment
		}
		if errors.Is(err, fault.SubjectGone) {
			a.changed("user %s: left out, for it was deleted", u.ID)
			return nil
		}
		return err
	}
	without := ""
	if hash == "" {
		without = ", without a password"
	}
	a.changed("user %s (new%s)", u.ID, without)
	return nil
}
