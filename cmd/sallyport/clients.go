package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/draft"
	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

func clientsCommand(d deps) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the clients", Args: cobra.NoArgs}
	add := &cobra.Command{
		Use:   "add --id ID --type public|confidential [--grants GRANT,...]",
		Short: "Add a client; a confidential one without keys gets a secret, which is printed once",
		Args:  cobra.NoArgs,
	}
	disable := &cobra.Command{Use: "disable ID", Short: "Refuse a client, and every token that it has", Args: cobra.ExactArgs(1)}
	enable := &cobra.Command{Use: "enable ID", Short: "Take a disabled client back", Args: cobra.ExactArgs(1)}
	rotate := &cobra.Command{
		Use:   "rotate-secret ID",
		Short: "Make a second secret for a client, printed once; later end the old one with --finish",
		Args:  cobra.ExactArgs(1),
	}
	g := group("clients", "List, add, disable and enable clients, and replace their secrets", list, add, disable, enable, rotate)
	path := d.configFlag(g)
	asJSON := list.Flags().Bool("json", false, "print JSON")
	wanted := clientFlags(add)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.withTables(cmd.Context(), *path, func(db database) error { return d.listClients(cmd.Context(), db, *asJSON) })
	}
	add.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.withTables(cmd.Context(), *path, func(db database) error { return d.addClient(cmd.Context(), db, wanted) })
	}
	finish := rotate.Flags().Bool("finish", false, "end the old secret")
	rotate.RunE = func(cmd *cobra.Command, args []string) error {
		return d.withTables(cmd.Context(), *path, func(db database) error {
			return d.rotateSecret(cmd.Context(), db, args[0], *finish)
		})
	}
	for cmd, disabled := range map[*cobra.Command]bool{disable: true, enable: false} {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			return d.withTables(cmd.Context(), *path, func(db database) error {
				return d.setClientDisabled(cmd.Context(), db, args[0], disabled)
			})
		}
	}
	return g
}

// wantedClient are the flags of clients add.
type wantedClient struct {
	id, name, kind, mfa, keys                string
	firstParty, forwarder                    bool
	grants, origins, redirectURIs, audiences []string
}

func clientFlags(cmd *cobra.Command) *wantedClient {
	w := &wantedClient{}
	f := cmd.Flags()
	f.StringVar(&w.id, "id", "", "client_id (required)")
	f.StringVar(&w.kind, "type", "", "public or confidential (required)")
	f.StringSliceVar(&w.grants, "grants", nil, "password, password-realm, refresh_token, client_credentials, mfa; a confidential client that only introspects tokens needs none")
	f.StringVar(&w.name, "name", "", "name for people")
	f.StringVar(&w.keys, "jwks-file", "", "file with the public keys (JSON Web Key Set) of a client that signs assertions instead of having a secret")
	f.BoolVar(&w.firstParty, "first-party", false, "the client may see passwords; the password grants need it")
	f.BoolVar(&w.forwarder, "trusted-forwarder", false, "the client is believed about its user's address (auth0-forwarded-for)")
	f.StringVar(&w.mfa, "mfa", "", "who is asked for a second factor: required, enrolled or off (default enrolled)")
	f.StringSliceVar(&w.origins, "origins", nil, "web origins that may call from browsers")
	f.StringSliceVar(&w.redirectURIs, "redirect-uris", nil, "where authorization answers may go (not served by this version)")
	f.StringSliceVar(&w.audiences, "audiences", nil, "APIs the client may have (default every API)")
	return w
}

// record checks the flags and returns the client they describe.
func (w *wantedClient) record(db database, clientSecret secret.Text) (record.Client, error) {
	dr := draft.New("clients")
	for _, member := range [][2]string{{"id", w.id}, {"name", w.name}, {"type", w.kind}, {"mfa", w.mfa}} {
		dr.Text(member[0], member[1])
	}
	if w.keys != "" {
		keys, err := filepath.Abs(w.keys)
		if err != nil {
			return record.Client{}, fmt.Errorf("find the keys: %w", err)
		}
		dr.Text("jwks_file", keys)
	}
	dr.Flag("first_party", w.firstParty)
	dr.Flag("trusted_forwarder", w.forwarder)
	dr.Secret("secret", clientSecret)
	dr.List("grants", w.grants)
	dr.List("origins", w.origins)
	dr.List("redirect_uris", w.redirectURIs)
	if err := dr.Audiences(w.audiences); err != nil {
		return record.Client{}, err
	}
	t, err := dr.Read(db.config)
	if err != nil {
		return record.Client{}, err
	}
	c := t.Clients[0].Client()
	c.ManagedBy = record.ManagedByAPI
	return c, nil
}

func (d deps) addClient(ctx context.Context, db database, w *wantedClient) error {
	var clientSecret secret.Text
	if w.kind == "confidential" && w.keys == "" {
		var err error
		if clientSecret, err = d.newSecret(); err != nil {
			return err
		}
	}
	c, err := w.record(db, clientSecret)
	if err != nil {
		return err
	}
	if _, err := db.Client(ctx, c.ID); err == nil {
		return fmt.Errorf("there is a client %s already; `sallyport clients list` shows it", listing.Visible(c.ID))
	} else if !errors.Is(err, fault.NotFound) {
		return err
	}
	if unknown, err := db.UnknownAPI(ctx, c); err != nil {
		return err
	} else if unknown != "" {
		return misused("--audiences names %s, and there is no such API; apply a tenant file with it first", listing.Visible(unknown))
	}
	e := d.event(audit.ClientChanged, "clients add", "created")
	e.Client = c.ID
	if _, err := db.SaveClient(ctx, c, e); err != nil {
		return err
	}
	d.printf("added the client %s\n", listing.Visible(c.ID))
	if !clientSecret.Empty() {
		d.showSecret(clientSecret)
	}
	return nil
}

func (d deps) setClientDisabled(ctx context.Context, db database, id string, disabled bool) error {
	word := "disabled"
	if !disabled {
		word = "enabled"
		if err := db.MayServe(ctx, id); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	e := d.event(audit.ClientChanged, "clients "+strings.TrimSuffix(word, "d"), word)
	e.Client = id
	err := db.SetClientDisabled(ctx, id, disabled, e)
	if errors.Is(err, fault.NotFound) {
		return noClient(id)
	}
	if err == nil {
		d.printf("%s the client %s\n", word, listing.Visible(id))
	}
	return err
}

// clientRow is a client as it is listed.
type clientRow struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	FirstParty bool     `json:"first_party"`
	MFA        string   `json:"mfa"`
	Grants     []string `json:"grants"`
	ManagedBy  string   `json:"managed_by"`
	Disabled   bool     `json:"disabled"`
}

func (d deps) listClients(ctx context.Context, db database, asJSON bool) error {
	clients, err := db.Clients(ctx)
	if err != nil {
		return err
	}
	var rows []clientRow
	for _, c := range clients {
		kind := "public"
		if c.Confidential {
			kind = "confidential"
		}
		rows = append(rows, clientRow{c.ID, c.Name, kind, c.FirstParty, string(c.MFA), c.Grants, c.ManagedBy.Way(), c.Disabled})
	}
	return listing.Print(d.stdout, asJSON, rows, "ID NAME TYPE MFA GRANTS MANAGED STATE", func(r clientRow) []string {
		return []string{r.ID, r.Name, r.Type, r.MFA, strings.Join(r.Grants, ","), r.ManagedBy, state(r.Disabled)}
	})
}

// state says whether a client or user is served.
func state(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}
