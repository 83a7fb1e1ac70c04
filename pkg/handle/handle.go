// Package handle makes the opaque tokens that name something under way: an mfa_token, an
// oob_code. Each tells by itself when it expires and whom it was made for, under a MAC, so
// that one that is expired, another's or garbage is told apart without asking any store
// (Auth0 MFA API, 3.6).
package handle

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	idBytes     = 20 // random: 160 bits (O-49-8)
	expiryBytes = 8  // milliseconds since 1970, big endian
	holderBytes = 16 // the beginning of the SHA-256 of whom it was made for
	allBytes    = idBytes + expiryBytes + holderBytes

	// limit bounds what is looked at at all; a token has about 120 characters.
	limit = 256
)

// ErrMalformed says that a text is no token of this maker's.
var ErrMalformed = errors.New("malformed handle")

// Maker makes and reads tokens of one kind; it takes no other's for its own.
type Maker struct {
	Kind   string // "mfa_token"
	Ring   *secret.Ring
	Random io.Reader
}

// Handle is what a token says.
type Handle struct {
	ID        string // as the stores know it: the token itself is kept nowhere
	ExpiresAt time.Time
	holder    []byte
}

// For reports whether the handle was made for the holder: a client, a transaction.
func (h Handle) For(holder string) bool {
	return subtle.ConstantTimeCompare(h.holder, mark(holder)) == 1
}

// Make returns a new token for the holder, and what it reads as.
func (m *Maker) Make(holder string, expiresAt time.Time) (secret.Text, Handle, error) {
	raw := make([]byte, allBytes)
	if _, err := io.ReadFull(m.Random, raw[:idBytes]); err != nil {
		return secret.Text{}, Handle{}, fmt.Errorf("make an %s: %w", m.Kind, err)
	}
	binary.BigEndian.PutUint64(raw[idBytes:], uint64(expiresAt.UnixMilli()))
	copy(raw[idBytes+expiryBytes:], mark(holder))
	body := base64.RawURLEncoding.EncodeToString(raw)
	mac, err := m.Ring.MAC(m.Kind, body)
	if err != nil {
		return secret.Text{}, Handle{}, fmt.Errorf("make an %s: %w", m.Kind, err)
	}
	return secret.New(body + "." + mac), read(raw), nil
}

// Read returns what a token says, or [ErrMalformed]. Whether it is expired or the
// caller's is for the caller to ask.
func (m *Maker) Read(token secret.Text) (Handle, error) {
	text := token.Reveal()
	body, mac, found := strings.Cut(text, ".")
	if !found || len(text) > limit || !m.Ring.CheckMAC(mac, m.Kind, body) {
		return Handle{}, ErrMalformed
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || len(raw) != allBytes {
		return Handle{}, ErrMalformed
	}
	return read(raw), nil
}

func read(raw []byte) Handle {
	id := sha256.Sum256(raw[:idBytes])
	expiry := int64(binary.BigEndian.Uint64(raw[idBytes:])) //nolint:gosec // written from an int64
	return Handle{
		ID:        hex.EncodeToString(id[:]),
		ExpiresAt: time.UnixMilli(expiry).UTC(),
		holder:    raw[idBytes+expiryBytes:],
	}
}

func mark(holder string) []byte {
	sum := sha256.Sum256([]byte(holder))
	return sum[:holderBytes]
}
