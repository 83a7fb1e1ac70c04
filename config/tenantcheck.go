package config

import (
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/signer"
)

// Words of a tenant file.
const (
	confidential = "confidential"
	secretLength = 32 // characters of a client secret, so that a fast hash protects it
	liveSecrets  = 2  // of a client, while one replaces the other
	ofClients    = "@clients"
	longestID    = 255
)

var (
	// userGrants begin a login; each needs somebody to answer for.
	userGrants     = []string{"password", "password-realm", "authorization_code"}
	passwordGrants = []string{"password", "password-realm"}

	scopeToken  = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`) // RFC 6749, 3.3
	visibleText = regexp.MustCompile(`^[\x20-\x7E]+$`)              // RFC 6749, appendix A.1
	phoneNumber = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)        // E.164
)

// places remembers what must be unique over all tenant files, and where it stands.
type places map[string]place

type place struct{ where, owner string }

// claim reports a name that somebody else has already.
func (p places) claim(r *strict.File, kind, name, path string) {
	if name == "" || !r.Sound(path) {
		return
	}
	section, _, _ := strings.Cut(path, ".")
	mine := place{where: fmt.Sprintf("%s:%d", r.Path(), r.Line(path)), owner: r.Path() + "\x00" + section}
	if first, taken := p[kind+name]; taken && first.owner != mine.owner {
		r.Object(path, fmt.Sprintf("this %s stands at %s already; it must be unique", kind, first.where))
		return
	}
	p[kind+name] = mine
}

func (t *Tenant) validate(seen places) {
	for i, a := range t.APIs {
		t.validateAPI(a, fmt.Sprintf("apis[%d]", i), seen)
	}
	for i, c := range t.Clients {
		t.validateClient(c, fmt.Sprintf("clients[%d]", i), seen)
	}
	for i, u := range t.Users {
		t.validateUser(u, fmt.Sprintf("users[%d]", i), seen)
	}
}

func (t *Tenant) validateAPI(a TenantAPI, at string, seen places) {
	seen.claim(t.read, "audience", a.Audience, at+".audience")
	if !scopeToken.MatchString(a.Audience) {
		t.read.Object(at+".audience", "must be visible characters without spaces, a URL for example")
	}
	for i, s := range a.Scopes {
		if !scopeToken.MatchString(s) {
			t.read.Object(fmt.Sprintf("%s.scopes[%d]", at, i), "must be visible characters without spaces")
		}
	}
	for i, s := range a.MFAScopes {
		if !slices.Contains(a.Scopes, s) {
			t.read.Object(fmt.Sprintf("%s.mfa_scopes[%d]", at, i), "is not among the scopes of this API; add it there or remove it here")
		}
	}
	if life := a.AccessTokenLifetime; life != 0 && (life < time.Second || life > longestAccess) {
		t.read.Object(at+".access_token_lifetime", "must be between 1s and "+strict.Short(longestAccess))
	}
}

func (t *Tenant) validateClient(c TenantClient, at string, seen places) {
	seen.claim(t.read, "client id", c.ID, at+".id")
	if !visibleText.MatchString(c.ID) || len(c.ID) > longestID {
		t.read.Object(at+".id", "must be printable ASCII of at most 255 characters")
	}
	t.validateSecrets(c, at)
	t.validateKeys(c, at)
	t.validateGrants(c, at)
	if slices.Contains(c.Grants, "client_credentials") {
		seen.claim(t.read, "subject of tokens", c.ID, at+".id")
	}
	if c.TrustedForwarder && c.Type != confidential {
		t.read.Object(at+".trusted_forwarder", "is for confidential clients; anybody can call as a public one")
	}
	if c.Leeway < 0 || c.Leeway > time.Minute {
		t.read.Object(at+".refresh_leeway", "must be between 0s and 1m; whoever steals a refresh token has as long")
	}
	for i, o := range c.Origins {
		if !isOrigin(o) {
			t.read.Object(fmt.Sprintf("%s.origins[%d]", at, i), "must be scheme://host or scheme://host:port in small letters, without a path or a slash at the end")
		}
	}
	for i, u := range c.RedirectURIs {
		if err := httpsOrLoopback(u); err != nil {
			t.read.Object(fmt.Sprintf("%s.redirect_uris[%d]", at, i), err.Error())
		}
	}
	for _, audience := range slices.Sorted(maps.Keys(c.Audiences)) {
		t.validateGranted(audience, c.Audiences[audience], at)
	}
}

func (t *Tenant) validateSecrets(c TenantClient, at string) {
	all := c.secrets()
	where := func(i int) string {
		if !c.Secret.Empty() {
			i--
		}
		if i < 0 {
			return at + ".secret"
		}
		return fmt.Sprintf("%s.secrets[%d]", at, i)
	}
	switch {
	case c.Type != confidential && len(all) > 0:
		t.read.Object(where(0), "a public client cannot keep a secret; remove it, or say type: confidential")
		return
	case c.Type == confidential && len(all) == 0 && !c.signs():
		if !t.read.Sound(at+".jwks") || !t.read.Sound(at+".jwks_file") {
			return // it has keys, which could not be read
		}
		t.read.Object(at+".secret", "is missing; a confidential client needs one of at least 32 characters, from secret or secret_file, or keys, from jwks or jwks_file")
	case len(all) > liveSecrets:
		t.read.Object(where(liveSecrets), "is one too many; at most two secrets are good at a time, the new one and the old one")
	}
	for i, s := range all {
		if len([]rune(s.Reveal())) < secretLength {
			t.read.Object(where(i), "is weak; it must be long and random, at least 32 characters")
		}
		if slices.ContainsFunc(all[:i], s.Equal) {
			t.read.Object(where(i), "stands here already; remove it")
		}
	}
}

func (t *Tenant) validateKeys(c TenantClient, at string) {
	name := at + ".jwks"
	if c.JWKSFile != "" {
		name = at + ".jwks_file"
	}
	switch {
	case !c.signs():
		return
	case c.Type != confidential:
		t.read.Object(name, "a public client cannot keep a key; remove it, or say type: confidential")
		return
	case c.JWKSFile != "" && len(c.JWKS) > 0:
		t.read.Object(name, "there is jwks as well; keep one of the two")
		return
	}
	set, err := c.keys()
	if err == nil {
		_, err = signer.ParseForeignKeys(set)
	}
	if err != nil {
		t.read.Object(name, "cannot be used: "+err.Error())
	}
}

func (t *Tenant) validateGrants(c TenantClient, at string) {
	has := func(grants ...string) bool {
		return slices.ContainsFunc(grants, func(g string) bool { return slices.Contains(c.Grants, g) })
	}
	if len(c.Grants) == 0 && c.Type != confidential {
		t.read.Object(at+".grants", "is missing; set it, as in grants: [password, refresh_token, mfa]; only a confidential client, which can introspect tokens, may do without")
	}
	if has(passwordGrants...) && !c.FirstParty {
		t.read.Object(at+".first_party", "is needed for the password grants, since only the tenant's own applications may see passwords; say first_party: true")
	}
	if has("client_credentials") && c.Type != confidential {
		t.read.Object(at+".grants", "client_credentials is for confidential clients; remove it, or say type: confidential")
	}
	if has("authorization_code") && len(c.RedirectURIs) == 0 {
		t.read.Object(at+".redirect_uris", "is missing; authorization_code needs at least one")
	}
	if has(userGrants...) && c.MFA != record.MFAOff && !has("mfa") {
		t.read.Object(at+".grants", fmt.Sprintf("mfa is missing, and with mfa: %s who is asked for a second factor could never answer; add it, or say mfa: off", c.MFA))
	}
}

// validateGranted checks the scopes a client may have of an API of this file. An API
// that is not in it may be known otherwise.
func (t *Tenant) validateGranted(audience string, scopes []string, at string) {
	i := slices.IndexFunc(t.APIs, func(a TenantAPI) bool { return a.Audience == audience })
	if i < 0 {
		return
	}
	for j, s := range scopes {
		if !slices.Contains(t.APIs[i].Scopes, s) {
			t.read.Object(fmt.Sprintf("%s.audiences[%s][%d]", at, audience, j), "is not among the scopes of this API")
		}
	}
}

func (t *Tenant) validateUser(u TenantUser, at string, seen places) {
	t.validateSubject(u.ID, at+".id", seen)
	t.claimName(u.Username, at+".username", seen)
	t.claimName(u.Email, at+".email", seen)
	if u.Username == "" && u.Email == "" {
		t.read.Object(at+".username", "is missing; a user needs a username or an email to log in with")
	}
	if a, err := mail.ParseAddress(u.Email); u.Email != "" && (err != nil || a.Address != u.Email) {
		t.read.Object(at+".email", "must be an address alone, as in alice@example.com")
	}
	if u.EmailVerified && u.Email == "" {
		t.read.Object(at+".email_verified", "there is no email that could be verified; add one or remove this")
	}
	if u.PhoneNumber != "" && !phoneNumber.MatchString(u.PhoneNumber) {
		t.read.Object(at+".phone_number", "must be in E.164 form, as in \"+4915550100042\"")
	}
	t.validatePassword(u, at)
}

// claimName reports a name or address to log in with that is somebody's already, or
// that nobody could log in with. One can log in with either, so that they share their
// names, in the form that the database keeps.
func (t *Tenant) claimName(text, path string, seen places) {
	form, ok := identity.Normalize(text)
	if text != "" && !ok {
		t.read.Object(path, "names nobody: it is blank, longer than 512 bytes, or holds characters that cannot be seen")
	}
	seen.claim(t.read, "user name or e-mail address", form, path)
}

// validatePassword lets a user have neither password nor hash: who exists keeps what
// they have, and somebody new gets one from an operator.
func (t *Tenant) validatePassword(u TenantUser, at string) {
	_, stands := t.read.Stands(at + ".password")
	_, hashed := t.read.Stands(at + ".password_hash")
	switch {
	case stands && u.Password.Empty():
		t.read.Object(at+".password", "is empty; give it a value, or remove the line once the user exists")
	case hashed && u.PasswordHash.Empty():
		t.read.Object(at+".password_hash", "is empty; give it a value, or remove the line once the user exists")
	case !u.Password.Empty() && !u.PasswordHash.Empty():
		t.read.Object(at+".password_hash", "there is a password as well; keep one of the two")
	case hashed && !identity.Known(u.PasswordHash.Reveal()):
		t.read.Object(at+".password_hash", "is of no known form: bcrypt ($2a$, $2b$, $2y$), $argon2id$, $argon2i$, $pbkdf2-sha256$, $pbkdf2-sha512$ or pbkdf2_sha256$")
	}
}

// validateSubject checks the id of a user, which must not be another's, nor look like
// that of a client that acts for itself (RFC 9700, 4.15).
func (t *Tenant) validateSubject(id, path string, seen places) {
	seen.claim(t.read, "user id", id, path)
	seen.claim(t.read, "subject of tokens", id, path)
	if !visibleText.MatchString(id) || len(id) > longestID {
		t.read.Object(path, "must be printable ASCII of at most 255 characters")
	}
	if strings.HasSuffix(id, ofClients) {
		t.read.Object(path, "must not end in "+ofClients+"; so do the subjects of clients")
	}
}

func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http") &&
		text == strings.ToLower(u.Scheme+"://"+u.Host)
}

// sameAs reports a name that is not the first tenant file's: one issuer is one tenant.
func (t *Tenant) sameAs(first *Tenant) {
	if t.Name != first.Name && first.Name != "" && t.Name != "" {
		t.read.Object("name", fmt.Sprintf("%s says %q; one issuer serves one tenant, so that all its files give it the same name", first.File, first.Name))
	}
}
