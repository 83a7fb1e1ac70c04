package oob

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
)

// uniform is a number below limit, each as likely as any other.
func uniform(random io.Reader, limit *big.Int) (int64, error) {
	n, err := rand.Int(random, limit)
	if err != nil {
		return 0, fmt.Errorf("a random number: %w", err)
	}
	return n.Int64(), nil
}
