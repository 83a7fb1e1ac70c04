package identity

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	bcryptHashText = 60 // bytes of every bcrypt hash
	bcryptMaxInput = 72 // bytes of a password that bcrypt sees
	bcryptMaxCost  = 16 // about four seconds
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// parseBcrypt reads a whole hash, whose fields after the version are the cost and
// the salt and key together. $2x$ marks hashes of a broken program and is refused.
func parseBcrypt(hash string, fields []string) (digest, error) {
	if len(hash) != bcryptHashText || len(fields) != 2 || len(fields[0]) != 2 {
		return digest{}, errHash
	}
	cost, ok := number(fields[0])
	if !ok || cost < uint32(bcrypt.MinCost) || cost > bcryptMaxCost {
		return digest{}, errHash
	}
	if strings.Trim(fields[1], bcryptAlphabet) != "" {
		return digest{}, errHash
	}
	return digest{cost: "bcrypt " + fields[0], matches: func(password string) (bool, error) {
		return matchBcrypt(hash, password)
	}}, nil
}

// matchBcrypt never takes a password of more than 72 bytes. A program that cut such
// passwords made this hash of the first 72 bytes, and every password that begins
// with them would log in (N-PW-2); its owner has to choose a new one. The work is
// done all the same, so that the time does not tell the kind of hash.
func matchBcrypt(hash, password string) (bool, error) {
	seen := password[:min(len(password), bcryptMaxInput)]
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(seen))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare a bcrypt hash: %w", err)
	}
	return len(seen) == len(password), nil
}
