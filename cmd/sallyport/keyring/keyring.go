// Package keyring makes and rotates keys from the command line: those that sign tokens,
// which are in the database, and those that seal what is in it, which are in a file.
package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// Create writes a ring with one fresh key to a new file.
func Create(out io.Writer, path string, now time.Time) error {
	ring, err := secret.NewRing(now)
	if err != nil {
		return err
	}
	if err := ring.Save(path); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists and stays as it is: what it sealed could not be read again; name another file with --out", path)
	} else if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no folder for %s; make it with `install -d -m 700 %s`", path, filepath.Dir(path))
	} else if err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s; keep a copy in a safe place\n", path)
	return nil
}

// Rotate makes fresh keys that sign.
func Rotate(ctx context.Context, out io.Writer, a *gateway.Administration) error {
	plan, rotated, err := a.RotateSigningKeys(ctx)
	if err != nil {
		return err
	}
	if !rotated {
		return errors.New("the keys of the last rotation do not sign yet; `sallyport keys list` says when they do")
	}
	fmt.Fprintf(out, "made new signing keys; they are published now, and sign from %s\nthe old ones are published until %s\n",
		plan.SignsAt.Format(time.RFC3339), plan.RetiresAt.Format(time.RFC3339))
	return nil
}

// RotateSealing adds a key to the ring, or takes the old one out.
func RotateSealing(ctx context.Context, out io.Writer, a *gateway.Administration, finish bool) error {
	if !finish {
		id, err := a.AddSealingKey(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "added the key %s to the ring; keep a copy, and copy the file to every node that has one of its own\n"+
			"it seals once every node that runs holds it, and then everything is sealed anew; `sallyport keys list` shows how far that is\n"+
			"then `sallyport keys rotate --sealing --finish` takes the old key out\n", id)
		return nil
	}
	gone, err := a.DropOldSealingKeys(ctx)
	if err != nil {
		return fmt.Errorf("the old key stays:\n%w", err)
	}
	if len(gone) == 0 {
		fmt.Fprintln(out, "nothing to do")
		return nil
	}
	fmt.Fprintf(out, "took %s out of the ring; copy the file to every node that has one of its own\n", strings.Join(gone, ", "))
	return nil
}

// A Key is a key as it is listed.
type Key struct {
	ID     string     `json:"id"`
	Use    string     `json:"use"`   // "sealing", or the algorithm of a key that signs
	State  string     `json:"state"` // waits, signs, published, retired; seals, opens
	Since  *time.Time `json:"since,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	Sealed string     `json:"sealed,omitempty"` // what is sealed with it
	HeldBy []string   `json:"held_by,omitempty"`
}

// Heading names the columns of a key.
const Heading = "ID USE STATE SINCE UNTIL SEALED HELD-BY"

// Columns are a key for people.
func (k Key) Columns() []string {
	return []string{k.ID, k.Use, k.State, when(k.Since), when(k.Until), k.Sealed, strings.Join(k.HeldBy, ", ")}
}

// List returns every key, with what it is used for and what is left of it.
func List(ctx context.Context, a *gateway.Administration, now time.Time) ([]Key, error) {
	signing, err := a.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	ring, err := a.RingKeys(ctx)
	if err != nil {
		return nil, err
	}
	var all []Key
	for _, k := range signing {
		all = append(all, signingKey(k, signing, now))
	}
	for _, k := range ring {
		listed := Key{ID: k.ID, Use: "sealing", State: "opens", HeldBy: k.Holders}
		if k.Seals {
			listed.State = "seals"
		}
		var parts []string
		for _, s := range k.Sealed {
			parts = append(parts, fmt.Sprintf("%d %s", s.Rows, s.What))
		}
		listed.Sealed = strings.Join(parts, ", ")
		all = append(all, listed)
	}
	return all, nil
}

// signingKey says of a key whether it waits, signs, or is published for what it signed.
func signingKey(k signer.Key, all []signer.Key, now time.Time) Key {
	r := Key{ID: k.ID, Use: k.Algorithm, State: "signs"}
	if since := cmp.Or(k.SignsAt, k.CreatedAt); !since.IsZero() {
		r.Since = &since
	}
	if !k.RetiresAt.IsZero() {
		r.Until = &k.RetiresAt
	}
	for _, next := range all {
		if next.Algorithm == k.Algorithm && next.SignsAt.After(k.SignsAt) && !now.Before(next.SignsAt) {
			r.State = "published"
		}
	}
	switch {
	case now.Before(k.SignsAt):
		r.State = "waits"
	case r.Until != nil && !now.Before(*r.Until):
		r.State = "retired"
	}
	return r
}

func when(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}
