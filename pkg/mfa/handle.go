package mfa

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	handleID     = 20 // random bytes: 160 bits (O-49-8)
	handleExpiry = 8  // milliseconds since 1970, big endian
	handleClient = 16 // the beginning of the SHA-256 of the client id
	handleBytes  = handleID + handleExpiry + handleClient

	// handleLimit bounds what is looked at at all; a handle has about 120 characters.
	handleLimit = 256
)

// Handles makes and reads mfa_tokens: a random id, the expiry and the client under a
// MAC. So a token that is expired, another client's or garbage is told apart without
// asking any store (Auth0 MFA API, 3.6).
type Handles struct {
	Ring   *secret.Ring
	Random io.Reader
}

// Handle is an mfa_token that this gateway made.
type Handle struct {
	ID        string // as the stores know it: the token itself is kept nowhere
	ExpiresAt time.Time
	client    []byte
}

// For reports whether the handle was made for the client.
func (h Handle) For(client string) bool {
	return subtle.ConstantTimeCompare(h.client, clientMark(client)) == 1
}

// Make returns a new token for the client, and what it reads as.
func (s *Handles) Make(client string, expiresAt time.Time) (secret.Text, Handle, error) {
	raw := make([]byte, handleBytes)
	if _, err := io.ReadFull(s.Random, raw[:handleID]); err != nil {
		return secret.Text{}, Handle{}, fmt.Errorf("make an mfa_token: %w", err)
	}
	binary.BigEndian.PutUint64(raw[handleID:], uint64(expiresAt.UnixMilli()))
	copy(raw[handleID+handleExpiry:], clientMark(client))
	body := base64.RawURLEncoding.EncodeToString(raw)
	mac, err := s.Ring.MAC("mfa_token", body)
	if err != nil {
		return secret.Text{}, Handle{}, fmt.Errorf("make an mfa_token: %w", err)
	}
	return secret.New(body + "." + mac), read(raw), nil
}

// Read returns what a token says, or fault.MalformedMFAToken. Whether it is expired
// or the caller's is for the caller to ask.
func (s *Handles) Read(token secret.Text) (Handle, error) {
	text := token.Reveal()
	body, mac, found := strings.Cut(text, ".")
	if !found || len(text) > handleLimit || !s.Ring.CheckMAC(mac, "mfa_token", body) {
		return Handle{}, fault.MalformedMFAToken
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || len(raw) != handleBytes {
		return Handle{}, fault.MalformedMFAToken
	}
	return read(raw), nil
}

func read(raw []byte) Handle {
	id := sha256.Sum256(raw[:handleID])
	expiry := int64(binary.BigEndian.Uint64(raw[handleID:])) //nolint:gosec // written from an int64
	return Handle{
		ID:        hex.EncodeToString(id[:]),
		ExpiresAt: time.UnixMilli(expiry).UTC(),
		client:    raw[handleID+handleExpiry:],
	}
}

func clientMark(client string) []byte {
	sum := sha256.Sum256([]byte(client))
	return sum[:handleClient]
}
