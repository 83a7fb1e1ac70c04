package identity

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
)

// maxPBKDF2Work is the greatest number of iterations times blocks of output.
const maxPBKDF2Work = 10_000_000

// parsePBKDF2 reads cost, salt and key. The cost is "i=100000,l=32", or "i=100000"
// without the length, in a PHC string and "29000" as passlib writes it.
func parsePBKDF2(algorithm string, fields []string) (digest, error) {
	if len(fields) != 3 {
		return digest{}, errHash
	}
	salt, key, ok := saltAndKey(fields[1], fields[2])
	iterations, ok2 := pbkdf2Cost(fields[0], len(key))
	if !ok || !ok2 {
		return digest{}, errHash
	}
	return pbkdf2Digest(algorithm, iterations, salt, key)
}

func pbkdf2Cost(text string, keyLength int) (uint32, bool) {
	if !strings.HasPrefix(text, "i=") {
		return number(text)
	}
	if n, ok := numbers(text, "i"); ok {
		return n[0], true
	}
	n, ok := numbers(text, "i", "l")
	if !ok || int(n[1]) != keyLength {
		return 0, false
	}
	return n[0], true
}

// parseDjango reads "pbkdf2_sha256", the iterations, the salt and the key. The salt
// is used as it stands there, not decoded.
func parseDjango(fields []string) (digest, error) {
	if len(fields) != 4 || fields[0] != "pbkdf2_sha256" {
		return digest{}, errHash
	}
	iterations, ok := number(fields[1])
	salt := []byte(fields[2])
	key, err := base64.StdEncoding.DecodeString(fields[3])
	if !ok || err != nil || len(salt) == 0 || !fits(salt, key) {
		return digest{}, errHash
	}
	return pbkdf2Digest("sha256", iterations, salt, key)
}

func pbkdf2Digest(algorithm string, iterations uint32, salt, key []byte) (digest, error) {
	h := map[string]func() hash.Hash{"sha256": sha256.New, "sha512": sha512.New}[algorithm]
	blocks := (len(key) + h().Size() - 1) / h().Size()
	if iterations > maxPBKDF2Work || int(iterations)*blocks > maxPBKDF2Work {
		return digest{}, errHash
	}
	cost := fmt.Sprintf("pbkdf2 %s %d", algorithm, int(iterations)*blocks)
	return digest{cost: cost, matches: func(password string) (bool, error) {
		got, err := pbkdf2.Key(h, password, salt, int(iterations), len(key))
		if err != nil {
			return false, fmt.Errorf("derive a PBKDF2 key: %w", err)
		}
		return subtle.ConstantTimeCompare(got, key) == 1, nil
	}}, nil
}
