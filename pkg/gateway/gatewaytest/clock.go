package gatewaytest

import (
	"bytes"
	"sync"
	"time"
)

// Clock is wound by hand; every gateway of a world reads it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at the beginning of a step of one-time passwords, near the real time,
// so that libraries with a clock of their own accept the tokens.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(30 * time.Second)} }

// Now is the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wind moves it.
func (c *Clock) Wind(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Buffer collects what several gateways write.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
