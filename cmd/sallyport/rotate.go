package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/cmd/sallyport/listing"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// clientSecretBytes makes a secret of 256 bits, 43 characters of base64url.
const clientSecretBytes = 32

// newSecret makes the secret of a client.
func (d deps) newSecret() (secret.Text, error) {
	raw := make([]byte, clientSecretBytes)
	if _, err := io.ReadFull(d.random, raw); err != nil {
		return secret.Text{}, fmt.Errorf("make a secret: %w", err)
	}
	return secret.New(base64.RawURLEncoding.EncodeToString(raw)), nil
}

func (d deps) showSecret(s secret.Text) {
	d.printf("secret: %s\nIt is shown this once; only its hash is kept.\n", s.Reveal())
}

func noClient(id string) error {
	return fmt.Errorf("there is no client %s; `sallyport clients list` shows all", listing.Visible(id))
}

// rotateSecret replaces the secret of a client in two steps, so that nobody is locked
// out between them: both secrets are good until the rotation is finished.
func (d deps) rotateSecret(ctx context.Context, db database, id string, finish bool) error {
	c, err := db.Client(ctx, id)
	switch {
	case errors.Is(err, fault.NotFound):
		return noClient(id)
	case err != nil:
		return err
	case c.ManagedBy == record.ManagedByFile:
		return fmt.Errorf("the client %s comes from a tenant file; write secrets: [new, old] there, and apply it", listing.Visible(id))
	case len(c.SecretHashes) == 0:
		return fmt.Errorf("the client %s has no secret that could be replaced", listing.Visible(id))
	}
	e := d.event(audit.ClientChanged, "clients rotate-secret", "secret added")
	e.Client = id
	if finish {
		e.Reason = "old secret ended"
		dropped, err := db.DropOldSecrets(ctx, id, e)
		if err == nil && dropped {
			d.printf("the old secret of %s is refused now\n", listing.Visible(id))
		} else if err == nil {
			d.printf("nothing to do\n")
		}
		return err
	}
	fresh, err := d.newSecret()
	if err != nil {
		return err
	}
	if added, err := db.AddClientSecret(ctx, id, secret.Hash(fresh), e); err != nil || !added {
		return cmp.Or(err, fmt.Errorf("two secrets of %s are good already; end the old one with --finish", listing.Visible(id)))
	}
	d.showSecret(fresh)
	d.printf("The old one stays good until `sallyport clients rotate-secret --finish %s`.\n", listing.Visible(id))
	return nil
}
