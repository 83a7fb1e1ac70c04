// Package mfatest is for tests of what uses package mfa: [RunFactor] is the suite that
// every factor passes, and the rest are stores in memory that behave as the real ones
// do, a clock wound by hand, and chance that repeats itself.
package mfatest

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// Epoch is when every [Clock] begins.
var Epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Clock is a clock wound by hand.
type Clock struct {
	mu      sync.Mutex
	elapsed time.Duration
}

// Now is the time on the clock, UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Epoch.Add(c.elapsed)
}

// Advance winds the clock; a negative duration winds it back.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed += d
}

// Random is chance that repeats itself: the same name gives the same bytes.
func Random(name string) io.Reader {
	return &random{source: rand.NewChaCha8(sha256.Sum256([]byte(name)))}
}

type random struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

// Read implements io.Reader; it never fails.
func (r *random) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(p)
}
