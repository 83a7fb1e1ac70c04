package guardian

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

const (
	endpointConsents = "/rich-consents/"
	proofType        = "dpop+jwt"
	// dateForm is the one that every SDK reads: three decimals and the letter Z.
	dateForm = "2006-01-02T15:04:05.000Z"
)

// Consent is what a phone shows before its owner decides. Old SDKs need every member, and
// dates as texts.
type Consent struct {
	ID        string    `json:"id"`
	Requested Requested `json:"requested_details"`
	CreatedAt string    `json:"created_at"`
	ExpiresAt string    `json:"expires_at"`
}

// Requested is what a login asks for. The binding message is the code that the person has
// to carry to the page.
type Requested struct {
	Audience string   `json:"audience"`
	Scope    []string `json:"scope"`
	Message  string   `json:"binding_message"`
	Details  []any    `json:"authorization_details"` // RFC 9396; nothing has any yet
}

// Consent shows what a transaction asks for to the device that it asks, which proves that it
// has its key (section 9).
func (p *Protocol) Consent(ctx context.Context, id string, token secret.Text, proof string, from From) (Consent, error) {
	t, err := p.o.Transactions.Read(ctx, token)
	if err != nil {
		return Consent{}, err
	}
	c, err := p.consented(ctx, t, id)
	if err != nil {
		return Consent{}, err
	}
	d, key, err := p.device(ctx, push.DeviceOf(c.Authenticator), fault.ConsentNotFound)
	if err != nil {
		return Consent{}, err
	}
	jti, err := p.proved(d, key, proof, asking{id: id, token: token})
	if err == nil {
		err = p.first(ctx, c, jti)
	}
	if err != nil {
		return Consent{}, p.refused(ctx, asked(c, from), fault.Because(fault.BadDeviceProof, err))
	}
	return p.shown(c)
}

// consented is the challenge of a transaction that has the consent and waits still.
func (p *Protocol) consented(ctx context.Context, t push.Transaction, id string) (oob.Challenge, error) {
	if !p.now().Before(t.ExpiresAt) {
		return oob.Challenge{}, fault.BadDeviceToken
	}
	c, state, err := p.o.Challenges.Challenge(ctx, t.Challenge)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return oob.Challenge{}, fault.Because(fault.Unavailable, fmt.Errorf("read a challenge: %w", err))
	}
	if err != nil || state != oob.Pending || !p.now().Before(c.ExpiresAt) || push.Consent(c) != id {
		return oob.Challenge{}, fault.ConsentNotFound
	}
	return c, nil
}

// asking is what a proof has to be about.
type asking struct {
	id    string // of the consent
	token secret.Text
}

// proved judges a proof of possession, and returns its id. It is like those of RFC 9449, but
// for the name of the header and that no time ends it.
func (p *Protocol) proved(d oob.Device, key *signer.DeviceKey, proof string, a asking) (jti string, err error) {
	var claims members
	header, err := key.Verify(proof, &claims)
	if err != nil {
		return "", err
	}
	shown, err := signer.ParseDeviceKey(header.Key)
	if err != nil || header.Type != proofType || shown.String() != d.Key {
		return "", errors.New("a proof that is not one of this device")
	}
	method, _ := claims.text("htm")
	target, _ := claims.text("htu")
	hash, _ := claims.text("ath")
	jti, _ = claims.text("jti")
	at, _ := claims.number("iat")
	sum := sha256.Sum256([]byte(a.token.Reveal()))
	now := float64(p.now().UnixMilli()) / 1000
	switch {
	case method != "GET" || folded(target) != folded(p.base+endpointConsents+a.id):
		return "", errors.New("a proof for another request")
	case hash != base64.RawURLEncoding.EncodeToString(sum[:]):
		return "", errors.New("a proof for another token")
	case at < now-skew.Seconds() || at > now+skew.Seconds():
		return "", errors.New("a proof of another time")
	case jti == "" || len(jti) > textLimit:
		return "", errors.New("a proof without an id")
	}
	return jti, nil
}

// first uses up the id of a proof for the transaction.
func (p *Protocol) first(ctx context.Context, c oob.Challenge, jti string) error {
	won, err := p.o.Redeemer.Redeem(ctx, record.Redemption{
		Kind: "consent_proof", Hash: secret.Hash(secret.New(c.ID + " " + jti)), ExpiresAt: c.ExpiresAt.Add(time.Minute),
	})
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("use a proof up: %w", err))
	}
	if !won {
		return errors.New("a proof that was used before")
	}
	return nil
}

func (p *Protocol) shown(c oob.Challenge) (Consent, error) {
	code, err := c.OpenCode(p.o.Ring)
	if err != nil {
		return Consent{}, err
	}
	r := Requested{Scope: append([]string{}, c.Scopes...), Message: code.Reveal(), Details: []any{}}
	if len(c.Audience) > 0 {
		r.Audience = c.Audience[0]
	}
	return Consent{push.Consent(c), r, c.CreatedAt.UTC().Format(dateForm), c.ExpiresAt.UTC().Format(dateForm)}, nil
}
