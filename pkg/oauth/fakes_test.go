package oauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

const (
	issuerURL = "https://login.example.test/"
	things    = "https://api.example.test/"
	manage    = issuerURL + "mfa/"
	userinfo  = issuerURL + "userinfo"
)

var (
	noon    = time.Date(2026, 3, 4, 12, 0, 0, 123_456_789, time.UTC)
	errDown = errors.New("connection refused")
)

// keys is a signer.KeyStore in memory.
type keys struct{ all []signer.Key }

func (k *keys) SigningKeys(context.Context) ([]signer.Key, error) { return k.all, nil }

func (k *keys) AddFirstSigningKey(_ context.Context, key signer.Key) (bool, error) {
	k.all = append(k.all, key)
	return true, nil
}

// newSigner makes keys once for all tests: an RSA key takes its time.
var newSigner = sync.OnceValue(func() *signer.Signer {
	s := signer.New(signer.Options{Store: &keys{}, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	if err := s.EnsureKeys(context.Background()); err != nil {
		panic(err)
	}
	return s
})

// house keeps what the issuer works with, in memory.
type house struct {
	clients map[string]record.Client
	apis    map[string]record.API
	users   map[string]identity.User
	issued  []record.Issuance
	revoked map[string]bool
	wishes  []record.Revocation
	now     time.Time

	registryDown, usersDown, storeDown error
}

var (
	_ record.Registry        = (*house)(nil)
	_ record.Store           = (*house)(nil)
	_ record.Revoker         = (*house)(nil)
	_ Users                  = (*house)(nil)
	_ mfa.AuthenticatorStore = (*house)(nil)
)

func (h *house) Client(_ context.Context, id string) (record.Client, error) {
	c, ok := h.clients[id]
	if h.registryDown == nil && !ok {
		return c, fault.NotFound
	}
	return c, h.registryDown
}

func (h *house) API(_ context.Context, audience string) (record.API, error) {
	a, ok := h.apis[audience]
	if h.registryDown == nil && !ok {
		return a, fault.NotFound
	}
	return a, h.registryDown
}

func (h *house) User(_ context.Context, id string) (identity.User, error) {
	u, ok := h.users[id]
	if h.usersDown == nil && !ok {
		return u, fault.NotFound
	}
	return u, h.usersDown
}

func (h *house) Issue(_ context.Context, i record.Issuance) error {
	if h.storeDown == nil {
		h.issued = append(h.issued, i)
	}
	return h.storeDown
}

func (h *house) AccessTokenActive(_ context.Context, id string, _ time.Time) (bool, error) {
	known := slices.ContainsFunc(h.issued, func(i record.Issuance) bool { return i.Access.ID == id })
	return known && !h.revoked[id], h.storeDown
}

// Revoke notes the wish and ends the access token; whose it is, databases know.
func (h *house) Revoke(_ context.Context, r record.Revocation) error {
	h.wishes = append(h.wishes, r)
	h.revoked[r.Access] = true
	return h.storeDown
}

// Nobody has an authenticator here, so a gate that demands none clears every login.
func (*house) Authenticators(context.Context, string, time.Time) ([]mfa.Authenticator, error) {
	return nil, nil
}

func (*house) Associate(_ context.Context, _ mfa.Credential, _, _ []mfa.Authenticator, _ audit.Event) error {
	return errDown
}

func (*house) Alive(context.Context, mfa.Transaction) (bool, error) { return false, errDown }

func (*house) Remove(context.Context, mfa.Credential, []mfa.Authenticator, []string, audit.Event) error {
	return errDown
}

func (*house) Account(context.Context, string) (mfa.Account, error) { return mfa.Account{}, errDown }

func newHouse() *house {
	return &house{
		clients: map[string]record.Client{
			"spa": {ID: "spa", Grants: []string{"password"}},
			"web": {ID: "web", Confidential: true, SecretHashes: []string{secret.Hash(secret.New(webSecret)), secret.Hash(secret.New(newSecret))}},
			"a b": {ID: "a b", Confidential: true, SecretHashes: []string{secret.Hash(secret.New("s:p+%&=é"))}},
			"off": {ID: "off", Disabled: true},
			"mis": {ID: "mis", SecretHashes: []string{secret.Hash(secret.New(webSecret))}}, // public, whatever else it says
		},
		apis: map[string]record.API{
			things:                {Audience: things, AccessTokenLifetime: 15 * time.Minute},
			"https://other.test/": {Audience: "https://other.test/"},
		},
		users: map[string]identity.User{
			"auth0|alice": {ID: "auth0|alice", Username: "alice", Name: "Alice Example", Email: "alice@example.test", EmailVerified: true,
				PhoneNumber: "+4915550100042", UpdatedAt: noon},
			"auth0|bare": {ID: "auth0|bare"},
		},
		revoked: map[string]bool{},
		now:     noon,
	}
}

func (h *house) issuer(change ...func(*Options)) *Issuer {
	o := Options{
		URL: issuerURL, Manage: manage, Signer: newSigner(), Store: h, Revoker: h, Registry: h, Users: h,
		Lifetimes: Lifetimes{Access: time.Hour, ID: 10 * time.Hour, Refresh: 720 * time.Hour, Manage: 10 * time.Minute},
		Dialect:   RFC9068, AMR: true, Now: func() time.Time { return h.now }, Random: rand.Reader,
	}
	for _, c := range change {
		c(&o)
	}
	return NewIssuer(o)
}

// clearance passes a login through the one gate.
func (h *house) clearance(t *testing.T, l mfa.Login) mfa.Clearance {
	t.Helper()
	v := mfa.NewVerifier(mfa.Options{Authenticators: h, Now: func() time.Time { return h.now }})
	c, err := v.Begin(t.Context(), l, mfa.Demand{Mode: record.MFAEnrolled})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// alice is a login with two factors.
func alice(scope string, audience ...string) mfa.Login {
	return mfa.Login{
		Subject: "auth0|alice", Client: "spa", Origin: mfa.FromPassword, Grant: "mfa-otp", Address: "192.0.2.1",
		Scopes: strings.Fields(scope), Audience: audience,
		Proofs: []record.Proof{
			{Methods: []string{"pwd"}, At: noon.Add(-time.Minute)},
			{Methods: []string{"otp"}, Authenticator: "totp|dev_1", At: noon.Add(-time.Second)},
		},
	}
}

// decode splits a token into its header and claims, unverified.
func decode(t *testing.T, token secret.Text) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}
