package signer

import (
	"context"
	"fmt"
	"time"
)

const (
	// CacheLife is how long the published keys may be kept by whoever fetched them.
	CacheLife = 5 * time.Minute
	// publication is how long a key is published before it signs: until what was fetched
	// before it was made is fetched anew, and as long again for a node that was cut off
	// from the database meanwhile, or whose clock is ahead.
	publication = 2 * CacheLife

	// LongestLife is how long a signed token is good at most; every setting is within.
	LongestLife = 24 * time.Hour
	// retirement is how long a key is published after the last token that it signed:
	// until that one is over, by the clocks of nodes and APIs that are behind.
	retirement = LongestLife + 10*time.Minute
)

// A Rotator is a store that replaces keys.
type Rotator interface {
	// RotateSigningKeys adds keys, one of an algorithm, and lets each retire those of its
	// algorithm that are there and do not retire yet. It reports false, and does nothing,
	// while another key waits for its time: of any number who rotate at once one does.
	RotateSigningKeys(ctx context.Context, fresh []Key, retire time.Time) (bool, error)
}

// A Schedule is what nodes do, each by itself, by the times that stand in the store.
type Schedule struct {
	SignsAt   time.Time // the fresh keys sign from then on
	RetiresAt time.Time // what they replace is published until then
}

// Rotate makes a fresh key of each algorithm. Until it signs, every node publishes it;
// after that, what it replaces is published until the last token that it signed is over.
// It reports false when a rotation before this one still waits for its time.
func Rotate(ctx context.Context, store Rotator, now time.Time) (Schedule, bool, error) {
	var fresh []Key
	for _, alg := range []string{ES256, RS256} {
		key, err := makeKey(alg, now)
		if err != nil {
			return Schedule{}, false, err
		}
		key.SignsAt = key.CreatedAt.Add(publication)
		fresh = append(fresh, key)
	}
	s := Schedule{SignsAt: fresh[0].SignsAt, RetiresAt: fresh[0].SignsAt.Add(retirement)}
	rotated, err := store.RotateSigningKeys(ctx, fresh, s.RetiresAt)
	if err != nil {
		return Schedule{}, false, fmt.Errorf("rotate the signing keys: %w", err)
	}
	return s, rotated, nil
}
