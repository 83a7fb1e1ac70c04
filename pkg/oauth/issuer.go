package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// The algorithms in use. ID tokens are RS256 because client libraries take nothing
// else; for access tokens ES256 costs a twentieth.
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// Dialect says how access tokens look.
type Dialect string

// The dialects.
const (
	RFC9068 Dialect = "rfc9068" // "at+jwt", ES256, client_id
	Auth0   Dialect = "auth0"   // "JWT", RS256, azp and gty
)

// Lifetimes of tokens. An API's own goes before Access.
type Lifetimes struct {
	Access  time.Duration
	ID      time.Duration
	Refresh time.Duration
	Manage  time.Duration // access tokens for the /mfa/ audience: ten minutes by contract
}

// Users finds the claims of a subject.
type Users interface {
	// User returns a user or fault.NotFound.
	User(ctx context.Context, id string) (identity.User, error)
}

// Options are what the issuer works with; all are needed.
type Options struct {
	URL       string // the issuer, with its trailing slash
	Manage    string // the /mfa/ audience
	Signer    *signer.Signer
	Store     record.Store
	Sessions  record.Sessions
	Revoker   record.Revoker
	Registry  record.Registry
	Users     Users
	Lifetimes Lifetimes
	Dialect   Dialect
	AMR       bool // send amr and acr
	Now       func() time.Time
	Random    io.Reader
}

// Issuer makes the tokens of cleared logins.
type Issuer struct{ o Options }

// NewIssuer makes an issuer.
func NewIssuer(o Options) *Issuer { return &Issuer{o: o} }

// Issue signs the tokens first and then commits them with all that the login uses up:
// nothing slow holds the database, and nothing can fail after the commit.
func (i *Issuer) Issue(ctx context.Context, c mfa.Clearance) (record.Tokens, error) {
	if !c.Valid() {
		return record.Tokens{}, errors.New("no token without a clearance")
	}
	made, err := i.prepare(ctx, c)
	if err != nil {
		return record.Tokens{}, err
	}
	tokens, err := i.tokens(ctx, c.Login(), &made)
	if err != nil {
		return record.Tokens{}, err
	}
	if err := i.o.Store.Issue(ctx, made); err != nil {
		return record.Tokens{}, fault.Because(fault.Unavailable, fmt.Errorf("issue: %w", err))
	}
	return tokens, nil
}

// prepare is the issuance of a clearance before any token was made.
func (i *Issuer) prepare(ctx context.Context, c mfa.Clearance) (record.Issuance, error) {
	l := c.Login()
	now := i.o.Now().UTC().Truncate(time.Millisecond)
	ids, err := i.random(2)
	if err != nil {
		return record.Issuance{}, err
	}
	lifetime, err := i.lifetime(ctx, l.Audience[0])
	if err != nil {
		return record.Issuance{}, err
	}
	expires := now.Add(lifetime)
	if !l.Until.IsZero() && l.Until.Before(expires) {
		expires = l.Until
	}
	made := c.Issuance(now, ids[0])
	made.Access = record.AccessToken{ID: ids[1], Audience: l.Audience, Scopes: l.Scopes,
		ExpiresAt: expires, KeyThumbprint: l.KeyThumbprint, Parent: parent(c)}
	return made, nil
}

// parent is the access token that a login rests on alone, if it does.
func parent(c mfa.Clearance) string {
	if l := c.Login(); !l.Until.IsZero() {
		return l.Access
	}
	return ""
}

// lifetime is that of an access token for an API.
func (i *Issuer) lifetime(ctx context.Context, audience string) (time.Duration, error) {
	if audience == i.o.Manage {
		return i.o.Lifetimes.Manage, nil
	}
	api, err := i.o.Registry.API(ctx, audience)
	switch {
	case err == nil && api.AccessTokenLifetime > 0:
		return api.AccessTokenLifetime, nil
	case err != nil && !errors.Is(err, fault.NotFound):
		return 0, fault.Because(fault.Unavailable, fmt.Errorf("find the API: %w", err))
	}
	return i.o.Lifetimes.Access, nil
}

// tokens signs what was granted and notes in the issuance what is kept of it.
func (i *Issuer) tokens(ctx context.Context, l mfa.Login, made *record.Issuance) (record.Tokens, error) {
	access, err := i.access(l, *made)
	if err != nil {
		return record.Tokens{}, err
	}
	out := record.Tokens{Access: access, Type: "Bearer", Lifetime: made.Access.ExpiresAt.Sub(made.At), Scopes: l.Scopes}
	if slices.Contains(l.Scopes, "openid") {
		if out.ID, err = i.id(ctx, l, *made, access); err != nil {
			return record.Tokens{}, err
		}
	}
	if l.Rotates != nil || slices.Contains(l.Scopes, "offline_access") {
		if out.Refresh, err = i.refresh(l, made); err != nil {
			return record.Tokens{}, err
		}
	}
	return out, nil
}

// refresh makes the first refresh token of a login, or the successor of the one that it
// uses up: for the same audience and scopes (RFC 6749, 6), and in the family's time.
func (i *Issuer) refresh(l mfa.Login, made *record.Issuance) (secret.Text, error) {
	fresh, err := i.random(2)
	if err != nil {
		return secret.Text{}, err
	}
	token := secret.New(fresh[0])
	made.Refresh = &record.RefreshToken{Hash: secret.Hash(token), Family: fresh[1], Audience: l.Audience,
		Scopes: l.Scopes, ExpiresAt: made.At.Add(i.o.Lifetimes.Refresh), KeyThumbprint: l.KeyThumbprint}
	if r := l.Rotates; r != nil {
		made.Refresh.Family, made.Refresh.Audience, made.Refresh.Scopes = r.Family, r.Audience, r.Scopes
		made.Refresh.ExpiresAt = r.ExpiresAt
	}
	return token, nil
}

// access signs the access token (RFC 9068, 2).
func (i *Issuer) access(l mfa.Login, made record.Issuance) (secret.Text, error) {
	claims := map[string]any{"sub": l.Subject, "sid": made.Session.ID}
	i.authentication(claims, l.Proofs)
	return i.signAccess(claims, l.Grant, made)
}

// signAccess adds what every access token holds, in the dialect, and signs it.
func (i *Issuer) signAccess(claims map[string]any, grant string, made record.Issuance) (secret.Text, error) {
	claims["iss"], claims["aud"], claims["jti"] = i.o.URL, audience(made.Access.Audience), made.Access.ID
	claims["iat"], claims["exp"] = made.At.Unix(), made.Access.ExpiresAt.Unix()
	claims["scope"] = strings.Join(made.Access.Scopes, " ")
	algorithm, kind := ES256, "at+jwt"
	if i.o.Dialect == Auth0 {
		algorithm, kind = RS256, "JWT"
		claims["azp"], claims["gty"] = made.Session.Client, grant
	} else {
		claims["client_id"] = made.Session.Client
	}
	return i.sign(algorithm, kind, claims)
}

// id signs the ID token (OIDC Core, 2). It never has a nonce: no authorization request
// stands behind these grants, and a library refuses one that it did not send.
func (i *Issuer) id(ctx context.Context, l mfa.Login, made record.Issuance, access secret.Text) (secret.Text, error) {
	user, err := i.o.Users.User(ctx, l.Subject)
	if errors.Is(err, fault.NotFound) {
		return secret.Text{}, fault.UserBlocked // deleted since the first factor
	}
	if err != nil {
		return secret.Text{}, fault.Because(fault.Unavailable, fmt.Errorf("find the subject: %w", err))
	}
	claims := Profile(user, l.Scopes)
	half := sha256.Sum256([]byte(access.Reveal()))
	claims["iss"], claims["aud"] = i.o.URL, l.Client
	claims["iat"], claims["exp"] = made.At.Unix(), made.At.Add(i.o.Lifetimes.ID).Unix()
	claims["sid"] = made.Session.ID
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(half[:len(half)/2])
	i.authentication(claims, l.Proofs)
	return i.sign(RS256, "JWT", claims)
}

// authentication adds how and when the subject was authenticated: the same in every
// token (O-AC-1).
func (i *Issuer) authentication(claims map[string]any, proofs []record.Proof) {
	claims["auth_time"] = record.AuthTime(proofs).Unix()
	if !i.o.AMR {
		return
	}
	claims["amr"] = record.AMR(proofs)
	if acr := record.ACR(proofs); acr != "" {
		claims["acr"] = acr
	}
}

func (i *Issuer) sign(algorithm, kind string, claims map[string]any) (secret.Text, error) {
	token, err := i.o.Signer.Sign(algorithm, kind, claims)
	if err != nil {
		return secret.Text{}, fmt.Errorf("sign: %w", err)
	}
	return secret.New(token), nil
}

// random makes n values of 256 bits, as text.
func (i *Issuer) random(n int) ([]string, error) {
	out := make([]string, n)
	for k := range out {
		raw := make([]byte, 32)
		if _, err := io.ReadFull(i.o.Random, raw); err != nil {
			return nil, fmt.Errorf("issue: %w", err)
		}
		out[k] = base64.RawURLEncoding.EncodeToString(raw)
	}
	return out, nil
}

// audience is a string when there is one, as most verifiers expect.
func audience(all []string) any {
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// Profile are the claims of a user that the scopes open (OIDC Core, 5.4).
func Profile(u identity.User, scopes []string) map[string]any {
	claims := map[string]any{"sub": u.ID}
	set := func(scope, name, value string) {
		if value != "" && slices.Contains(scopes, scope) {
			claims[name] = value
		}
	}
	set("profile", "name", u.Name)
	set("profile", "preferred_username", u.Username)
	set("email", "email", u.Email)
	set("phone", "phone_number", u.PhoneNumber)
	if u.Email != "" && slices.Contains(scopes, "email") {
		claims["email_verified"] = u.EmailVerified
	}
	if slices.Contains(scopes, "profile") && !u.UpdatedAt.IsZero() {
		claims["updated_at"] = u.UpdatedAt.Unix()
	}
	return claims
}
