package identity

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// Bounds on stored hashes. An import names the parameters of every hash, so whoever
// writes the import must not be able to make one login eat the machine. The slowest
// hash within these bounds takes a few seconds.
const (
	maxHashText = 1024 // bytes of the whole text
	maxSalt     = 256  // bytes
	minKey      = 16   // bytes; below that a match could be found by trying
	maxKey      = 128  // bytes
)

// errHash is all that is said of a stored hash that cannot be used: a hash is as good
// as a password to somebody with patience, so it is never printed.
var errHash = errors.New("unknown or unacceptable form of password hash")

// A digest is a stored hash that was understood.
type digest struct {
	// matches tells whether the password is the one the hash was made of. An error
	// means that nobody knows.
	matches func(password string) (bool, error)
	// params is the cost of a hash in the shape that this package writes, zero for
	// every other.
	params Params
	// cost names what one try takes; two of the same cost take the same time.
	cost string
}

// Cost names what one try at a hash takes, empty when it cannot be used: hashes of the
// same cost take the same time.
func Cost(hash string) string {
	d, err := parseHash(hash)
	if err != nil {
		return ""
	}
	return d.cost
}

// Known reports whether passwords can be checked against a hash of this form: argon2id
// and argon2i (version 19) and PBKDF2 with SHA-256 or SHA-512 as PHC strings, bcrypt
// ($2a$, $2b$, $2y$), PBKDF2 as passlib ("$pbkdf2-sha256$29000$salt$key") and Django
// ("pbkdf2_sha256$n$salt$key") write it; all within bounds on time and memory.
func Known(hash string) bool {
	_, err := parseHash(hash)
	return err == nil
}

func parseHash(hash string) (digest, error) {
	if len(hash) > maxHashText {
		return digest{}, errHash
	}
	fields := strings.Split(hash, "$")
	if fields[0] != "" {
		return parseDjango(fields)
	}
	if len(fields) < 2 {
		return digest{}, errHash
	}
	switch name := fields[1]; name {
	case "argon2id", "argon2i":
		return parseArgon2(name, fields[2:])
	case "2a", "2b", "2y":
		return parseBcrypt(hash, fields[2:])
	case "pbkdf2-sha256", "pbkdf2-sha512":
		return parsePBKDF2(strings.TrimPrefix(name, "pbkdf2-"), fields[2:])
	}
	return digest{}, errHash
}

// numbers reads PHC parameters such as "m=19456,t=2,p=1": exactly these names, in
// this order, in plain decimals.
func numbers(list string, names ...string) ([]uint32, bool) {
	parts := strings.Split(list, ",")
	if len(parts) != len(names) {
		return nil, false
	}
	values := make([]uint32, len(names))
	for i, name := range names {
		digits, found := strings.CutPrefix(parts[i], name+"=")
		n, ok := number(digits)
		if !found || !ok {
			return nil, false
		}
		values[i] = n
	}
	return values, true
}

func number(digits string) (uint32, bool) {
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil && n > 0
}

// saltAndKey decodes the last two fields of a hash. Some writers pad the base64 that
// PHC leaves unpadded, and passlib writes "." for "+"; both are taken everywhere.
func saltAndKey(salt, key string) (s, k []byte, ok bool) {
	s, err1 := decode64(salt)
	k, err2 := decode64(key)
	ok = err1 == nil && err2 == nil && len(s) > 0 && fits(s, k)
	return s, k, ok
}

func fits(salt, key []byte) bool {
	return len(salt) <= maxSalt && len(key) >= minKey && len(key) <= maxKey
}

func decode64(text string) ([]byte, error) {
	text = strings.ReplaceAll(strings.TrimRight(text, "="), ".", "+")
	return base64.RawStdEncoding.DecodeString(text)
}
