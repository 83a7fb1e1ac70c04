package signer

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// deviceBits is how long a device's RSA key may be: each of its answers is verified.
const deviceBits = 4096

// privateMembers are those of a JWK that its owner keeps (RFC 7518, section 6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// A DeviceKey is the public key of somebody's device.
type DeviceKey struct {
	key    *loadedKey
	normal string
}

// ParseDeviceKey reads a public JWK (RFC 7517): EC on P-256 for ES256, RSA of 2048 to 4096
// bits for RS256. alg and use may be absent, and fit the key if they are not.
func ParseDeviceKey(text []byte) (*DeviceKey, error) {
	var members map[string]json.RawMessage
	if oneOfEach(json.NewDecoder(bytes.NewReader(text))) != nil || json.Unmarshal(text, &members) != nil {
		return nil, errors.New("it is not a JSON Web Key")
	}
	for _, name := range privateMembers {
		if _, ok := members[name]; ok {
			return nil, errors.New("it is no public key")
		}
	}
	published, err := jwk.ParseKey(text)
	if err != nil {
		return nil, errors.New("it is not a JSON Web Key")
	}
	key, err := foreign(published)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	if long, ok := key.public.(*rsa.PublicKey); ok && long.N.BitLen() > deviceBits {
		return nil, fmt.Errorf("it has more than %d bits", deviceBits)
	}
	normal, err := normalForm(key)
	if err != nil {
		return nil, err
	}
	return &DeviceKey{key: key, normal: normal}, nil
}

// normalForm is the one spelling of a key. The SDKs of phones write the modulus as a signed
// number, with a zero before it that RFC 7518, section 6.3.1.1 forbids; here it is gone.
func normalForm(k *loadedKey) (string, error) {
	public, err := jwk.FromRaw(k.public)
	if err == nil {
		err = errors.Join(public.Set(jwk.AlgorithmKey, jwa.SignatureAlgorithm(k.algorithm)), public.Set(jwk.KeyUsageKey, jwk.ForSignature))
	}
	if err != nil {
		return "", fmt.Errorf("write a key: %w", err)
	}
	text, err := json.Marshal(public)
	if err != nil {
		return "", fmt.Errorf("write a key: %w", err)
	}
	return string(text), nil
}

// String is the key as a JWK in normal form: two spellings of one key have the same.
func (k *DeviceKey) String() string { return k.normal }

// A DeviceHeader is what the header of a device's token says beside the algorithm. Nothing
// of it chose the key.
type DeviceHeader struct {
	Type string
	Key  json.RawMessage // jwk; nil if there is none
}

// Verify checks that the key signed the token, by its own algorithm, and decodes the claims
// into what into points to. kid, jwk, x5c, jku and the like are not obeyed, crit is refused.
// Otherwise it is as strict as [Signer.Verify], and its errors are alike.
func (k *DeviceKey) Verify(token string, into any) (DeviceHeader, error) {
	if err := wellFormed(token); err != nil {
		return DeviceHeader{}, err
	}
	header, err := k.header(token)
	if err != nil {
		return DeviceHeader{}, err
	}
	payload, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKey(jwa.SignatureAlgorithm(k.key.algorithm), k.key.public))
	if err != nil {
		return DeviceHeader{}, errors.New("verify a token: the signature is wrong")
	}
	return header, decodeClaims(payload, into)
}

// header reads the header of a well-formed token, which must name the key's algorithm.
func (k *DeviceKey) header(token string) (DeviceHeader, error) {
	first, _, _ := bytes.Cut([]byte(token), []byte("."))
	raw, err := base64.RawURLEncoding.AppendDecode(nil, first)
	if err != nil {
		return DeviceHeader{}, errors.New("verify a token: it is not canonical base64url")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || oneOfEach(json.NewDecoder(bytes.NewReader(raw))) != nil {
		return DeviceHeader{}, errors.New("verify a token: its header is not a JSON object with one of each member")
	}
	var alg, typ string
	if json.Unmarshal(members["alg"], &alg) != nil || alg != k.key.algorithm {
		return DeviceHeader{}, errors.New("verify a token: its algorithm is not that of the key")
	}
	if t, ok := members["typ"]; ok && json.Unmarshal(t, &typ) != nil {
		return DeviceHeader{}, errors.New("verify a token: its typ is no text")
	}
	if _, ok := members["crit"]; ok {
		return DeviceHeader{}, errors.New("verify a token: it asks for an extension")
	}
	return DeviceHeader{Type: typ, Key: members["jwk"]}, nil
}
