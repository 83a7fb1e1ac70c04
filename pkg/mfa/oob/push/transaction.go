package push

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// transactionType keeps the tokens of transactions apart from all others that the gateway
// signs (RFC 8725, 3.11).
const transactionType = "txtkn+jwt"

// Keys sign and verify tokens: a signer.
type Keys interface {
	Sign(alg, typ string, claims map[string]any) (string, error)
	Verify(ctx context.Context, token, typ string, into any) error
}

// Transactions are the tokens that a device answers with (txtkn). They are opaque to the
// SDKs, but some apps read the subject out of them, so they are JWTs.
type Transactions struct {
	Keys   Keys
	Issuer string
	Random io.Reader
}

// make makes the token of a challenge. It outlives the challenge by as long as that is
// kept: an answer that comes too late is told so, and recorded.
func (t Transactions) make(c oob.Challenge) (secret.Text, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(t.Random, id); err != nil {
		return secret.Text{}, fmt.Errorf("make a transaction token: %w", err)
	}
	token, err := t.Keys.Sign(signer.ES256, transactionType, map[string]any{
		"iss": t.Issuer, "aud": t.Issuer, "sub": c.Subject, "txid": c.ID,
		"iat": c.CreatedAt.Unix(), "exp": c.ExpiresAt.Add(oob.Window).Unix(), "jti": base64.RawURLEncoding.EncodeToString(id),
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("make a transaction token: %w", err)
	}
	return secret.New(token), nil
}

// A Transaction is what such a token was made for.
type Transaction struct {
	Challenge string // its id
	Subject   string
	ExpiresAt time.Time
}

// Read returns what a token was made for, also once it is expired. It fails with
// fault.BadDeviceToken, or with fault.Unavailable.
func (t Transactions) Read(ctx context.Context, token secret.Text) (Transaction, error) {
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Subject  string `json:"sub"`
		ID       string `json:"txid"`
		Expiry   int64  `json:"exp"`
	}
	if err := t.Keys.Verify(ctx, token.Reveal(), transactionType, &claims); err != nil {
		return Transaction{}, fault.Because(fault.BadDeviceToken, err)
	}
	if claims.Issuer != t.Issuer || claims.Audience != t.Issuer {
		return Transaction{}, fault.Because(fault.BadDeviceToken, errors.New("a transaction token of another gateway"))
	}
	return Transaction{Challenge: claims.ID, Subject: claims.Subject, ExpiresAt: time.Unix(claims.Expiry, 0).UTC()}, nil
}

// consentPrefix begins the id of a rich consent, then comes its challenge's.
const consentPrefix = "cns_"

// Consent is the id under which the device finds what a challenge asks it to show: empty
// where there is nothing beyond the push itself, for some apps let nobody answer before
// they have read what is named here.
func Consent(c oob.Challenge) string {
	if c.Binding != record.BindingToPage {
		return ""
	}
	return consentPrefix + c.ID
}
