package phone

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/pkg/secret"
)

// An Account is what an app keeps of an enrollment. It prints without its secrets;
// [Account.Keep] writes them.
type Account struct {
	Profile    Profile
	URL        string // of the gateway, as the author of the app gave it
	ID         string // of the enrollment, dev_...
	Issuer     string
	UserID     string
	Token      secret.Text // opaque; old apps call device-accounts with it
	TOTP       *TOTP       // nil if the gateway sent none
	Identifier string      // of the device: iss of its answers
	Name       string
	Push       PushCredentials
	Key        Key
}

// PushCredentials are where pushes go.
type PushCredentials struct {
	Service string // GCM, APNS or WEBPUSH
	Token   secret.Text
}

func (c PushCredentials) object() object {
	return object{{"service", c.Service}, {"token", c.Token.Reveal()}}
}

// kept is an Account as it is kept.
type kept struct {
	Profile     Profile   `json:"profile"`
	URL         string    `json:"url"`
	ID          string    `json:"id"`
	Issuer      string    `json:"issuer"`
	UserID      string    `json:"user_id"`
	Token       string    `json:"token"`
	TOTP        *keptTOTP `json:"totp,omitempty"`
	Identifier  string    `json:"identifier"`
	Name        string    `json:"name"`
	PushService string    `json:"push_service"`
	PushToken   string    `json:"push_token"`
	PrivateKey  string    `json:"private_key"` // PKCS #8
}

type keptTOTP struct {
	Secret    string `json:"secret"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period"`
}

// Keep writes the account with its secrets, for a file that nobody else reads.
func (a Account) Keep() (json.RawMessage, error) {
	private, err := a.Key.keep()
	if err != nil {
		return nil, fmt.Errorf("keep the key of %s: %w", a.ID, err)
	}
	k := kept{
		Profile: a.Profile, URL: a.URL, ID: a.ID, Issuer: a.Issuer, UserID: a.UserID, Token: a.Token.Reveal(),
		Identifier: a.Identifier, Name: a.Name, PushService: a.Push.Service, PushToken: a.Push.Token.Reveal(), PrivateKey: private,
	}
	if t := a.TOTP; t != nil {
		k.TOTP = &keptTOTP{t.Secret.Reveal(), t.Algorithm, t.Digits, t.Period}
	}
	return json.Marshal(k) //nolint:gosec // keeping the key is what this is for
}

// Recall reads what [Account.Keep] wrote.
func Recall(text json.RawMessage) (Account, error) {
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return Account{}, fmt.Errorf("read an account: %w", err)
	}
	if _, ok := apps[k.Profile]; !ok || k.ID == "" {
		return Account{}, errors.New("read an account: it has no id, or no profile that is known")
	}
	key, err := recallKey(k.PrivateKey)
	if err != nil {
		return Account{}, fmt.Errorf("read the key of %s: %w", k.ID, err)
	}
	a := Account{
		Profile: k.Profile, URL: k.URL, ID: k.ID, Issuer: k.Issuer, UserID: k.UserID, Token: secret.New(k.Token),
		Identifier: k.Identifier, Name: k.Name, Push: PushCredentials{k.PushService, secret.New(k.PushToken)}, Key: key,
	}
	if t := k.TOTP; t != nil {
		a.TOTP = &TOTP{secret.New(t.Secret), t.Algorithm, t.Digits, t.Period}
	}
	return a, nil
}
