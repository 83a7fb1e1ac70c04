package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// Config says which push services there are; nil for one that is not used.
type Config struct {
	FCM  *FCMConfig  `yaml:"fcm" optional:"true" doc:"Firebase Cloud Messaging, for apps with the SDK for Android. All its variables unset or empty: left out."`
	APNs *APNsConfig `yaml:"apns" optional:"true" doc:"Apple Push Notification service, for apps with the SDK for iOS. All its variables unset or empty: left out."`
}

// FCMConfig is an account with Firebase Cloud Messaging.
type FCMConfig struct {
	CredentialsFile string `yaml:"credentials_file" required:"true" file:"true" example:"/etc/sallyport/fcm.json" doc:"Service-account JSON. Access tokens come from its token_uri."`
	Endpoint        string `yaml:"endpoint" default:"https://fcm.googleapis.com" doc:"Base of the service; /v1/projects/PROJECT/messages:send follows."`
}

// APNsConfig is a key for the Apple Push Notification service.
type APNsConfig struct {
	KeyFile        string `yaml:"key_file" required:"true" file:"true" example:"/etc/sallyport/AuthKey_ABC123DEFG.p8" doc:"Key that signs provider tokens, as Apple's developer account gives it out (.p8)."`
	KeyID          string `yaml:"key_id" required:"true" example:"ABC123DEFG" doc:"The key's id, ten characters."`
	TeamID         string `yaml:"team_id" required:"true" example:"DEF123GHIJ" doc:"The developer team's id, ten characters."`
	Topic          string `yaml:"topic" required:"true" example:"com.example.guardian" doc:"The app's bundle id."`
	Endpoint       string `yaml:"endpoint" default:"https://api.push.apple.com" doc:"Base of the service; /3/device/TOKEN follows. https://api.sandbox.push.apple.com is for apps in development."`
	SecondEndpoint string `yaml:"second_endpoint" example:"https://api.sandbox.push.apple.com" doc:"Where a device is asked for that endpoint does not know, so that released apps and those in development work side by side."`
}

// fileLimit bounds a file with a key.
const fileLimit = 64 << 10

// Validate reports everything that is wrong, each error as "key: text".
func (c Config) Validate() error {
	var errs []error
	if c.FCM != nil {
		errs = append(errs, inside("fcm", c.FCM.validate()))
	}
	if c.APNs != nil {
		errs = append(errs, inside("apns", c.APNs.validate()))
	}
	return errors.Join(errs...)
}

// inside puts the name of a section before each of its errors.
func inside(section string, found []error) error {
	for i, err := range found {
		found[i] = fmt.Errorf("%s.%w", section, err)
	}
	return errors.Join(found...)
}

func (c FCMConfig) validate() (errs []error) {
	if err := oob.CheckEndpoint(c.Endpoint); err != nil {
		errs = append(errs, fmt.Errorf("endpoint: %w", err))
	}
	if _, err := c.account(); err != nil {
		errs = append(errs, fmt.Errorf("credentials_file: %w", err))
	}
	return errs
}

// A serviceAccount is what the gateway needs of Google's file.
type serviceAccount struct {
	Project  string `json:"project_id"`
	Email    string `json:"client_email"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	TokenURI string `json:"token_uri"`
}

func (c FCMConfig) account() (serviceAccount, error) {
	var account serviceAccount
	content, err := readFile(c.CredentialsFile)
	if err != nil {
		return account, err
	}
	if json.Unmarshal(content, &account) != nil {
		return account, errors.New("is not the JSON of a service account")
	}
	if account.Project == "" || account.Email == "" || account.Key == "" {
		return account, errors.New("must hold project_id, client_email and private_key")
	}
	if oob.CheckEndpoint(account.TokenURI) != nil {
		return account, errors.New("its token_uri must be https, or http to a loopback host")
	}
	if _, ok := privateKey([]byte(account.Key)).(*rsa.PrivateKey); !ok {
		return account, errors.New("its private_key must be the PEM of an RSA key")
	}
	return account, nil
}

func (c APNsConfig) validate() (errs []error) {
	about := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	_, err := c.key()
	about("key_file", err)
	about("key_id", appleID(c.KeyID))
	about("team_id", appleID(c.TeamID))
	if strings.ContainsFunc(c.Topic, func(r rune) bool { return !alphanumeric(r) && r != '.' && r != '-' }) {
		about("topic", errors.New("must be a bundle id, as in com.example.guardian"))
	}
	about("endpoint", oob.CheckEndpoint(c.Endpoint))
	if c.SecondEndpoint != "" {
		about("second_endpoint", oob.CheckEndpoint(c.SecondEndpoint))
	}
	return errs
}

func (c APNsConfig) key() (*ecdsa.PrivateKey, error) {
	content, err := readFile(c.KeyFile)
	if err != nil {
		return nil, err
	}
	key, ok := privateKey(content).(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("must be the PEM of a P-256 key, as Apple gives it out")
	}
	return key, nil
}

func appleID(s string) error {
	const length = 10
	if len(s) != length || strings.ContainsFunc(s, func(r rune) bool { return !alphanumeric(r) }) {
		return fmt.Errorf("must be %d letters and digits", length)
	}
	return nil
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// privateKey is the key in a PEM text, nil if there is none.
func privateKey(text []byte) any {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key
	}
	return nil
}

// readFile reads a file with a key. Its errors name the file and quote nothing.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	defer f.Close() //nolint:errcheck // what was read is read
	content, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	if len(content) > fileLimit {
		return nil, fmt.Errorf("%s is larger than %d KiB", path, fileLimit>>10)
	}
	return content, nil
}
