package record

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// MFAMode says who is asked for a second factor at a client.
type MFAMode string

// The three modes. An enrolled authenticator is asked for in all but Off, and Off
// covers neither the /mfa/ audience nor mfa_scopes, acr_values and max_age.
const (
	MFARequired MFAMode = "required" // everybody; who has no factor must enroll one first
	MFAEnrolled MFAMode = "enrolled" // everybody who has a factor
	MFAOff      MFAMode = "off"
)

// Binding says how the answer on a second device is tied to the login that it is about
// (SP 800-63B, 3.1.3). The plain one is not: whoever taps approves.
type Binding string

// The bindings. In all but the plain one six digits go from one to the other.
const (
	BindingPlain   Binding = "plain"
	BindingToPage  Binding = "code_to_page"  // the device shows them, the login needs them
	BindingToPhone Binding = "code_to_phone" // the login shows them, the device's answer needs them
)

// ManagedBy says who may change a client, an API or a user, so that applying a file
// never undoes what came in another way.
type ManagedBy string

// The managers.
const (
	ManagedByFile ManagedBy = "file"
	ManagedByAPI  ManagedBy = "api" // the command line, and later the management API
)

// Way is the manager in the words of operators, who know no API that manages.
func (m ManagedBy) Way() string {
	if m == ManagedByAPI {
		return "command"
	}
	return string(m)
}

// Client is an OAuth client.
type Client struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Confidential bool      `json:"confidential"`
	FirstParty   bool      `json:"first_party"` // may use the password grants
	Grants       []string  `json:"grants"`      // grant types as the tenant file names them; "mfa" means every MFA grant
	Origins      []string  `json:"origins,omitempty"`
	RedirectURIs []string  `json:"redirect_uris,omitempty"`
	MFA          MFAMode   `json:"mfa"`
	ManagedBy    ManagedBy `json:"-"`
	Disabled     bool      `json:"-"`
	// TrustedForwarder is set for a server that says who its own caller is.
	TrustedForwarder bool `json:"trusted_forwarder,omitempty"`
	// RefreshLeeway is how long after its first use a refresh token may be used again.
	RefreshLeeway time.Duration `json:"refresh_leeway,omitempty"`
	// Binding is how pushes for its logins are tied to them; empty: as the gateway has it.
	Binding Binding `json:"push_binding,omitempty"`
	// Audiences are the APIs the client may have, each with the scopes it may have of
	// it (none listed: all). A nil map means every API, an empty one none.
	Audiences map[string][]string `json:"audiences,omitzero"`
	// Keys is a JSON Web Key Set of the public keys by which the client proves itself
	// (RFC 7523); empty if it does not.
	Keys json.RawMessage `json:"keys,omitempty"`
	// SecretHashes are secret.Hash of the live secrets; two while one is replaced.
	SecretHashes []string `json:"-"`
}

// Allows reports whether the client was registered with the grant.
func (c Client) Allows(grant string) bool { return slices.Contains(c.Grants, grant) }

// Forwards reports whether the client, once it is authenticated, is believed about the
// address of its end user. One without a secret can be anybody and never is (Auth0 MFA
// API, 1.3.5).
func (c Client) Forwards() bool { return c.Confidential && c.TrustedForwarder }

// API is a resource server, named by its audience.
type API struct {
	Audience            string        `json:"audience"`
	Name                string        `json:"name"`
	Scopes              []string      `json:"scopes"`
	MFAScopes           []string      `json:"mfa_scopes,omitempty"`            // each demands a second factor
	AccessTokenLifetime time.Duration `json:"access_token_lifetime,omitempty"` // 0: the profile's
	ManagedBy           ManagedBy     `json:"-"`
}

// Registry finds clients and APIs. It answers from memory; what it holds is at most
// a second older than the database.
type Registry interface {
	// Client returns a client, disabled or not, or fault.NotFound.
	Client(ctx context.Context, id string) (Client, error)
	// API returns an API by its exact audience, or fault.NotFound.
	API(ctx context.Context, audience string) (API, error)
}
