package throttle_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/throttle"
)

// TestConfig: waits cannot be configured away (R4).
func TestConfig(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 4, 10, 11, 1_000_000} {
		err := throttle.Config{FreeAttempts: n}.Validate()
		if good := n >= 1 && n <= 10; good != (err == nil) || !good && !strings.HasPrefix(err.Error(), "free_attempts: ") {
			t.Errorf("free_attempts %d: %v", n, err)
		}
	}
}
