package handle

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
)

// idEncoding spells ids in letters and digits that cannot be mistaken for another.
var idEncoding = base32.NewEncoding("ABCDEFGHJKMNPQRSTVWXYZ0123456789")

// NewID makes the id of an authenticator, which is no secret, in the contract's shape:
// prefix, "|dev_" and 16 letters and digits (80 random bits).
func NewID(prefix string, random io.Reader) (string, error) {
	raw := make([]byte, 10)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", fmt.Errorf("make an authenticator id: %w", err)
	}
	return prefix + "|dev_" + strings.TrimRight(idEncoding.EncodeToString(raw), "="), nil
}
