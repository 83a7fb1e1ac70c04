package guardian

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

const (
	endpointAccounts = "/api/device-accounts"
	accountLife      = 2 * time.Hour // of a token that a phone signs to change its account
)

// Account is a device account as its phone may see it.
type Account struct {
	ID          string      `json:"id"`
	Identifier  string      `json:"identifier"`
	Name        string      `json:"name"`
	Credentials Credentials `json:"push_credentials"`
}

// Credentials are where a phone takes its messages, in its own words.
type Credentials struct {
	Service string `json:"service"`
	Token   string `json:"token"`
}

// Update changes what a device says about itself (section 6); what is absent stays.
func (p *Protocol) Update(ctx context.Context, id string, bearer secret.Text, body []byte, from From) (Account, error) {
	d, err := p.owned(ctx, id, bearer)
	if err != nil {
		return Account{}, err
	}
	changed, err := p.change(&d, body)
	if err != nil {
		return Account{}, err
	}
	if len(changed) > 0 {
		e := p.event(audit.DeviceChanged, d, from)
		e.Reason = strings.Join(changed, " ")
		err = p.o.Devices.UpdateDevice(ctx, d, e)
	}
	if err != nil {
		return Account{}, gone(err)
	}
	return Account{d.ID, d.Identifier, d.Name, Credentials{d.Endpoint.Service, d.Endpoint.Token.Reveal()}}, nil
}

// change applies a body to a device, and names what it changed.
func (p *Protocol) change(d *oob.Device, body []byte) (changed []string, err error) {
	m, err := parseMembers(body)
	if err != nil {
		return nil, err
	}
	for name, field := range map[string]*string{"identifier": &d.Identifier, "name": &d.Name} {
		if !m.has(name) {
			continue
		}
		text, ok := m.text(name)
		if text = printable(text, textLimit); !ok || text == "" {
			return nil, fault.Param(fault.BadRequest, name)
		}
		*field = text
	}
	for _, name := range []string{"identifier", "name", "push_credentials"} {
		if m.has(name) {
			changed = append(changed, name)
		}
	}
	if m.has("push_credentials") {
		d.Endpoint, err = p.endpoint(m)
	}
	return changed, err
}

// Remove ends a device account with its authenticators. That it is the last factor is its
// owner's business.
func (p *Protocol) Remove(ctx context.Context, id string, bearer secret.Text, from From) error {
	d, err := p.owned(ctx, id, bearer)
	if err == nil {
		err = gone(p.o.Devices.RemoveDevice(ctx, d.ID, p.event(audit.Removed, d, from)))
	}
	return err
}

// gone is what a store's failure means for a device account.
func gone(err error) error {
	if errors.Is(err, fault.NotFound) {
		return fault.DeviceNotFound
	}
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("change a device: %w", err))
	}
	return nil
}

// owned is the device whose own token was sent: the opaque one from its enrollment, or one
// that it signed.
func (p *Protocol) owned(ctx context.Context, id string, bearer secret.Text) (oob.Device, error) {
	d, key, err := p.device(ctx, id, fault.DeviceNotFound)
	if err != nil {
		return oob.Device{}, err
	}
	if strings.Contains(bearer.Reveal(), ".") {
		err = p.signedBy(d, key, bearer.Reveal())
	} else if subtle.ConstantTimeCompare([]byte(secret.Hash(bearer)), []byte(d.TokenHash)) != 1 {
		err = fault.BadDeviceToken
	}
	if err != nil {
		return oob.Device{}, err
	}
	return d, nil
}

// signedBy judges a token that a device signed for its account.
func (p *Protocol) signedBy(d oob.Device, key *signer.DeviceKey, token string) error {
	var claims members
	if _, err := key.Verify(token, &claims); err != nil {
		return fault.Because(fault.BadDeviceToken, err)
	}
	issuer, _ := claims.text("iss")
	subject, _ := claims.text("sub")
	aud, _ := claims.text("aud")
	if issuer != d.ID || subject != d.Subject || !p.audience(aud, endpointAccounts, false) || !p.timely(claims, accountLife) {
		return fault.Because(fault.BadDeviceToken, errors.New("a token of a device for something else, or another time"))
	}
	return nil
}
