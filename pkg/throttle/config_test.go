package throttle_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/throttle"
)

// TestConfig: limits cannot be configured away (R4), and none is wider than SP 800-63B
// allows.
func TestConfig(t *testing.T) {
	good := throttle.Config{FreeAttempts: 4, DailyAttempts: 25, DisableAfter: 100, PasswordAttempts: 10, AddressAttempts: 100}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if l := good.Limits(); l != (throttle.Limits{Free: 4, Daily: 25, Disable: 100}) {
		t.Errorf("%+v", l)
	}
	for name, l := range map[string]struct {
		set func(*throttle.Config, int)
		max int
	}{
		"free_attempts":     {func(c *throttle.Config, n int) { c.FreeAttempts = n }, 10},
		"daily_attempts":    {func(c *throttle.Config, n int) { c.DailyAttempts = n }, 240},
		"disable_after":     {func(c *throttle.Config, n int) { c.DisableAfter = n }, 100},
		"password_attempts": {func(c *throttle.Config, n int) { c.PasswordAttempts = n }, 100},
		"address_attempts":  {func(c *throttle.Config, n int) { c.AddressAttempts = n }, 100_000},
	} {
		for n, ok := range map[int]bool{-1: false, 0: false, 1: true, l.max: true, l.max + 1: false} {
			c := good
			l.set(&c, n)
			if err := c.Validate(); ok != (err == nil) || !ok && !strings.HasPrefix(err.Error(), name+": ") {
				t.Errorf("%s %d: %v", name, n, err)
			}
		}
	}
}
