package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	ringInterval   = time.Second      // how often a node looks at the file of its key ring
	holdInterval   = 15 * time.Second // how often it says that it runs, and asks which key seals
	resealInterval = time.Minute      // how often it looks for what another key sealed, while there is one
)

// errForeignRing refuses a key ring that lacks a key.
const errForeignRing = "secrets.key_file is not the ring that this database was sealed with; put the old one back"

// A keyRing is the key ring of a node: the file, what of it is in use, and what the
// other nodes are told of it.
type keyRing struct {
	*secret.Ring
	path string
	node string    // as other nodes know this one
	held time.Time // when the other nodes were told

	read    os.FileInfo // of the file that was read last
	refused os.FileInfo // of one that could not take its place

	sealing string    // the key that the last pass over what is sealed was made with
	sealed  time.Time // when that began
}

// openRing reads the ring of a node, which gets a name of its own.
func openRing(o Options) (*keyRing, error) {
	r := &keyRing{path: o.Config.Secrets.KeyFile}
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	name := make([]byte, 4)
	if _, err := io.ReadFull(o.Random, name); err != nil {
		return nil, fmt.Errorf("name this node: %w", err)
	}
	r.node = fmt.Sprintf("%s-%x", host, name)
	r.read, _ = os.Stat(r.path) // what is wrong with it the next line says
	r.Ring, err = secret.LoadRing(r.path)
	return r, err
}

// joinRing checks that this node opens whatever the database holds, and tells the others
// of it, before it seals anything.
func (g *Gateway) joinRing(ctx context.Context) error {
	err := g.opensAll(ctx, g.ring.Keys())
	if err == nil {
		err = g.stores.sql.HoldRing(ctx, g.ring.node)
	}
	if errors.Is(err, secret.ErrSealed) {
		return fmt.Errorf("%s: %w", errForeignRing, err)
	}
	if err != nil {
		return fmt.Errorf("join the key ring: %w", err)
	}
	g.ring.held = g.Now()
	return nil
}

// opensAll fails with secret.ErrSealed when something is sealed with none of the keys.
func (g *Gateway) opensAll(ctx context.Context, keys []string) error {
	left, err := g.stores.sql.SealedElsewhere(ctx, keys)
	if err != nil {
		return err
	}
	for _, s := range left {
		return fmt.Errorf("%d %s are sealed with a key that is not there: %w", s.Rows, s.What, secret.ErrSealed)
	}
	return nil
}

// leaveRing tells the other nodes not to wait for this one.
func (g *Gateway) leaveRing() {
	ctx, cancel := context.WithTimeout(context.Background(), ringInterval)
	defer cancel()
	if err := g.stores.sql.LeaveRing(ctx, g.ring.node); err != nil {
		g.Log.WarnContext(ctx, "the other nodes wait for this one until they miss it", slog.Any("cause", err))
	}
}

// opens fails as long as this node may lack a key that seals.
func (g *Gateway) opens(context.Context) error {
	if trouble := g.lacking.Load(); trouble != nil {
		return *trouble
	}
	return nil
}

// keepRing follows the file of the key ring and the choice of the key that seals. What is
// wrong with the file does not keep the others from knowing that this node runs.
func (g *Gateway) keepRing(ctx context.Context) error {
	since := g.Now().Sub(g.ring.held)
	due := since < 0 || since >= holdInterval
	changed, errRead := g.rereadRing(ctx, due)
	if !changed && !due {
		return errRead
	}
	err := g.stores.sql.HoldRing(ctx, g.ring.node)
	switch {
	case err == nil:
		g.lacking.Store(nil)
		g.ring.held = g.Now()
	case errors.Is(err, secret.ErrSealed):
		g.lacking.Store(&err)
	}
	return errors.Join(errRead, err)
}

// rereadRing takes over the file of the ring once it changed, unless something is sealed
// with a key that it lacks: then the ring of before stays in use, and a refused file is
// looked at again when that is due.
func (g *Gateway) rereadRing(ctx context.Context, due bool) (bool, error) {
	now, err := os.Stat(g.ring.path)
	if err == nil && (unchanged(g.ring.read, now) || unchanged(g.ring.refused, now) && !due) {
		return false, nil
	}
	var fresh *secret.Ring
	if err == nil {
		fresh, err = secret.LoadRing(g.ring.path)
	}
	if err == nil && !slices.Equal(fresh.Keys(), g.ring.Keys()) {
		err = g.opensAll(ctx, fresh.Keys())
	}
	if err == nil {
		err = g.ring.Adopt(fresh)
	}
	if err != nil {
		g.ring.refused = now
		return false, fmt.Errorf("the key ring of before stays in use: %w", err)
	}
	g.ring.read, g.ring.refused = now, nil
	g.Log.InfoContext(ctx, "read the key ring again", slog.Any("keys", g.ring.Keys()), slog.String("sealing", g.ring.Sealing()))
	return true, nil
}

func unchanged(last, now os.FileInfo) bool {
	return last != nil && os.SameFile(last, now) && last.ModTime().Equal(now.ModTime()) && last.Size() == now.Size()
}

// reseal seals anew what another key sealed: when another key was chosen, and again and
// again while the ring has more than one, because some node may have sealed meanwhile.
func (g *Gateway) reseal(ctx context.Context) error {
	sealing := g.ring.Sealing()
	since := g.Now().Sub(g.ring.sealed)
	if len(g.ring.Keys()) < 2 || sealing == g.ring.sealing && since >= 0 && since < resealInterval {
		return nil
	}
	began := g.Now()
	rows, err := g.stores.sql.Reseal(ctx)
	if rows > 0 {
		g.Log.InfoContext(ctx, "sealed anew", slog.Int("rows", rows), slog.String("key", sealing))
	}
	if err == nil {
		g.ring.sealing, g.ring.sealed = sealing, began
	}
	return err
}
