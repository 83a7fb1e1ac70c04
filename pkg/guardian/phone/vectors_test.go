package phone

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// vectors are those of spec guardian-devices, section 17.1. Their private keys were thrown
// away: what a phone of ours signs must be theirs letter by letter, and their signatures
// must hold.
type vectors struct {
	RSA, EC                             jwk
	Accept, Reject, Account, Proof, Web string
}

type jwk struct{ N, E, X, Y string }

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(raw)
}

// holds verifies a JWT as a gateway would, by its parts.
func holds(t *testing.T, token string, key jwk) bool {
	t.Helper()
	i := strings.LastIndex(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token[:i]))
	if key.X != "" {
		public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(t, key.X), Y: number(t, key.Y)} //nolint:staticcheck // a test puts the key together by hand
		return len(signature) == 64 && ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	public := &rsa.PublicKey{N: number(t, key.N), E: int(number(t, key.E).Int64())}
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil
}

// published is the public key of an account, as the gateway gets it.
func published(t *testing.T, k Key) (j jwk) {
	t.Helper()
	public, err := k.public()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &j); err != nil {
		t.Fatal(err)
	}
	return j
}

// at is a phone at a moment, with chance that is known.
func at(t *testing.T, p Profile, now time.Time, random string) *Phone {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(random, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	made, err := New(Options{Profile: p, Client: &http.Client{}, Now: func() time.Time { return now }, Random: bytes.NewReader(raw)})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	whole := time.Unix(1767323045, 0)
	parts := time.Unix(1767323045, 678901000)
	keys := map[Profile]Key{}
	for _, p := range []Profile{Android, Web} {
		var err error
		if keys[p], err = NewKey(p); err != nil {
			t.Fatal(err)
		}
	}
	keys[Swift] = keys[Android]
	n := Notification{Challenge: "chl_7hQ2", Transaction: secret.New("txtkn.example.value"), Link: "cns_01"}
	account := func(p Profile, identifier string) Account {
		return Account{URL: "https://gw.example.com", ID: "dev_Q3x9L2mZ7aVb0Kc1", UserID: "auth0|u1", Identifier: identifier, Key: keys[p]}
	}
	tests := []struct {
		name    string
		profile Profile
		theirs  string
		ours    func() (secret.Text, error)
	}{
		{"accept", Android, v.Accept, func() (secret.Text, error) {
			return at(t, Android, whole, "").response(account(Android, "a1b2c3d4e5f60718"), n, decision{accepted: true})
		}},
		{"reject", Swift, v.Reject, func() (secret.Text, error) {
			return at(t, Swift, parts, "").response(account(Swift, "6F1C2B9E-0000-4000-8000-00000000AB01"), n, decision{reason: "hacked"})
		}},
		{"device-accounts", Android, v.Account, func() (secret.Text, error) {
			return at(t, Android, whole, "").bearer(account(Android, ""), "https://gw.example.com/appliance-mfa")
		}},
		{"proof", Android, v.Proof, func() (secret.Text, error) {
			return at(t, Android, whole, "2f0c7a52-7a2b-4b55-9d6e-6a1f0f7f9a10").proof(account(Android, ""), n, "https://gw.example.com/rich-consents/cns_01")
		}},
		{"web", Web, v.Web, func() (secret.Text, error) {
			return at(t, Web, whole, "").response(account(Web, "pwa-01"), n, decision{accepted: true})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := tt.ours()
			if err != nil {
				t.Fatal(err)
			}
			ours := published(t, keys[tt.profile])
			if !holds(t, token.Reveal(), ours) {
				t.Error("our signature does not hold")
			}
			key := v.RSA
			if tt.profile == Web {
				key = v.EC
			}
			if !holds(t, tt.theirs, key) {
				t.Error("the vector's signature does not hold: the test reads it wrongly")
			}
			got, want := strings.Split(token.Reveal(), "."), strings.Split(tt.theirs, ".")
			for i, part := range []string{"header", "claims"} {
				g, w := decoded(t, got[i]), decoded(t, want[i])
				if g = strings.Replace(g, ours.N, key.N, 1); g != w {
					t.Errorf("%s\n got %s\nwant %s", part, g, w)
				}
			}
		})
	}
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The URL rules of section 2.1.
func TestBase(t *testing.T) {
	const android, swift, old = Android, Swift, Android02
	tests := []struct {
		profile              Profile
		typed, base, consent string
	}{
		{android, "https://gw.example.com", "https://gw.example.com/appliance-mfa", "https://gw.example.com/rich-consents/a%2Fb"},
		{android, "https://gw.example.com/", "https://gw.example.com/appliance-mfa", "https://gw.example.com/rich-consents/a%2Fb"},
		{android, "https://gw.example.com:8443/appliance-mfa/", "https://gw.example.com:8443/appliance-mfa", "https://gw.example.com:8443/rich-consents/a%2Fb"},
		{android, "https://gw.example.com/tenants/acme", "https://gw.example.com/tenants/acme/appliance-mfa", "https://gw.example.com/tenants/acme/rich-consents/a%2Fb"},
		{android, "https://gw.example.com/appliance-mfa/acme", "https://gw.example.com/appliance-mfa/acme", "https://gw.example.com/acme/rich-consents/a%2Fb"},
		{swift, "https://gw.example.com/appliance-mfa/acme", "https://gw.example.com/appliance-mfa/acme/appliance-mfa", "https://gw.example.com/acme/rich-consents/a%2Fb"},
		{android, "https://acme.guardian.auth0.com", "https://acme.guardian.auth0.com", "https://acme.auth0.com/rich-consents/a%2Fb"},
		{android, "https://guardian.eu.auth0.com/", "https://guardian.eu.auth0.com", "https://guardian.eu.auth0.com/rich-consents/a%2Fb"},
		{android, "https://guardian.a.b.auth0.com", "https://guardian.a.b.auth0.com/appliance-mfa", ""},
		{swift, "https://acme.guardian.eu.auth0.com", "https://acme.guardian.eu.auth0.com", "https://acme.eu.auth0.com/rich-consents/a%2Fb"},
		{swift, "https://gw.example.com/appliance-mfa", "https://gw.example.com/appliance-mfa", "https://gw.example.com/rich-consents/a%2Fb"},
		{old, "https://gw.example.com/", "https://gw.example.com", ""},
		{Swift01, "https://gw.example.com/tenants/acme", "https://gw.example.com/tenants/acme", ""},
		{Web, "http://localhost:1234", "http://localhost:1234/appliance-mfa", ""},
		{Web, "http://127.0.0.9", "http://127.0.0.9/appliance-mfa", ""},
		{Web, "http://gw.example.com", "", ""},
		{android, "gw.example.com", "", ""},
		{android, "https://user@gw.example.com", "", ""},
		{android, "https://gw.example.com/?a=b", "", ""},
	}
	for _, tt := range tests {
		base, err := at(t, tt.profile, time.Time{}, "").base(tt.typed)
		if base != tt.base || (err == nil) != (tt.base != "") {
			t.Errorf("%s of %s: %q, %v; want %q", tt.profile, tt.typed, base, err, tt.base)
		}
		if tt.consent == "" {
			continue
		}
		if consent, err := consentURL(base, "a/b"); err != nil || consent != tt.consent {
			t.Errorf("consent of %s: %q, %v; want %q", tt.typed, consent, err, tt.consent)
		}
	}
}

func TestAudience(t *testing.T) {
	tests := map[Profile]string{
		Android: "https://gw.example.com/appliance-mfa/api/resolve-transaction", Android02: "https://gw.example.com/",
		Swift: "https://gw.example.com/appliance-mfa/api/resolve-transaction", Swift01: "https://gw.example.com",
		Web: "https://gw.example.com/appliance-mfa/api/resolve-transaction",
	}
	for profile, want := range tests {
		base, err := at(t, profile, time.Time{}, "").base("https://gw.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got := apps[profile].audience("https://gw.example.com", base, resolvePath); got != want {
			t.Errorf("%s: %q, want %q", profile, got, want)
		}
	}
	if len(tests) != len(Profiles()) || len(tests) != len(apps) {
		t.Error("a profile is missing")
	}
}
