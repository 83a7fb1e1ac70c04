package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/storage/sqlstore"
)

// RotateSigningKeys makes fresh signing keys; the nodes do the rest by their clocks. It
// reports false while the ones of before wait for their time.
func (a *Administration) RotateSigningKeys(ctx context.Context) (signer.Schedule, bool, error) {
	if err := a.FollowRing(ctx); err != nil {
		return signer.Schedule{}, false, err
	}
	return signer.Rotate(ctx, a.Store, a.options.Now())
}

// AddSealingKey adds a key to the file of the ring, and returns its id. It seals once
// every node that runs holds it.
func (a *Administration) AddSealingKey(ctx context.Context) (string, error) {
	var id string
	err := a.rewriteRing(func(r *secret.Ring) (*secret.Ring, error) {
		if n := len(r.Keys()); n > 1 {
			return nil, fmt.Errorf("the ring has %d keys already; take the old one out with `sallyport keys rotate --sealing --finish`", n)
		}
		fresh, err := r.WithFreshKey(a.options.Now())
		if err == nil {
			id = fresh.Newest()
		}
		return fresh, err
	})
	if err != nil {
		return "", err
	}
	return id, a.Append(ctx, a.keyEvent(audit.KeyCreated, id))
}

// DropOldSealingKeys takes every key but the newest out of the file of the ring, once
// nothing needs them, and returns their ids.
func (a *Administration) DropOldSealingKeys(ctx context.Context) ([]string, error) {
	var gone []string
	err := a.rewriteRing(func(r *secret.Ring) (*secret.Ring, error) {
		kept := r.Newest()
		for _, id := range r.Keys() {
			if id == kept {
				continue
			}
			if err := a.unneeded(ctx, id, kept); err != nil {
				return nil, err
			}
			gone = append(gone, id)
		}
		if len(gone) == 0 {
			return nil, errOneKey
		}
		return r.Only(kept)
	})
	if errors.Is(err, errOneKey) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, id := range gone {
		if err := a.Append(ctx, a.keyEvent(audit.KeyRemoved, id)); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

var errOneKey = errors.New("the ring has one key")

// handleLeeway is how much longer than a token that was made with it an old key is kept,
// for nodes that were told late that another one seals.
const handleLeeway = time.Minute

// unneeded says all that a key is needed for yet.
func (a *Administration) unneeded(ctx context.Context, id, successor string) error {
	sealing, since, err := a.SealingKey(ctx)
	if err != nil {
		return err
	}
	nodes, err := a.Holders(ctx)
	if err != nil {
		return err
	}
	var needs []error
	for _, n := range nodes {
		if n.Sealing != successor {
			needs = append(needs, fmt.Errorf("the node %s seals with %s, and holds %v", n.Node, n.Sealing, n.Keys))
		}
	}
	if sealing != successor {
		return errors.Join(append(needs, fmt.Errorf("%s does not seal yet: it does once every node holds it", successor))...)
	}
	if until := since.Add(mfa.Longest + handleLeeway); a.options.Now().Before(until) {
		needs = append(needs, fmt.Errorf("an mfa_token of %s is good until %s", id, until.Format(time.RFC3339)))
	}
	left, err := a.SealedWith(ctx, id)
	if err != nil {
		return err
	}
	for _, s := range left {
		needs = append(needs, fmt.Errorf("%d %s are sealed with %s; a gateway that runs seals them anew", s.Rows, s.What, id))
	}
	return errors.Join(needs...)
}

func (a *Administration) rewriteRing(change func(*secret.Ring) (*secret.Ring, error)) error {
	path := a.options.Config.Secrets.KeyFile
	err := secret.Rewrite(path, change)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("somebody else changes the key ring, or was interrupted; if nobody does, remove %s.new: %w", path, err)
	}
	return err
}

func (a *Administration) keyEvent(t audit.Type, id string) audit.Event {
	return audit.Event{At: a.options.Now(), Type: t, Success: true, Reason: "sealing " + id, Grant: "keys rotate"}
}

// A Holder is a node that runs, by its key ring.
type Holder = sqlstore.Holder

// A RingKey is a key of the ring, with what it sealed.
type RingKey struct {
	ID      string            `json:"id"`
	Seals   bool              `json:"seals"`
	Sealed  []sqlstore.Sealed `json:"sealed"`
	Holders []string          `json:"holders"` // the nodes that run and open with it
}

// RingKeys lists the keys of the ring.
func (a *Administration) RingKeys(ctx context.Context) ([]RingKey, error) {
	nodes, err := a.Holders(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.FollowRing(ctx); err != nil {
		return nil, err
	}
	var all []RingKey
	for _, id := range a.Ring.Keys() {
		k := RingKey{ID: id, Seals: id == a.Ring.Sealing()}
		if k.Sealed, err = a.SealedWith(ctx, id); err != nil {
			return nil, err
		}
		for _, n := range nodes {
			for _, held := range n.Keys {
				if held == id {
					k.Holders = append(k.Holders, n.Node)
				}
			}
		}
		all = append(all, k)
	}
	return all, nil
}
