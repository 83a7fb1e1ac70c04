package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Tenant is a tenant file: what the gateway serves.
type Tenant struct {
	Name    string         `yaml:"name" required:"true" example:"Example" doc:"Name of the tenant, as authenticator apps show it."`
	APIs    []TenantAPI    `yaml:"apis" doc:"The APIs that tokens are issued for."`
	Clients []TenantClient `yaml:"clients" doc:"The applications that may ask for tokens."`
	Users   []TenantUser   `yaml:"users" doc:"The users. A password is set when the user is created, and never again; one of a file is not judged by min_length and blocklist_file."`

	// File is the path the tenant was read from, Digest the SHA-256 of its bytes, its
	// variables and the secrets in files, in hexadecimal digits.
	File   string `yaml:"-"`
	Digest string `yaml:"-"`

	read *strict.File
}

// TenantAPI is an API as a tenant file has it.
type TenantAPI struct {
	Audience            string        `yaml:"audience" required:"true" example:"https://api.example.com/" doc:"The audience of its tokens."`
	Name                string        `yaml:"name" example:"Things" doc:"Name for people."`
	Scopes              []string      `yaml:"scopes" example:"[read:things, write:things]" doc:"The scopes that it knows."`
	AccessTokenLifetime time.Duration `yaml:"access_token_lifetime" example:"15m" doc:"How long its access tokens are good; else lifetimes.access_token."`
	MFAScopes           []string      `yaml:"mfa_scopes" example:"[write:things]" doc:"Scopes that demand a second factor, also on refresh."`
}

// TenantClient is a client as a tenant file has it.
type TenantClient struct {
	ID           string              `yaml:"id" required:"true" example:"spa" doc:"The client_id."`
	Name         string              `yaml:"name" example:"Example SPA" doc:"Name for people."`
	Type         string              `yaml:"type" required:"true" enum:"public|confidential" example:"public" doc:"A confidential client has a secret or keys, a public one has neither."`
	Secret       secret.Text         `yaml:"secret" example:"${WEB_SECRET}" doc:"Secret of a confidential client, at least 32 characters."`
	Secrets      []secret.Text       `yaml:"secrets" example:"[\"${NEW_SECRET}\", \"${OLD_SECRET}\"]" doc:"Instead of secret, while one replaces another: both are good."`
	JWKS         []TenantKey         `yaml:"jwks" doc:"Public keys of a confidential client that proves itself by assertions (private_key_jwt), at most eight."`
	JWKSFile     string              `yaml:"jwks_file" content:"true" example:"web.jwks.json" doc:"Instead of jwks: a file with a JSON Web Key Set."`
	FirstParty   bool                `yaml:"first_party" default:"off" doc:"The client may see passwords; needed for the password grants."`
	Grants       []string            `yaml:"grants" enum:"password|password-realm|refresh_token|authorization_code|client_credentials|mfa" example:"[password, refresh_token, mfa]" doc:"The grant types it may use; mfa means all MFA grants. A public client needs one; a confidential one without any introspects tokens and nothing more. authorization_code is not served by this version."`
	Origins      []string            `yaml:"origins" example:"[https://app.example.com]" doc:"Web origins that may call from browsers."`
	RedirectURIs []string            `yaml:"redirect_uris" example:"[https://app.example.com/callback]" doc:"Where authorization answers may go. Not served by this version."`
	MFA          record.MFAMode      `yaml:"mfa" default:"enrolled" enum:"required|enrolled|off" doc:"Who is asked for a second factor."`
	Audiences    map[string][]string `yaml:"audiences" example:"{https://api.example.com/: [read:things]}" doc:"The APIs it may have, each with its scopes (none listed: all). Left out: every API."`
	Binding      record.Binding      `yaml:"push_binding" enum:"plain|code_to_page|code_to_phone" doc:"What ties a push to a login of this client: see push.binding, which is the default. code_to_phone: the login shows a code that the phone's app asks for, which apps of the unmodified Guardian SDKs do not."`
	Leeway       time.Duration       `yaml:"refresh_leeway" default:"0s" doc:"How long after its first use a refresh token may be used again, at most five times; at most 1m. For clients that refresh in parallel. Otherwise a second use ends the session."`
	Disabled     bool                `yaml:"disabled" default:"off" doc:"The client is refused. Taking this out does not end it; clients enable does."`

	TrustedForwarder bool `yaml:"trusted_forwarder" default:"off" doc:"A confidential client that is believed about its user's address, in the header auth0-forwarded-for of a token request or a challenge."`
}

// TenantKey is a public key as a tenant file has it: a JSON Web Key (RFC 7517, 4; RFC
// 7518, 6), pasted as it is.
type TenantKey struct {
	Type      string `yaml:"kty" json:"kty" required:"true" enum:"EC|RSA" example:"EC" doc:"Type of the key."`
	ID        string `yaml:"kid" json:"kid,omitempty" example:"2026-01" doc:"Name of the key, if assertions name it."`
	Use       string `yaml:"use" json:"use,omitempty" enum:"sig" doc:"What it is for."`
	Algorithm string `yaml:"alg" json:"alg,omitempty" enum:"ES256|RS256" doc:"Algorithm. Left out: that of its type."`
	Curve     string `yaml:"crv" json:"crv,omitempty" enum:"P-256" doc:"Curve of an EC key."`
	X         string `yaml:"x" json:"x,omitempty" doc:"Of an EC key."`
	Y         string `yaml:"y" json:"y,omitempty" doc:"Of an EC key."`
	N         string `yaml:"n" json:"n,omitempty" doc:"Of an RSA key, at least 2048 bits."`
	E         string `yaml:"e" json:"e,omitempty" doc:"Of an RSA key."`
}

// TenantUser is a user as a tenant file has it.
type TenantUser struct {
	ID            string      `yaml:"id" required:"true" example:"auth0|alice" doc:"The subject of the user's tokens."`
	Username      string      `yaml:"username" example:"alice" doc:"A name to log in with."`
	Email         string      `yaml:"email" example:"alice@example.com" doc:"An address to log in with."`
	EmailVerified bool        `yaml:"email_verified" default:"off" doc:"The address is known to be the user's."`
	PhoneNumber   string      `yaml:"phone_number" example:"\"+4915550100042\"" doc:"Phone number in E.164 form."`
	Name          string      `yaml:"name" example:"Alice Example" doc:"Name for people."`
	Password      secret.Text `yaml:"password" example:"${ALICE_PASSWORD}" unset:"set it for the first start; once the user exists, remove this line" doc:"The first password, set at creation only and not judged by the rules of passwords. Take it out once the user exists. A new user without one cannot log in until users set-password."`
	PasswordHash  secret.Text `yaml:"password_hash" doc:"Instead of the password: a bcrypt, argon2 or PBKDF2 hash of it. It is upgraded at the first login."`
	Blocked       bool        `yaml:"blocked" default:"off" doc:"The user cannot log in. Taking this out does not end it; users enable does."`
}

// API returns the API as the gateway keeps it.
func (a TenantAPI) API() record.API {
	return record.API{
		Audience: a.Audience, Name: a.Name, Scopes: a.Scopes, MFAScopes: a.MFAScopes,
		AccessTokenLifetime: a.AccessTokenLifetime, ManagedBy: record.ManagedByFile,
	}
}

// Client returns the client as the gateway keeps it.
func (c TenantClient) Client() record.Client {
	out := record.Client{
		ID: c.ID, Name: c.Name, Confidential: c.Type == confidential, FirstParty: c.FirstParty,
		Grants: c.Grants, Origins: c.Origins, RedirectURIs: c.RedirectURIs, MFA: c.MFA,
		ManagedBy: record.ManagedByFile, Disabled: c.Disabled, Audiences: c.Audiences,
		TrustedForwarder: c.TrustedForwarder, RefreshLeeway: c.Leeway, Binding: c.Binding,
	}
	for _, s := range c.secrets() {
		out.SecretHashes = append(out.SecretHashes, secret.Hash(s))
	}
	out.Keys, _ = c.keys() // validated
	return out
}

// signs reports whether the client proves itself by assertions.
func (c TenantClient) signs() bool { return c.JWKSFile != "" || len(c.JWKS) > 0 }

// secrets are the live secrets, the newest first.
func (c TenantClient) secrets() []secret.Text {
	if c.Secret.Empty() {
		return c.Secrets
	}
	return append([]secret.Text{c.Secret}, c.Secrets...)
}

// keys is the JSON Web Key Set of a client, nil if it has none.
func (c TenantClient) keys() (json.RawMessage, error) {
	switch {
	case c.JWKSFile != "" && !json.Valid([]byte(c.JWKSFile)):
		return nil, errors.New("it is not JSON")
	case c.JWKSFile != "":
		return json.RawMessage(c.JWKSFile), nil
	case len(c.JWKS) == 0:
		return nil, nil
	}
	set, err := json.Marshal(map[string][]TenantKey{"keys": c.JWKS})
	if err != nil {
		return nil, fmt.Errorf("encode a key set: %w", err)
	}
	return set, nil
}
