package identity

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	// costsAge is how long the costs of the store's hashes are remembered.
	costsAge = time.Minute
	// costsLimit bounds how many kinds of hashes a refusal pays for. Imports come from
	// one or two systems; beyond that the time may tell which one.
	costsLimit = 4
)

// costs remembers a digest of each cost that hashes in the store have.
type costs struct {
	mu   sync.Mutex
	read time.Time
	all  []digest
}

// level makes a refusal cost the same whoever was named: while there are imported
// hashes, every refusal pays for one of each cost, and for one of ours (R24). It ends
// with the last import that was upgraded.
func (p *Passwords) level(ctx context.Context, paid digest, forms []string) error {
	all, err := p.kinds(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.cost == paid.cost {
			continue
		}
		// Nobody was named with this hash, so whether it matches says nothing.
		for _, form := range forms {
			if err := p.gate.Do(ctx, func() { _, _ = d.matches(form) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// kinds returns our decoy and a digest of each other cost.
func (p *Passwords) kinds(ctx context.Context) ([]digest, error) {
	p.costs.mu.Lock()
	defer p.costs.mu.Unlock()
	if now := p.now(); p.costs.all == nil || now.Sub(p.costs.read) >= costsAge {
		hashes, err := p.users.HashOfEachCost(ctx, costsLimit+1)
		if err != nil {
			return nil, fault.Because(fault.Unavailable, fmt.Errorf("read the costs of hashes: %w", err))
		}
		all := []digest{p.decoy}
		for _, h := range hashes {
			d, err := parseHash(h)
			if err == nil && !slices.ContainsFunc(all, func(o digest) bool { return o.cost == d.cost }) {
				all = append(all, d)
			}
		}
		p.costs.all, p.costs.read = all, now
	}
	return p.costs.all, nil
}
