package config

import (
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
	Users   []TenantUser   `yaml:"users" doc:"The users. A password is set when the user is created, and never again."`

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
	Type         string              `yaml:"type" required:"true" enum:"public|confidential" example:"public" doc:"A confidential client has a secret, a public one has none."`
	Secret       secret.Text         `yaml:"secret" example:"${WEB_SECRET}" doc:"Secret of a confidential client, at least 32 characters."`
	FirstParty   bool                `yaml:"first_party" default:"off" doc:"The client may see passwords; needed for the password grants."`
	Grants       []string            `yaml:"grants" required:"true" enum:"password|password-realm|refresh_token|authorization_code|client_credentials|mfa" example:"[password, refresh_token, mfa]" doc:"The grant types it may use; mfa means all MFA grants."`
	Origins      []string            `yaml:"origins" example:"[https://app.example.com]" doc:"Web origins that may call from browsers."`
	RedirectURIs []string            `yaml:"redirect_uris" example:"[https://app.example.com/callback]" doc:"Where authorization answers may go."`
	MFA          record.MFAMode      `yaml:"mfa" default:"enrolled" enum:"required|enrolled|off" doc:"Who is asked for a second factor."`
	Audiences    map[string][]string `yaml:"audiences" example:"{https://api.example.com/: [read:things]}" doc:"The APIs it may have, each with its scopes (none listed: all). Left out: every API."`
	Disabled     bool                `yaml:"disabled" default:"off" doc:"The client is refused."`

	TrustedForwarder bool `yaml:"trusted_forwarder" default:"off" doc:"A confidential client that is believed about its user's address, in the header auth0-forwarded-for of a token request."`
}

// TenantUser is a user as a tenant file has it.
type TenantUser struct {
	ID            string      `yaml:"id" required:"true" example:"auth0|alice" doc:"The subject of the user's tokens."`
	Username      string      `yaml:"username" example:"alice" doc:"A name to log in with."`
	Email         string      `yaml:"email" example:"alice@example.com" doc:"An address to log in with."`
	EmailVerified bool        `yaml:"email_verified" default:"off" doc:"The address is known to be the user's."`
	PhoneNumber   string      `yaml:"phone_number" example:"\"+4915550100042\"" doc:"Phone number in E.164 form."`
	Name          string      `yaml:"name" example:"Alice Example" doc:"Name for people."`
	Password      secret.Text `yaml:"password" example:"${ALICE_PASSWORD}" doc:"The first password, set at creation only."`
	PasswordHash  secret.Text `yaml:"password_hash" doc:"Instead of the password: a bcrypt, argon2 or PBKDF2 hash of it. It is upgraded at the first login."`
	Blocked       bool        `yaml:"blocked" default:"off" doc:"The user cannot log in."`
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
		TrustedForwarder: c.TrustedForwarder,
	}
	if !c.Secret.Empty() {
		out.SecretHashes = []string{secret.Hash(c.Secret)}
	}
	return out
}
