package phone

import (
	"crypto/sha256"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// How long what a device signs lives.
const (
	answerLifetime = 30 * time.Second
	deviceLifetime = 2 * time.Hour
)

// A decision is how a person answered.
type decision struct {
	accepted bool
	reason   string      // of a refusal: "hacked", "mistake", or nothing
	code     secret.Text // that the page showed
}

// response is the challenge_response of an answer; section 8. There is no jti.
func (p *Phone) response(a Account, n Notification, how decision) (secret.Text, error) {
	base, err := p.base(a.URL)
	if err != nil {
		return secret.Text{}, err
	}
	now := p.now()
	claims := map[string]any{
		"iss": a.Identifier, "sub": n.Challenge, "aud": p.app.audience(a.URL, base, resolvePath),
		"iat": p.app.stamp(now), "exp": p.app.stamp(now.Add(answerLifetime)),
		"auth0_guardian_method": "push", "auth0_guardian_accepted": how.accepted,
	}
	if !how.accepted && how.reason != "" {
		claims["auth0_guardian_reason"] = how.reason
	}
	if !how.code.Empty() {
		claims["gw_binding_code"] = how.code.Reveal()
	}
	return p.app.jwt(a.Key, map[string]any{"typ": "JWT"}, ordered(p.app.claims, claims))
}

// bearer is what device-accounts is called with; section 6.
func (p *Phone) bearer(a Account, base string) (secret.Text, error) {
	if p.app.opaque {
		return a.Token, nil
	}
	now := p.now()
	return p.app.jwt(a.Key, map[string]any{"typ": "JWT"}, object{
		{"aud", base + accountsPath}, {"sub", a.UserID}, {"iss", a.ID},
		{"exp", p.app.stamp(now.Add(deviceLifetime))}, {"iat", p.app.stamp(now)},
	})
}

// proof shows that a consent is read by who has the key; section 9.
func (p *Phone) proof(a Account, n Notification, at string) (secret.Text, error) {
	public, err := a.Key.public()
	if err != nil {
		return secret.Text{}, err
	}
	id, err := p.uuid()
	if err != nil {
		return secret.Text{}, err
	}
	return p.app.jwt(a.Key, map[string]any{"typ": "dpop+jwt", "jwk": public}, object{
		{"htm", "GET"}, {"ath", hashed(n.Transaction)}, {"htu", at}, {"iat", p.app.stamp(p.now())}, {"jti", id},
	})
}

// hashed is the ath of a proof.
func hashed(t secret.Text) string {
	sum := sha256.Sum256([]byte(t.Reveal()))
	return encoded(sum[:])
}
