// Package secret holds text that does not print, and seals secrets at rest.
//
// [Text] is the type of every password, seed, code and token inside the gateway:
// printing, logging and encoding give the same dull word. [Ring] is the key ring:
// it seals what must be read again (AEAD bound to its row), and makes keyed hashes
// of what need only be compared.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a secret that does not print. The zero Text is the empty secret. Texts are
// compared with [Text.Equal]; == does not compile.
type Text struct {
	_ [0]func()
	// A pointer, because fmt calls no method for some verbs, nor for an unexported field
	// of another struct. Of a pointer it prints the address.
	s *string
}

// New makes a secret of s.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{s: &s}
}

// Reveal returns the secret. Every use is found by searching for this name.
func (t Text) Reveal() string {
	if t.s == nil {
		return ""
	}
	return *t.s
}

// Empty reports whether there is no secret at all.
func (t Text) Empty() bool { return t.s == nil }

// Equal compares in constant time.
func (t Text) Equal(o Text) bool {
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(o.Reveal())) == 1
}

// String implements fmt.Stringer without the secret.
func (Text) String() string { return redacted }

// GoString implements fmt.GoStringer without the secret.
func (Text) GoString() string { return redacted }

// LogValue implements slog.LogValuer without the secret.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler without the secret, so that no
// encoder writes one by accident.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Hash is the SHA-256 of a secret that holds at least 112 bits (SP 800-63B look-up
// secrets, refresh tokens, client secrets): such a secret cannot be found by trying,
// so a fast hash is enough and can be an index. Anything shorter needs [Ring.MAC].
func Hash(t Text) string {
	sum := sha256.Sum256([]byte(t.Reveal()))
	return hex.EncodeToString(sum[:])
}
