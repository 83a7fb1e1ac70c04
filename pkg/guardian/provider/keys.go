package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Keys are what a gateway shows to the push services that it is who it says. They do not
// print.
type Keys struct {
	fcm  *rsa.PrivateKey
	apns *ecdsa.PrivateKey
}

// Format implements fmt.Formatter without the keys, whatever the verb.
func (Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

const rsaBits = 2048

// NewKeys makes keys, except those that are in files of before: a service account as
// [Keys.ServiceAccount] writes it, and a key as [Keys.APNsKey] does. So a gateway that
// runs is known to a provider that was started again.
func NewKeys(serviceAccount, apnsKey []byte) (k Keys, err error) {
	if k.fcm, err = oldFCM(serviceAccount); err != nil {
		return Keys{}, err
	}
	if k.apns, err = oldAPNs(apnsKey); err != nil {
		return Keys{}, err
	}
	if k.fcm == nil {
		if k.fcm, err = rsa.GenerateKey(rand.Reader, rsaBits); err != nil {
			return Keys{}, err
		}
	}
	if k.apns == nil {
		if k.apns, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return Keys{}, err
		}
	}
	return k, nil
}

func oldFCM(text []byte) (*rsa.PrivateKey, error) {
	if text == nil {
		return nil, nil
	}
	var account serviceAccount
	if json.Unmarshal(text, &account) != nil || account.Email != accountEmail {
		return nil, errors.New("it is no service account that a provider wrote")
	}
	key, ok := readPEM([]byte(account.Key)).(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the service account has no RSA key")
	}
	return key, nil
}

func oldAPNs(text []byte) (*ecdsa.PrivateKey, error) {
	if text == nil {
		return nil, nil
	}
	key, ok := readPEM(text).(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is no P-256 key that a provider wrote")
	}
	return key, nil
}

func readPEM(text []byte) any {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	return key
}

func writePEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// Who the gateway is to FCM.
const (
	project      = "sallyport-phone"
	accountEmail = "gateway@sallyport-phone.example"
	fcmScope     = "https://www.googleapis.com/auth/firebase.messaging"
)

// serviceAccount is the file that Google gives out.
type serviceAccount struct {
	Type     string `json:"type"`
	Project  string `json:"project_id"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	Email    string `json:"client_email"`
	TokenURI string `json:"token_uri"`
}

// ServiceAccount is the file for delivery.push.fcm.credentials_file, for a provider at a
// URL.
func (k Keys) ServiceAccount(url string) ([]byte, error) {
	key, err := writePEM(k.fcm)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(k.fcm.N.Bytes())
	text, err := json.MarshalIndent(serviceAccount{
		Type: "service_account", Project: project, KeyID: fmt.Sprintf("%x", sum[:8]), Key: string(key),
		Email: accountEmail, TokenURI: url + tokenPath,
	}, "", "  ")
	return append(text, '\n'), err
}

// APNsKey is the file for delivery.push.apns.key_file.
func (k Keys) APNsKey() ([]byte, error) { return writePEM(k.apns) }

// claims verifies a JWT that a gateway signed.
func (k Keys) claims(token, algorithm string, into any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return false
		}
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if json.Unmarshal(raw[0], &header) != nil || header.Algorithm != algorithm {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return k.verify(algorithm, sum[:], raw[2]) && json.Unmarshal(raw[1], into) == nil
}

func (k Keys) verify(algorithm string, sum, signature []byte) bool {
	if algorithm == rs256 {
		return rsa.VerifyPKCS1v15(&k.fcm.PublicKey, crypto.SHA256, sum, signature) == nil
	}
	const half = 32
	return len(signature) == 2*half &&
		ecdsa.Verify(&k.apns.PublicKey, sum, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
}

// The algorithms of the two services.
const (
	rs256 = "RS256"
	es256 = "ES256"
)
