package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/draft"
	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/cmd/sallyport/roster"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
)

func usersCommand(d deps) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the users", Args: cobra.NoArgs}
	add := &cobra.Command{
		Use:   "add --id ID --username NAME --email ADDRESS",
		Short: "Add a user with a password that was chosen, or one that is printed once",
		Args:  cobra.NoArgs,
	}
	disable := &cobra.Command{Use: "disable ID", Short: "Block a user, and every token of theirs"}
	enable := &cobra.Command{Use: "enable ID", Short: "Let a blocked user log in again"}
	remove := &cobra.Command{Use: "delete ID", Short: "Delete a user for good, with everything of theirs; the id is never given again"}
	reset := &cobra.Command{Use: "reset-factors ID", Short: "Remove every second factor of a user, who enrolls anew at the next login"}
	set := &cobra.Command{Use: "set-password ID", Short: "Set a password that was chosen, or one that is printed once"}
	g := group("users", "List, add and change users", list, add, disable, enable, remove, reset, set)
	path := d.configFlag(g)
	asJSON := list.Flags().Bool("json", false, "print JSON")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.withTables(cmd.Context(), *path, func(db database) error {
			waits := roster.Waits{Now: d.now(), Attempts: db.config.Throttle.Limits(), Pushes: db.config.Push.Limits()}
			return roster.List(cmd.Context(), d.stdout, *asJSON, db, waits)
		})
	}
	wanted, chosen := userFlags(add)
	add.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.withTables(cmd.Context(), *path, func(db database) error { return d.addUser(cmd.Context(), db, *wanted, *chosen) })
	}
	chosenToSet := passwordFlag(set)
	for cmd, does := range map[*cobra.Command]func(context.Context, database, string) error{
		disable: func(ctx context.Context, db database, id string) error {
			return d.changeUser(id, "disabled", func(e audit.Event) error { return db.SetUserBlocked(ctx, id, true, e) })
		},
		enable: func(ctx context.Context, db database, id string) error {
			return d.changeUser(id, "enabled", func(e audit.Event) error { return db.SetUserBlocked(ctx, id, false, e) })
		},
		remove: func(ctx context.Context, db database, id string) error {
			return d.changeUser(id, "deleted", func(e audit.Event) error { return db.DeleteUser(ctx, id, e) })
		},
		reset: d.resetFactors,
		set: func(ctx context.Context, db database, id string) error {
			return d.setPassword(ctx, db, id, *chosenToSet)
		},
	} {
		cmd.Args = cobra.ExactArgs(1)
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			return d.withTables(cmd.Context(), *path, func(db database) error {
				return userKnown(args[0], does(cmd.Context(), db, args[0]))
			})
		}
	}
	return g
}

func userFlags(cmd *cobra.Command) (*identity.User, *bool) {
	u := &identity.User{}
	f := cmd.Flags()
	f.StringVar(&u.ID, "id", "", "subject of the user's tokens, as in auth0|alice (required)")
	f.StringVar(&u.Username, "username", "", "name to log in with")
	f.StringVar(&u.Email, "email", "", "address to log in with")
	f.BoolVar(&u.EmailVerified, "email-verified", false, "the address is known to be the user's")
	f.StringVar(&u.Name, "name", "", "name for people")
	return u, passwordFlag(cmd)
}

// userKnown says what to do about a user that there is not.
func userKnown(id string, err error) error {
	if errors.Is(err, fault.NotFound) {
		return fmt.Errorf("there is no user %s; `sallyport users list` shows all", listing.Visible(id))
	}
	return err
}

func (d deps) addUser(ctx context.Context, db database, u identity.User, chosen bool) error {
	if _, err := db.User(ctx, u.ID); err == nil {
		return fmt.Errorf("there is a user %s already; `sallyport users list` shows it", listing.Visible(u.ID))
	} else if !errors.Is(err, fault.NotFound) {
		return err
	}
	if _, err := db.Client(ctx, u.ID); err == nil {
		return fmt.Errorf("%s is a client's id, and tokens of the two could not be told apart; take another --id", listing.Visible(u.ID))
	} else if !errors.Is(err, fault.NotFound) {
		return err
	}
	password, err := d.newPassword(ctx, db, u, chosen)
	if err != nil {
		return err
	}
	dr := draft.New("users")
	for _, member := range [][2]string{{"id", u.ID}, {"username", u.Username}, {"email", u.Email}, {"name", u.Name}} {
		dr.Text(member[0], member[1])
	}
	dr.Flag("email_verified", u.EmailVerified)
	dr.Secret("password", password)
	if _, err := dr.Read(db.config); err != nil {
		return err
	}
	hash, err := db.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	e := d.event(audit.UserChanged, "users add", "created")
	e.Subject = u.ID
	err = db.CreateUser(ctx, u, hash, record.ManagedByAPI, e)
	if what := param(err); errors.Is(err, fault.BadRequest) && what != "" {
		return fmt.Errorf("--%s is another user's, or names nobody; `sallyport users list` shows all", what)
	}
	if errors.Is(err, fault.SubjectGone) {
		return fmt.Errorf("%s was deleted, and an id is never given again; take another --id", listing.Visible(u.ID))
	}
	if err != nil {
		return err
	}
	d.printf("added the user %s\n", listing.Visible(u.ID))
	d.tellPassword(password, chosen)
	return nil
}

func (d deps) changeUser(id, word string, change func(audit.Event) error) error {
	e := d.event(audit.UserChanged, "users "+strings.TrimSuffix(word, "d"), word)
	e.Subject = id
	if err := change(e); err != nil {
		return err
	}
	d.printf("%s the user %s\n", word, listing.Visible(id))
	return nil
}

func (d deps) resetFactors(ctx context.Context, db database, id string) error {
	before, err := db.Authenticators(ctx, id, d.now())
	if err != nil {
		return err
	}
	e := d.event(audit.Removed, "users reset-factors", "reset")
	e.Subject = id
	for _, a := range before {
		e.Authenticators = append(e.Authenticators, a.ID)
	}
	removed, err := db.ResetFactors(ctx, id, e)
	if err != nil {
		return err
	}
	for _, a := range before {
		d.printf("removed %s (%s)\n", a.ID, a.Type)
	}
	d.printf("%d second factors of %s are gone\n", removed, listing.Visible(id))
	return nil
}
