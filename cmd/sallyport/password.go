package main

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/secret"
)

func passwordFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("password-stdin", false, "read the password that was chosen from standard input")
}

// newPassword is the one that was chosen for a user, if policy lets it pass, or else a
// generated one.
func (d deps) newPassword(ctx context.Context, db database, u identity.User, chosen bool) (secret.Text, error) {
	if !chosen {
		return readable(d.random)
	}
	password, err := d.readStdin()
	if err != nil {
		return secret.Text{}, err
	}
	return password, d.checkPolicy(ctx, db, u, password)
}

// passwordAlphabet has no two symbols that look alike.
const passwordAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// readable makes a password of 120 random bits that can be read out and typed.
func readable(random io.Reader) (secret.Text, error) {
	raw := make([]byte, 15)
	if _, err := io.ReadFull(random, raw); err != nil {
		return secret.Text{}, fmt.Errorf("make a password: %w", err)
	}
	text := base32.NewEncoding(passwordAlphabet).EncodeToString(raw)
	return secret.New(strings.Join([]string{text[:6], text[6:12], text[12:18], text[18:]}, "-")), nil
}

// refusals say why policy refuses a password.
func refusals(minLength int) map[string]string {
	return map[string]string{
		identity.TooShort:           fmt.Sprintf("it is too short; take at least %d characters, several words for example", minLength),
		identity.TooLong:            fmt.Sprintf("it is longer than %d characters", identity.MaxLength),
		identity.ForbiddenCharacter: "it holds what cannot be typed",
		identity.ListedPassword:     "it is among the passwords that are tried first; take another one",
		identity.ContextualPassword: "it is the name of the user or of the service; take another one",
	}
}

func (d deps) checkPolicy(ctx context.Context, db database, u identity.User, password secret.Text) error {
	tenant, err := db.TenantName(ctx)
	if err != nil {
		return err
	}
	var policy identity.Policy
	if policy.MinLength, err = db.MinLength(ctx); err != nil {
		return err
	}
	if policy.Blocklist, err = blocklist(db.config.Passwords.BlocklistFile); err != nil {
		return err
	}
	words := []string{tenant, "sallyport", u.ID, u.Username, u.Email, u.Name}
	if service, err := url.Parse(db.config.Server.PublicURL); err == nil {
		words = append(words, service.Hostname())
	}
	if err := policy.Check(password, words...); err != nil {
		return misused("the password is refused: %s", refusals(policy.MinLength)[param(err)])
	}
	return nil
}

// blocklist reads passwords.blocklist_file; without one there are the common passwords.
func blocklist(path string) (_ identity.Blocklist, err error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no list of one's own is what the policy expects
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read passwords.blocklist_file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return identity.ReadBlocklist(f)
}

func (d deps) setPassword(ctx context.Context, db database, id string, chosen bool) error {
	u, err := db.User(ctx, id)
	if err != nil {
		return err
	}
	password, err := d.newPassword(ctx, db, u, chosen)
	if err != nil {
		return err
	}
	hash, err := db.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	e := d.event(audit.PasswordChanged, "users set-password", "password set")
	e.Subject = id
	if err := db.SetPassword(ctx, id, hash, e); err != nil {
		return err
	}
	d.printf("set the password of %s\n", listing.Visible(id))
	d.tellPassword(password, chosen)
	return nil
}

// tellPassword prints a password that was generated; a chosen one is known.
func (d deps) tellPassword(password secret.Text, chosen bool) {
	if !chosen {
		d.printf("password: %s\nIt is shown this once; only its hash is kept.\n", password.Reveal())
	}
}
