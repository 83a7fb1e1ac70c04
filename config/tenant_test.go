package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const hash = "$2a$10$ka955fo8ckIHxqOl4R5C..kjPozs62lvZvWkSndj0WIgl73vBZszS"

// ecKey is a public key as a tenant file has it.
const ecKey = "{kty: EC, crv: P-256, kid: k, x: MLqYw2x1d1oExW4gv-XuP36YKj0PIDjy8zavQj-7xgo, y: aKNSeEUOun7vGUCyHs4TYBoawKgLlyqPEfVK12Nbsho}"

// jsonKey is the same as JSON.
const jsonKey = `{"kty":"EC","kid":"k","crv":"P-256","x":"MLqYw2x1d1oExW4gv-XuP36YKj0PIDjy8zavQj-7xgo","y":"aKNSeEUOun7vGUCyHs4TYBoawKgLlyqPEfVK12Nbsho"}`

// long is a secret of the least length.
func long(letter string) string { return strings.Repeat(letter, 32) }

func TestBadTenants(t *testing.T) {
	for _, tc := range []bad{
		{"unknown key", "users:\n  - {id: a, username: a, pasword: x}\n", "3: users[0].pasword: unknown key; did you mean password?"},
		{"no id", "users:\n  - {username: a, password: x}\n", "3: users[0].id: is missing"},
		{"user id twice", "users:\n  - {id: a, username: a, password: x}\n  - {id: a, username: b, password: x}\n", "4: users[1].id: this user id stands at"},
		{"name twice", "users:\n  - {id: a, username: a, password: x}\n  - {id: b, username: A, password: x}\n", "4: users[1].username: this user name or e-mail address stands"},
		{"address twice", "users: [{id: a, email: a@b.test, password: x}, {id: b, email: A@B.test, password: x}]\n", "2: users[1].email: this user name or e-mail address stands"},
		{"another's address", "users:\n  - {id: a, email: a@b.test, password: x}\n  - {id: b, username: a@b.test, password: x}\n", "4: users[1].username: this user name or e-mail address stands"},
		{"no name", "users:\n  - {id: a, password: x}\n", "3: users[0].username: is missing"},
		{"address", "users:\n  - {id: a, email: \"A <a@b.test>\", password: x}\n", "3: users[0].email: must be an address alone"},
		{"verified nothing", "users:\n  - {id: a, username: a, email_verified: true, password: x}\n", "3: users[0].email_verified: there is no email"},
		{"phone", "users:\n  - {id: a, username: a, phone_number: \"0155\", password: x}\n", "3: users[0].phone_number: must be in E.164 form"},
		{"same in full width", "users:\n  - {id: a, username: bob, password: x}\n  - {id: b, username: \uff22\uff4f\uff42, password: x}\n", "4: users[1].username: this user name or e-mail address stands"},
		{"folded", "users:\n  - {id: a, username: strasse, password: x}\n  - {id: b, username: straße, password: x}\n", "4: users[1].username: this user name or e-mail address stands"},
		{"unseen", "users:\n  - {id: a, username: \"bob\\u200b\", password: x}\n", "3: users[0].username: names nobody"},
		{"blank", "users:\n  - {id: a, username: \" \", password: x}\n", "3: users[0].username: names nobody"},
		{"empty password", "users:\n  - {id: a, username: a, password: \"\"}\n", "3: users[0].password: is empty"},
		{"empty hash", "users:\n  - {id: a, username: a, password_hash: \"\"}\n", "3: users[0].password_hash: is empty"},
		{"two passwords", "users:\n  - {id: a, username: a, password: x, password_hash: " + hash + "}\n", "3: users[0].password_hash: there is a password as well"},
		{"hash", "users:\n  - {id: a, username: a, password_hash: $1$md5}\n", "3: users[0].password_hash: is of no known form"},
		{"client twice", "clients:\n  - {id: a, type: public, grants: [refresh_token]}\n  - {id: a, type: public, grants: [refresh_token]}\n", "4: clients[1].id: this client id stands"},
		{"leeway", "clients:\n  - {id: a, type: public, grants: [refresh_token], refresh_leeway: 61s}\n", "3: clients[0].refresh_leeway: must be between 0s and 1m"},
		{"type", "clients:\n  - {id: a, type: private, grants: [refresh_token]}\n", "3: clients[0].type: must be one of public, confidential"},
		{"grant", "clients:\n  - {id: a, type: public, grants: [pasword]}\n", "3: clients[0].grants[0]: must be one of password, "},
		{"no grant", "clients:\n  - {id: a, type: public, grants: []}\n", "3: clients[0].grants: is missing; set it, as in grants: [password, refresh_token, mfa]"},
		{"first party", "clients:\n  - {id: a, type: public, grants: [password, mfa]}\n", "3: clients[0].first_party: is needed for the password grants"},
		{"no secret", "clients:\n  - {id: a, type: confidential, grants: [refresh_token]}\n", "3: clients[0].secret: is missing"},
		{"weak secret", "clients:\n  - {id: a, type: confidential, secret: short, grants: [refresh_token]}\n", "3: clients[0].secret: is weak"},
		{"one secret too many", "clients:\n  - {id: a, type: confidential, secrets: [" + long("a") + ", " + long("b") + ", " + long("c") + "], grants: [refresh_token]}\n", "3: clients[0].secrets[2]: is one too many"},
		{"two secrets too many", "clients:\n  - {id: a, type: confidential, secret: " + long("a") + ", secrets: [" + long("b") + ", " + long("c") + "], grants: [refresh_token]}\n", "3: clients[0].secrets[1]: is one too many"},
		{"weak second secret", "clients:\n  - {id: a, type: confidential, secrets: [" + long("a") + ", short], grants: [refresh_token]}\n", "3: clients[0].secrets[1]: is weak"},
		{"empty second secret", "clients:\n  - {id: a, type: confidential, secrets: [" + long("a") + ", \"\"], grants: [refresh_token]}\n", "3: clients[0].secrets[1]: is weak"},
		{"one secret twice", "clients:\n  - {id: a, type: confidential, secret: " + long("a") + ", secrets: [" + long("a") + "], grants: [refresh_token]}\n", "3: clients[0].secrets[0]: stands here already"},
		{"public secrets", "clients:\n  - {id: a, type: public, secrets: [" + long("a") + "], grants: [refresh_token]}\n", "3: clients[0].secrets[0]: a public client"},
		{"public keys", "clients:\n  - {id: a, type: public, jwks: [" + ecKey + "], grants: [refresh_token]}\n", "3: clients[0].jwks: a public client"},
		{"private key", "clients:\n  - {id: a, type: confidential, jwks: [{kty: EC, crv: P-256, x: A, y: B, d: C}], grants: [refresh_token]}\n", "3: clients[0].jwks[0].d: unknown key"},
		{"no point", "clients:\n  - {id: a, type: confidential, jwks: [{kty: EC, crv: P-256, x: AA, y: AA}], grants: [refresh_token]}\n", "3: clients[0].jwks: cannot be used: key 1 is"},
		{"symmetric key", "clients:\n  - {id: a, type: confidential, jwks: [{kty: oct}], grants: [refresh_token]}\n", "3: clients[0].jwks[0].kty: must be one of EC, RSA"},
		{"another algorithm", "clients:\n  - {id: a, type: confidential, jwks: [{kty: RSA, n: AQAB, e: AQAB, alg: PS256}], grants: [refresh_token]}\n", "3: clients[0].jwks[0].alg: must be one of ES256, RS256"},
		{"short RSA", "clients:\n  - {id: a, type: confidential, jwks: [{kty: RSA, n: AQAB, e: AQAB}], grants: [refresh_token]}\n", "3: clients[0].jwks: cannot be used: key 1 is no public key"},
		{"keys as section", "clients:\n  - {id: a, type: confidential, jwks: {keys: []}, grants: [refresh_token]}\n", "3: clients[0].jwks: must be a list"},
		{"no key at all", "clients:\n  - {id: a, type: confidential, jwks: [], grants: [refresh_token]}\n", "3: clients[0].secret: is missing"},
		{"no key file", "clients:\n  - {id: a, type: confidential, jwks_file: none, grants: [refresh_token]}\n", "3: clients[0].jwks_file: there is no file"},
		{"a key file that is none", "clients:\n  - {id: a, type: confidential, jwks_file: t.yaml, grants: [refresh_token]}\n", "3: clients[0].jwks_file: cannot be used: it is not JSON"},
		{"a client with a user's subject", "users:\n  - {id: a, username: b, password: x}\nclients:\n  - {id: a, type: confidential, secret: " + long("a") + ", grants: [client_credentials]}\n", "3: users[0].id: this subject of tokens stands"},
		{"a user with a client's subject", "users:\n  - {id: a@clients, username: a, password: x}\n", "3: users[0].id: must not end in @clients"},
		{"public secret", "clients:\n  - {id: a, type: public, secret: x, grants: [refresh_token]}\n", "3: clients[0].secret: a public client"},
		{"public machine", "clients:\n  - {id: a, type: public, grants: [client_credentials]}\n", "3: clients[0].grants: client_credentials is for confidential"},
		{"no mfa grant", "clients:\n  - id: a\n    type: public\n    first_party: true\n    grants: [password]\n", "6: clients[0].grants: mfa is missing, and with mfa: enrolled who is asked"},
		{"mode", "clients:\n  - {id: a, type: public, grants: [refresh_token], mfa: false}\n", "3: clients[0].mfa: must be one of required, enrolled, off"},
		{"origin path", "clients:\n  - {id: a, type: public, grants: [refresh_token], origins: [\"https://a.test/\"]}\n", "3: clients[0].origins[0]: must be scheme://host"},
		{"public forwarder", "clients:\n  - {id: a, type: public, grants: [refresh_token], trusted_forwarder: true}\n", "3: clients[0].trusted_forwarder: is for confidential clients"},
		{"origin star", "clients:\n  - {id: a, type: public, grants: [refresh_token], origins: [\"*\"]}\n", "3: clients[0].origins[0]: must be scheme://host"},
		{"redirect", "clients:\n  - {id: a, type: public, grants: [refresh_token], redirect_uris: [\"http://a.test/\"]}\n", "3: clients[0].redirect_uris[0]: must begin with https://"},
		{"no redirect", "clients:\n  - {id: a, type: public, grants: [authorization_code, mfa]}\n", "3: clients[0].redirect_uris: is missing"},
		{"audience twice", "apis:\n  - {audience: a}\n  - {audience: a}\n", "4: apis[1].audience: this audience stands"},
		{"mfa scope", "apis:\n  - {audience: a, scopes: [r], mfa_scopes: [w]}\n", "3: apis[0].mfa_scopes[0]: is not among the scopes"},
		{"scope", "apis:\n  - {audience: a, scopes: [\"r w\"]}\n", "3: apis[0].scopes[0]: must be visible characters without spaces"},
		{"lifetime", "apis:\n  - {audience: a, access_token_lifetime: 48h}\n", "3: apis[0].access_token_lifetime: must be between 1s and 24h"},
		{"granted scope", "apis: [{audience: a, scopes: [r]}]\nclients:\n  - {id: a, type: public, grants: [refresh_token], audiences: {a: [w]}}\n", "4: clients[0].audiences[a][0]: is not among the scopes"},
		{"audiences as list", "clients:\n  - {id: a, type: public, grants: [refresh_token], audiences: [a]}\n", "3: clients[0].audiences: must be a mapping"},
		{"secret twice", "clients:\n  - id: a\n    secret: " + strings.Repeat("x", 32) + "\n    secret_file: y\n    type: confidential\n    grants: [refresh_token]\n", "5: clients[0].secret_file: is set for the second time"},
		{"no secret file", "clients:\n  - {id: a, secret_file: none, type: confidential, grants: [refresh_token]}\n", "3: clients[0].secret_file: there is no file"},
		{"list of values", "users: [a]\n", "2: users[0]: must be a section"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(folder(t, map[string]string{"t.yaml": "name: T\n" + tc.text}), "t.yaml")
			_, err := config.LoadTenant(file, environment(nil))
			expect(t, file, err, tc.want)
			if strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("one mistake, several problems:\n%v", err)
			}
		})
	}
}

func TestTenantAgainstConfiguration(t *testing.T) {
	dir := folder(t, map[string]string{
		"c.yaml": minimal,
		"t.yaml": `name: T
apis:
  - {audience: https://login.example.test/mfa/}
  - {audience: https://login.example.test/userinfo}
  - {audience: https://login.example.test/mfa}
  - {audience: https://api.example.test/, access_token_lifetime: 15m}
  - {audience: mfa}
clients:
  - id: a
    type: public
    first_party: true
    grants: [password, mfa]
    origins: [http://localhost:3000]
`})
	file := filepath.Join(dir, "t.yaml")
	tenant, err := config.LoadTenant(file, environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "c.yaml"), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second check finds the same, not more
		err = tenant.Against(c)
		expect(t, file, err, "3: apis[0].audience: is an audience of the gateway itself")
		expect(t, file, err, "4: apis[1].audience: is an audience of the gateway itself")
		expect(t, file, err, "5: apis[2].audience: is an audience of the gateway itself")
		if strings.Contains(err.Error(), "apis[4]") {
			t.Errorf("an audience of another name is refused: %v", err)
		}
	}
	c.Server.PublicURL = "https://other.test/"
	if err := tenant.Against(c); err != nil {
		t.Errorf("another gateway's audiences are refused: %v", err)
	}
	c.Profile, c.Lifetimes.AccessToken = config.Strict, 5*time.Minute
	err = tenant.Against(c)
	expect(t, file, err, "6: apis[3].access_token_lifetime: profile strict takes at most 5m")
	expect(t, file, err, "12: clients[0].grants: profile strict refuses the password grants")
	expect(t, file, err, "13: clients[0].origins: profile strict refuses calls from browsers")
}

// C-22: where a password can stand alone it has 15 characters, in all profiles but Auth0's.
func TestShortPasswordsStandNotAlone(t *testing.T) {
	for _, tc := range []struct {
		profile, mfa, grants string
		length               int
		refused              bool
	}{
		{"recommended", "required", "[password, mfa]", 8, false},
		{"recommended", "enrolled", "[password, mfa]", 15, false},
		{"recommended", "enrolled", "[password, mfa]", 14, true},
		{"recommended", "off", "[password-realm]", 8, true},
		{"recommended", "enrolled", "[refresh_token]", 8, false},
		{"nist", "enrolled", "[password, mfa]", 8, true},
		{"nist", "required", "[password, mfa]", 8, false},
		{"auth0-compat", "off", "[password]", 8, false},
	} {
		dir := folder(t, map[string]string{
			"c.yaml": minimal + fmt.Sprintf("profile: %s\npasswords: {min_length: %d}\n", tc.profile, tc.length),
			"t.yaml": "name: T\nclients:\n  - id: a\n    type: public\n    first_party: true\n    grants: " + tc.grants + "\n    mfa: " + tc.mfa + "\n",
		})
		tenant, err := config.LoadTenant(filepath.Join(dir, "t.yaml"), environment(nil))
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(filepath.Join(dir, "c.yaml"), environment(nil))
		if err != nil {
			t.Fatal(err)
		}
		switch err := tenant.Against(c); {
		case tc.refused:
			expect(t, filepath.Join(dir, "t.yaml"), err, fmt.Sprintf("7: clients[0].mfa: profile %s takes passwords.min_length %d only where every login has a second factor", tc.profile, tc.length))
		case err != nil:
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// A user without a password is one whose line was taken out after the first start, or
// one that an operator gives a password.
func TestUserWithoutPassword(t *testing.T) {
	dir := folder(t, map[string]string{"t.yaml": "name: T\nusers: [{id: a, username: a}]\n"})
	tenant, err := config.LoadTenant(filepath.Join(dir, "t.yaml"), environment(nil))
	if err != nil || !tenant.Users[0].Password.Empty() || !tenant.Users[0].PasswordHash.Empty() {
		t.Errorf("%+v, %v", tenant, err)
	}
}

func TestTenantRecords(t *testing.T) {
	file, vars := fixture(t)
	_, tenants, err := config.Check(file, environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	spa, web, legacy, service := tenants[0].Clients[0].Client(), tenants[0].Clients[1].Client(), tenants[0].Clients[2].Client(), tenants[0].Clients[3].Client()
	if want := (record.Client{
		ID: "spa", Name: "Example SPA", FirstParty: true, MFA: record.MFAEnrolled, ManagedBy: record.ManagedByFile,
		Grants:  []string{"password", "password-realm", "refresh_token", "authorization_code", "mfa"},
		Origins: []string{"https://app.example.test"}, RedirectURIs: []string{"https://app.example.test/callback"},
	}); !reflect.DeepEqual(spa, want) {
		t.Errorf("spa = %+v", spa)
	}
	if !web.Confidential || len(web.SecretHashes) != 1 || web.MFA != record.MFARequired || legacy.MFA != record.MFAOff || service.MFA != record.MFAEnrolled {
		t.Errorf("web = %+v, legacy = %+v, service = %+v", web, legacy, service)
	}
	if api := tenants[0].APIs[0].API(); api.AccessTokenLifetime != 15*time.Minute || !reflect.DeepEqual(api.MFAScopes, []string{"write:things"}) {
		t.Errorf("api = %+v", api)
	}
	if bob := tenants[0].Users[1]; bob.PasswordHash.Reveal() != hash || bob.ID != "auth0|bob" || !bob.EmailVerified {
		t.Errorf("bob = %+v", bob)
	}
}

func TestAudiencesOfClients(t *testing.T) {
	dir := folder(t, map[string]string{"t.yaml": `name: T
clients:
  - {id: a, type: public, grants: [refresh_token]}
  - {id: b, type: public, grants: [refresh_token], audiences: {}}
  - {id: c, type: public, grants: [refresh_token], audiences: {"https://x.test/": [r], y: []}, disabled: true}
`})
	tenant, err := config.LoadTenant(filepath.Join(dir, "t.yaml"), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := tenant.Clients[0].Client(), tenant.Clients[1].Client(), tenant.Clients[2].Client()
	if a.Audiences != nil || b.Audiences == nil || len(b.Audiences) != 0 || len(c.Audiences) != 2 || !c.Disabled {
		t.Errorf("a: %v, b: %v, c: %+v", a.Audiences, b.Audiences, c)
	}
}

func TestSecretsAndKeysOfClients(t *testing.T) {
	file := "{\"keys\": [" + jsonKey + "]}\n"
	dir := folder(t, map[string]string{"keys.json": file, "t.yaml": `name: T
clients:
  - {id: a, type: confidential, grants: [refresh_token], secrets: ["${NEW}", ` + long("b") + `]}
  - {id: b, type: confidential, grants: [refresh_token], secret: ` + long("c") + `, secrets: [` + long("d") + `]}
  - {id: c, type: confidential, grants: [refresh_token], jwks: [` + ecKey + `]}
  - {id: d, type: confidential, grants: [refresh_token], jwks_file: keys.json, secret: ` + long("e") + `}
  - {id: e, type: confidential, grants: [refresh_token], jwks: [` + jsonKey + `]}
`})
	load := func() *config.Tenant {
		t.Helper()
		tenant, err := config.LoadTenant(filepath.Join(dir, "t.yaml"), environment(map[string]string{"NEW": long("a")}))
		if err != nil {
			t.Fatal(err)
		}
		return tenant
	}
	tenant := load()
	for i, want := range []struct{ secrets, keys string }{
		{"ab", ""}, {"cd", ""}, {"", `{"keys":[` + jsonKey + `]}`}, {"e", strings.TrimSpace(file)}, {"", `{"keys":[` + jsonKey + `]}`},
	} {
		var hashes []string
		for _, letter := range want.secrets {
			hashes = append(hashes, secret.Hash(secret.New(long(string(letter)))))
		}
		if c := tenant.Clients[i].Client(); !reflect.DeepEqual(c.SecretHashes, hashes) || string(c.Keys) != want.keys {
			t.Errorf("client %s: %v, %s", c.ID, c.SecretHashes, c.Keys)
		}
	}
	// A key that is replaced in its file is applied, though the tenant file is the same.
	if err := os.WriteFile(filepath.Join(dir, "keys.json"), []byte(strings.Replace(file, `"kid":"k"`, `"kid":"l"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if load().Digest == tenant.Digest {
		t.Error("the digest does not follow the keys")
	}
}

func TestSizeIsLimited(t *testing.T) {
	dir := folder(t, map[string]string{"t.yaml": "name: T\n#" + strings.Repeat("x", 4<<20)})
	_, err := config.LoadTenant(filepath.Join(dir, "t.yaml"), environment(nil))
	var problems config.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "is larger than 4096 KiB") {
		t.Errorf("err = %v", err)
	}
}
