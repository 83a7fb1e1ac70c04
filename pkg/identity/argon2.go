package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

const (
	saltBytes = 16
	keyBytes  = 32

	maxArgonMemory  = 1 << 20 // KiB, that is 1 GiB
	maxArgonWork    = 4 << 20 // KiB times passes
	maxArgonThreads = 16
	// Argon2 needs at least this much memory for each thread (RFC 9106, 3.1).
	minArgonThreadMemory = 8 // KiB
)

// Params is what an argon2id hash costs (RFC 9106).
type Params struct {
	Memory  uint32 // KiB, at most 1 GiB, at least 8 for each thread
	Time    uint32 // passes over the memory; Memory times Time is at most 4 GiB
	Threads uint8  // lanes, 1 to 16
}

// DefaultParams are 19 MiB, two passes, one thread: about 30 ms on one core.
func DefaultParams() Params { return Params{Memory: 19 * 1024, Time: 2, Threads: 1} }

// Check says which bound the parameters break, or nil.
func (p Params) Check() error {
	switch {
	case p.Threads < 1 || p.Threads > maxArgonThreads:
		return fmt.Errorf("argon2 threads must be 1 to %d", maxArgonThreads)
	case p.Memory < minArgonThreadMemory*uint32(p.Threads) || p.Memory > maxArgonMemory:
		return fmt.Errorf("argon2 memory must be %d KiB for each thread to %d KiB",
			minArgonThreadMemory, maxArgonMemory)
	case p.Time < 1:
		return errors.New("argon2 time must be at least 1")
	case uint64(p.Memory)*uint64(p.Time) > maxArgonWork:
		return fmt.Errorf("argon2 memory times time must be at most %d KiB", maxArgonWork)
	}
	return nil
}

// hash makes the PHC string of a password with a fresh salt (N-PW-6).
func (p Params) hash(password string) string {
	salt := random(saltBytes)
	key := p.key(password, salt, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.Memory, p.Time, p.Threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

func (p Params) key(password string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, size)
}

func (p Params) cost() string { return fmt.Sprintf("argon2 %d %d %d", p.Memory, p.Time, p.Threads) }

// decoy is a digest that costs what a hash of these parameters costs and matches
// nothing: the key is not the hash of any known password.
func (p Params) decoy() digest {
	salt, key := random(saltBytes), random(keyBytes)
	return digest{cost: p.cost(), matches: func(password string) (bool, error) {
		subtle.ConstantTimeCompare(p.key(password, salt, keyBytes), key)
		return false, nil
	}}
}

// random cannot fail: crypto/rand.Read ends the program rather than return an error.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// parseArgon2 reads the fields "v=19", "m=..,t=..,p=..", salt and key of a PHC string.
func parseArgon2(name string, fields []string) (digest, error) {
	if len(fields) != 4 || fields[0] != "v=19" {
		return digest{}, errHash
	}
	n, ok := numbers(fields[1], "m", "t", "p")
	if !ok {
		return digest{}, errHash
	}
	threads := n[2]
	if threads > maxArgonThreads {
		return digest{}, errHash
	}
	p := Params{Memory: n[0], Time: n[1], Threads: uint8(threads)}
	salt, key, ok := saltAndKey(fields[2], fields[3])
	if !ok || p.Check() != nil {
		return digest{}, errHash
	}
	size := uint32(len(key)) //nolint:gosec // saltAndKey takes no more than maxKey
	if name == "argon2i" {
		return digest{cost: p.cost(), matches: func(password string) (bool, error) {
			got := argon2.Key([]byte(password), salt, p.Time, p.Memory, p.Threads, size)
			return subtle.ConstantTimeCompare(got, key) == 1, nil
		}}, nil
	}
	d := digest{cost: p.cost(), matches: func(password string) (bool, error) {
		return subtle.ConstantTimeCompare(p.key(password, salt, size), key) == 1, nil
	}}
	if len(salt) == saltBytes && len(key) == keyBytes {
		d.params = p
	}
	return d, nil
}
