package signer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// Verify checks that one of the published keys signed the token and that its typ is the
// one asked for, in either case ("at+jwt", "JWT"; RFC 8725, section 3.11), and decodes
// the claims into what into points to.
//
// It checks no more: exp, nbf, iss, aud and the rest are the caller's to judge.
//
// The algorithm must be that of the key the header names; a header with any member but
// alg, kid and typ is refused, so that crit, jku, jwk and x5u are never obeyed. Names
// that stand twice are refused. The error never quotes the token, and has no kind, so
// that the caller can give it the one of its endpoint with [fault.Because]; before the
// keys are loaded it is [fault.Unavailable], and so it is when the header names a key
// that is not known and the store cannot be asked for it.
//
// A signature is not an identifier: an ECDSA signature can be altered into another valid
// one, so a list of revoked tokens goes by jti.
func (s *Signer) Verify(ctx context.Context, token, typ string, into any) error {
	set, err := s.loaded()
	if err != nil {
		return err
	}
	if err = set.verify(token, []string{typ}, into); !errors.Is(err, errNoKey) {
		return err
	}
	if set, err = s.lookAgain(ctx, set); err != nil {
		return err
	}
	return set.verify(token, []string{typ}, into)
}

// errNoKey refuses a token whose key is not in the set.
var errNoKey = errors.New("verify a token: no published key has its kid")

// lookInterval is how often the store is asked for keys that nobody may have made.
const lookInterval = time.Second

// lookAgain reads the keys again, because another node may sign with one that this one
// has not seen; not more often than is good for the store (O-JW-3).
func (s *Signer) lookAgain(ctx context.Context, seen *keySet) (*keySet, error) {
	s.looking.Lock()
	defer s.looking.Unlock()
	age := s.now().Sub(s.looked)
	if s.keys.Load() == seen && (s.looked.IsZero() || age < 0 || age >= lookInterval) {
		s.failure = s.Reload(ctx)
		s.looked = s.now()
	}
	if s.failure != nil {
		return nil, s.failure
	}
	return s.loaded()
}

func (k *keySet) verify(token string, types []string, into any) error {
	if err := wellFormed(token); err != nil {
		return err
	}
	key, err := k.named(token, types)
	if err != nil {
		return err
	}
	payload, err := jws.Verify([]byte(token),
		jws.WithCompact(), jws.WithKey(jwa.SignatureAlgorithm(key.algorithm), key.public))
	if err != nil {
		return errors.New("verify a token: the signature is wrong")
	}
	return decodeClaims(payload, into)
}

// decodeClaims decodes what a signature was good for.
func decodeClaims(payload []byte, into any) error {
	if err := oneOfEach(json.NewDecoder(bytes.NewReader(payload))); err != nil {
		return fmt.Errorf("verify a token: claims: %w", err)
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return errors.New("verify a token: the claims have unexpected types")
	}
	return nil
}

// wellFormed bounds the work that a hostile token makes. base64 of the standard library
// skips line ends, so they are refused here.
func wellFormed(token string) error {
	switch {
	case len(token) > maxToken:
		return errors.New("verify a token: it is too long")
	case strings.Count(token, ".") != 2 || strings.ContainsAny(token, "\r\n"):
		return errors.New("verify a token: it is not a compact JWS")
	}
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return errors.New("verify a token: it is not canonical base64url")
		}
	}
	return nil
}

// readHeader returns the header of a well-formed token if all its members are texts.
func readHeader(token string) (map[string]string, error) {
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil, errors.New("verify a token: it is not canonical base64url")
	}
	var header map[string]string
	if json.Unmarshal(raw, &header) != nil {
		return nil, errors.New("verify a token: its header is not alg, kid and typ alone")
	}
	if err := oneOfEach(json.NewDecoder(bytes.NewReader(raw))); err != nil {
		return nil, fmt.Errorf("verify a token: header: %w", err)
	}
	return header, nil
}

// named returns the key that the header of a well-formed token names.
func (k *keySet) named(token string, types []string) (*loadedKey, error) {
	header, err := readHeader(token)
	if err != nil {
		return nil, err
	}
	if len(header) != 3 {
		return nil, errors.New("verify a token: its header is not alg, kid and typ alone")
	}
	key, ok := k.byID[header["kid"]]
	switch {
	case !ok:
		return nil, errNoKey
	case header["alg"] != key.algorithm:
		return nil, errors.New("verify a token: its alg is not that of the key")
	case !among(types, header["typ"]):
		return nil, fmt.Errorf("verify a token: it is not of type %q", types)
	}
	return key, nil
}

// oneOfEach reads one JSON value and refuses a member name that stands twice in one
// object: parsers differ in which of the two they take.
func oneOfEach(d *json.Decoder) error {
	next, err := d.Token()
	if err != nil {
		return errors.New("not JSON")
	}
	open, nested := next.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[json.Token]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil || seen[name] {
				return errors.New("a member stands twice, or is not JSON")
			}
			seen[name] = true
		}
		if err := oneOfEach(d); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.New("not JSON")
	}
	return nil
}
