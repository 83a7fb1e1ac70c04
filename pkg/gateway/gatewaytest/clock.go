package gatewaytest

import (
	"bytes"
	"sync"
	"time"
)

// Clock is wound by hand; every gateway of a world shows the same time.
type Clock struct {
	mu   sync.Mutex
	now  time.Time
	tell func(time.Time) // sets the clocks of the gateways; nil in a gateway
}

// newClock starts at the beginning of a step of one-time passwords, near the real time,
// so that libraries with a clock of their own accept the tokens.
func newClock(tell func(time.Time)) *Clock {
	return &Clock{now: time.Now().UTC().Truncate(30 * time.Second), tell: tell}
}

// Now is the time it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wind moves it, and returns when every gateway knows.
func (c *Clock) Wind(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.tell(c.now)
}

func (c *Clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
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
