package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Access is an access token that holds.
type Access struct {
	ID      string
	Subject string
	Client  string
	Session string
	// Audience and Scopes are all that the token has.
	Audience []string
	Scopes   []string
	Expires  time.Time
}

// claims are what is read of an access token.
type claims struct {
	Issuer   string    `json:"iss"`
	Subject  string    `json:"sub"`
	Audience audiences `json:"aud"`
	ID       string    `json:"jti"`
	Client   string    `json:"client_id"`
	Party    string    `json:"azp"` // the client, in Auth0's dialect
	Scope    string    `json:"scope"`
	Issued   int64     `json:"iat"`
	Expires  int64     `json:"exp"`
	Session  string    `json:"sid"`
	AuthTime int64     `json:"auth_time"`
	AMR      []string  `json:"amr"`
	ACR      string    `json:"acr"`
}

// audiences is a string or an array of them (RFC 7519, 4.1.3).
type audiences []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audiences) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*a = make(audiences, 1)
		return json.Unmarshal(text, &(*a)[0])
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// Read verifies an access token for an audience of this gateway: signature, type,
// issuer, audience, lifetime (RFC 9068, 4), and that neither it nor what it rests on
// has been revoked. It fails with fault.BadAccessToken or fault.Unavailable.
func (i *Issuer) Read(ctx context.Context, token secret.Text, audience string) (Access, error) {
	c, err := i.verify(ctx, token)
	if err != nil {
		return Access{}, err
	}
	if !slices.Contains(c.Audience, audience) {
		return Access{}, fault.BadAccessToken
	}
	return i.live(ctx, c)
}

// live is an access token that was verified and that nobody revoked.
func (i *Issuer) live(ctx context.Context, c claims) (Access, error) {
	if err := i.alive(ctx, c); err != nil {
		return Access{}, err
	}
	return Access{ID: c.ID, Subject: c.Subject, Client: c.Client, Session: c.Session,
		Audience: c.Audience, Scopes: strings.Fields(c.Scope), Expires: time.Unix(c.Expires, 0).UTC()}, nil
}

// Credential reads an access token for /mfa/ that has the scope. It fails as
// [Issuer.Read] does, or with fault.InsufficientScope.
func (i *Issuer) Credential(ctx context.Context, token secret.Text, scope string) (mfa.Credential, error) {
	access, err := i.Read(ctx, token, i.o.Manage)
	if err != nil {
		return mfa.Credential{}, err
	}
	if !slices.Contains(access.Scopes, scope) {
		return mfa.Credential{}, fault.Param(fault.InsufficientScope, scope)
	}
	return i.resting(ctx, access)
}

// InHand reads an access token of a user, for whatever audience. It fails as
// [Issuer.Read] does, also when the token is a client's own.
func (i *Issuer) InHand(ctx context.Context, token secret.Text) (mfa.Credential, error) {
	c, err := i.verify(ctx, token)
	if err != nil {
		return mfa.Credential{}, err
	}
	if c.Session == "" {
		return mfa.Credential{}, fault.BadAccessToken
	}
	access, err := i.live(ctx, c)
	if err != nil {
		return mfa.Credential{}, err
	}
	return i.resting(ctx, access)
}

// resting adds the session that an access token rests on.
func (i *Issuer) resting(ctx context.Context, access Access) (mfa.Credential, error) {
	session, err := i.o.Sessions.Session(ctx, access.Session)
	if errors.Is(err, fault.NotFound) {
		return mfa.Credential{}, fault.BadAccessToken
	}
	if err != nil {
		return mfa.Credential{}, fault.Because(fault.Unavailable, fmt.Errorf("read the session: %w", err))
	}
	return mfa.Credential{Subject: access.Subject, Client: access.Client, Handle: access.ID,
		Scopes: access.Scopes, Audience: access.Audience, Session: session, ExpiresAt: access.Expires}, nil
}

// verify checks what an access token of this gateway says of itself.
func (i *Issuer) verify(ctx context.Context, token secret.Text) (claims, error) {
	kind := "at+jwt"
	if i.o.Dialect == Auth0 {
		kind = "JWT"
	}
	var c claims
	if err := i.o.Signer.Verify(ctx, token.Reveal(), kind, &c); err != nil {
		return claims{}, fault.Because(fault.BadAccessToken, err)
	}
	if c.Issuer != i.o.URL || c.ID == "" || !i.o.Now().Before(time.Unix(c.Expires, 0)) {
		return claims{}, fault.BadAccessToken
	}
	if c.Client == "" {
		c.Client = c.Party
	}
	return c, nil
}

// alive asks the store whether a token was revoked.
func (i *Issuer) alive(ctx context.Context, c claims) error {
	active, err := i.o.Store.AccessTokenActive(ctx, c.ID, i.o.Now())
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("read an access token: %w", err))
	}
	if !active {
		return fault.BadAccessToken
	}
	return nil
}
