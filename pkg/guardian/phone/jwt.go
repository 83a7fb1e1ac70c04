package phone

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/sallyport/sallyport/pkg/secret"
)

// The algorithms: the SDKs have RSA alone, a page has what WebCrypto signs with.
const (
	rs256 = "RS256"
	es256 = "ES256"
)

const rsaBits = 2048

// A member is one of a JSON object whose order is chosen, as each SDK has its own.
type member struct {
	name  string
	value any
}

type object []member

// ordered are the members that are there, in the order of the names.
func ordered(names string, members map[string]any) object {
	var o object
	for _, name := range strings.Fields(names) {
		if value, ok := members[name]; ok {
			o = append(o, member{name, value})
		}
	}
	return o
}

// MarshalJSON implements json.Marshaler in the order of the members.
func (o object) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	write := func(value any, end string) error {
		var one bytes.Buffer
		out := json.NewEncoder(&one)
		out.SetEscapeHTML(false)
		err := out.Encode(value)
		text.Write(bytes.TrimSuffix(one.Bytes(), []byte("\n")))
		text.WriteString(end)
		return err
	}
	separator := "{"
	for _, m := range o {
		text.WriteString(separator)
		if err := write(m.name, ":"); err != nil {
			return nil, err
		}
		if err := write(m.value, ""); err != nil {
			return nil, err
		}
		separator = ","
	}
	if len(o) == 0 {
		text.WriteString("{")
	}
	text.WriteString("}")
	return text.Bytes(), nil
}

// write encodes an object as the app's own encoder would.
func (a app) write(o object) ([]byte, error) {
	text, err := o.MarshalJSON()
	return []byte(a.escapes.Replace(string(text))), err
}

// jwt signs claims as the app does.
func (a app) jwt(k Key, header map[string]any, claims object) (secret.Text, error) {
	header["alg"] = k.algorithm()
	first, err := a.write(ordered(a.header, header))
	if err != nil {
		return secret.Text{}, err
	}
	second, err := a.write(claims)
	if err != nil {
		return secret.Text{}, err
	}
	signed := encoded(first) + "." + encoded(second)
	signature, err := k.sign(signed)
	if err != nil {
		return secret.Text{}, fmt.Errorf("sign as the device: %w", err)
	}
	return secret.New(signed + "." + encoded(signature)), nil
}

func encoded(text []byte) string { return base64.RawURLEncoding.EncodeToString(text) }

// A Key is the private key of an account; it does not print.
type Key struct{ signer crypto.Signer }

// NewKey makes a key for an app of a profile. Chance is the system's: the standard library
// takes no other.
func NewKey(p Profile) (Key, error) {
	if apps[p].algorithm == es256 {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		return Key{k}, err
	}
	k, err := rsa.GenerateKey(rand.Reader, rsaBits)
	return Key{k}, err
}

// Format implements fmt.Formatter without the key, whatever the verb.
func (Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

func (k Key) algorithm() string {
	if _, ok := k.signer.(*ecdsa.PrivateKey); ok {
		return es256
	}
	return rs256
}

func (k Key) sign(text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(text))
	ec, ok := k.signer.(*ecdsa.PrivateKey)
	if !ok {
		return k.signer.Sign(rand.Reader, sum[:], crypto.SHA256) // PKCS #1 v1.5
	}
	r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
	if err != nil {
		return nil, err
	}
	both := make([]byte, 2*coordinate) // r and s, as RFC 7518 and WebCrypto have it
	r.FillBytes(both[:coordinate])
	s.FillBytes(both[coordinate:])
	return both, nil
}

const coordinate = 32 // bytes, of P-256

// public is the public key as the SDKs write it. They put a zero before the modulus, which
// RFC 7518 forbids (section 5).
func (k Key) public() (object, error) {
	switch key := k.signer.(type) {
	case *rsa.PrivateKey:
		n := append([]byte{0}, key.N.Bytes()...)
		e := big.NewInt(int64(key.E)).Bytes()
		return object{{"kty", "RSA"}, {"use", "sig"}, {"alg", rs256}, {"n", encoded(n)}, {"e", encoded(e)}}, nil
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		x, y := point[1:1+coordinate], point[1+coordinate:]
		return object{{"kty", "EC"}, {"crv", "P-256"}, {"x", encoded(x)}, {"y", encoded(y)}, {"alg", es256}, {"use", "sig"}}, nil
	default:
		return nil, fmt.Errorf("the account has no key")
	}
}

// keep writes the key for [Account.Keep].
func (k Key) keep() (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	return base64.StdEncoding.EncodeToString(der), err
}

// recallKey reads what keep wrote.
func recallKey(text string) (Key, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Key{}, err
	}
	kept, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Key{}, err
	}
	switch kept.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return Key{kept.(crypto.Signer)}, nil
	default:
		return Key{}, fmt.Errorf("a %T signs no answers", kept)
	}
}
