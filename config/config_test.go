package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

// minimal is all that a file must say, on its first six lines.
const minimal = `public_url: https://login.example.test/
listen: 127.0.0.1:8443
management: {listen: "127.0.0.1:9090"}
database: {url: "sqlite:///var/lib/sallyport/sallyport.db"}
redis: {url: "embedded:"}
secrets: {key_file: keys.json}
`

// environment answers from a map.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

// folder holds a key ring, and files by their names.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	ring, err := secret.NewRing(time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Save(filepath.Join(dir, "keys.json")); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// certificate returns a certificate and its key in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

// serviceAccount is a file as Google gives it out, with a key of its own.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"project_id": "p", "client_email": "a@b.test", "token_uri": "http://127.0.0.1:1/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fixture is the complete example with everything it needs around it.
func fixture(t *testing.T) (file string, vars map[string]string) {
	t.Helper()
	cert, key := certificate(t)
	files := map[string]string{
		"tls.crt": cert, "tls.key": key,
		"fcm.json": serviceAccount(t),
	}
	for _, name := range []string{"sallyport.yaml", "tenant.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	dir := folder(t, files)
	return filepath.Join(dir, "sallyport.yaml"), map[string]string{
		"PUBLIC_URL": "https://localhost:8443/", "LISTEN": "127.0.0.1:8443", "MANAGEMENT_LISTEN": "127.0.0.1:9090",
		"TLS_CERT": filepath.Join(dir, "tls.crt"), "TLS_KEY": filepath.Join(dir, "tls.key"),
		"DATABASE_URL": "postgres://sallyport:database-password@localhost/sallyport?sslmode=disable",
		"REDIS_URL":    "rediss://:redis-password@localhost:6379/1",
		"KEY_FILE":     filepath.Join(dir, "keys.json"), "SMTP_PORT": "2525", "SMS_URL": "http://127.0.0.1:8025/sms",
		"FCM_CREDENTIALS": filepath.Join(dir, "fcm.json"), "FCM_URL": "http://127.0.0.1:8026",
	}
}

func TestTheExampleLoads(t *testing.T) {
	file, vars := fixture(t)
	c, tenants, err := config.Check(file, environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	if c.Profile != config.Recommended || c.Server.PublicURL != vars["PUBLIC_URL"] || c.Server.TLS == nil ||
		c.Delivery.Push.FCM == nil || c.Delivery.Email.Server.Port != 2525 || c.Redis.URL.Reveal() != vars["REDIS_URL"] {
		t.Errorf("settings of the file are missing: %+v", c)
	}
	if c.Lifetimes.AccessToken != 15*time.Minute || c.Lifetimes.MFA.TokenLifetime != 10*time.Minute ||
		!c.Tokens.AMR || !c.Errors.MFARequirements || c.OTP.Skew != 1 || c.Recovery.Codes != 1 ||
		c.Passwords.Argon2.Memory != 19456 || c.Passwords.MinLength != 15 {
		t.Errorf("defaults are missing: %+v", c)
	}
	if len(tenants) != 1 || len(tenants[0].Clients) != 4 || len(tenants[0].Users) != 3 {
		t.Fatalf("tenants = %+v", tenants)
	}
	want := []string{":18: dialects: valid, but not served", ":31: delivery.sms: has no countries", ":35: delivery.voice: has no countries"}
	got := c.Warnings()
	if len(got) != len(want) {
		t.Fatalf("warnings:\n%s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], "sallyport.yaml"+want[i]) {
			t.Errorf("warning %d = %q, want %q in it", i, got[i], want[i])
		}
	}
}

func TestOptionalSections(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]string
		drop   []string
		want   string // of the error; empty: the sections are absent
	}{
		"unset":         {drop: []string{"TLS_CERT", "TLS_KEY", "FCM_CREDENTIALS", "FCM_URL"}},
		"empty":         {change: map[string]string{"TLS_CERT": "", "TLS_KEY": "", "FCM_CREDENTIALS": "", "FCM_URL": ""}},
		"half of tls":   {drop: []string{"TLS_KEY"}, want: ":5: tls: TLS_CERT is set, but TLS_KEY is not"},
		"other half":    {change: map[string]string{"TLS_CERT": ""}, want: ":5: tls: TLS_KEY is set, but TLS_CERT is not"},
		"half of fcm":   {drop: []string{"FCM_URL"}, want: "delivery.push.fcm: FCM_CREDENTIALS is set, but FCM_URL is not"},
		"not optional":  {drop: []string{"SMS_URL", "LISTEN"}, want: "delivery.sms.url: the environment variable SMS_URL is not set"},
		"all are named": {drop: []string{"SMS_URL", "LISTEN"}, want: ":4: listen: the environment variable LISTEN is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			file, vars := fixture(t)
			maps.Copy(vars, tc.change)
			for _, v := range tc.drop {
				delete(vars, v)
			}
			c, err := config.Load(file, environment(vars))
			switch {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want == "" && (c.Server.TLS != nil || c.Delivery.Push.FCM != nil):
				t.Error("an optional section without its variables is there")
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error = %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestTheMinimum(t *testing.T) {
	dir := folder(t, map[string]string{"c.yaml": minimal})
	c, err := config.Load(filepath.Join(dir, "c.yaml"), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Redis.Embedded() || c.Secrets.KeyFile != filepath.Join(dir, "keys.json") || len(c.Warnings()) != 0 {
		t.Errorf("%+v, warnings %v", c, c.Warnings())
	}
	if p, ok := c.Database.SQLitePath(); !ok || p != "/var/lib/sallyport/sallyport.db" {
		t.Errorf("SQLitePath = %q, %v", p, ok)
	}
}

func TestEverythingIsReportedAtOnce(t *testing.T) {
	dir := folder(t, map[string]string{
		"c.yaml": strings.NewReplacer("8443", "none", "/var/lib/sallyport/", "/dev/null/").Replace(minimal) + "throtle: {}\ntenant_files: [a.yaml, missing.yaml, b.yaml]\n",
		"a.yaml": "name: A\nclients:\n  - {id: x, type: public, grants: [refresh_token]}\n",
		"b.yaml": "name: B\nclients:\n  - {id: x, type: public, grants: [refresh_token]}\n  - {id: y}\n",
	})
	_, _, err := config.Check(filepath.Join(dir, "c.yaml"), environment(nil))
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("err = %v", err)
	}
	want := []string{
		"c.yaml:2: listen: the port must be a number",
		"c.yaml:4: database.url: /dev/null is no folder",
		"c.yaml:7: throtle: unknown key; did you mean throttle?",
		"c.yaml:8: tenant_files[1]: there is no file",
		"b.yaml:1: name: " + filepath.Join(dir, "a.yaml") + ` says "A"; one issuer serves one tenant`,
		"b.yaml:3: clients[0].id: this client id stands at " + filepath.Join(dir, "a.yaml") + ":3 already",
		"b.yaml:4: clients[1].type: is missing",
		"b.yaml:4: clients[1].grants: is missing",
	}
	if len(problems) != len(want) {
		t.Fatalf("problems:\n%v", err)
	}
	for i, p := range problems {
		if !strings.Contains(p.String(), want[i]) {
			t.Errorf("problem %d = %s, want %q in it", i, p, want[i])
		}
	}
}

func TestPrintHoldsNoSecret(t *testing.T) {
	file, vars := fixture(t)
	c, err := config.Load(file, environment(vars))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := config.Print(&out, c); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"database-password", "redis-password", "whsec_", "c2FsbHlwb3J0"} {
		if strings.Contains(out.String(), s) {
			t.Errorf("%q is printed:\n%s", s, out.String())
		}
	}
	for _, s := range []string{"public_url: https://localhost:8443/\n", "mfa_token: 10m\n", "amr: on\n", "memory: 19456\n",
		"url: postgres://sallyport:redacted@localhost/sallyport?sslmode=disable\n", "dialects: [extrahorizon, axonize, acceleratxr]\n"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("%q is not printed:\n%s", s, out.String())
		}
	}
}

// What is printed is what would be read: only the secrets are missing from it.
func TestPrintIsConfiguration(t *testing.T) {
	dir := folder(t, map[string]string{"c.yaml": minimal + "trusted_proxies: [10.0.0.0/8, \"fd00::/8\"]\npasswords: {queue: 7}\n" +
		"messages: {phone: {per_range: 5, spend: 12.5, prices: {\"+49\": 0.0825, \"+1\": 0}}}\n"})
	c, err := config.Load(filepath.Join(dir, "c.yaml"), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	var first, second strings.Builder
	if err := config.Print(&first, c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "again.yaml"), []byte(first.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(filepath.Join(dir, "again.yaml"), environment(nil))
	if err != nil {
		t.Fatalf("%v in\n%s", err, first.String())
	}
	if err := config.Print(&second, again); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() || again.Passwords.Queue != 7 || len(again.Server.TrustedProxies) != 2 ||
		again.Messages.Phone.PerRange != 5 || again.Messages.Phone.Spend != 125_000 || !maps.Equal(again.Messages.Phone.Prices, map[string]phone.Amount{"+49": 825, "+1": 0}) {
		t.Errorf("printed\n%s\nand then\n%s", first.String(), second.String())
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	dir := folder(t, map[string]string{
		"c.yaml":    strings.Replace(minimal, `url: "embedded:"`, "url_file: redis.txt", 1),
		"redis.txt": " redis://localhost:6379\n",
		"t.yaml":    "name: T\nclients:\n  - {id: w, type: confidential, grants: [client_credentials], secret_file: web.txt}\n",
		"web.txt":   strings.Repeat("x", 32) + "\n",
	})
	c, err := config.Load(filepath.Join(dir, "c.yaml"), environment(nil))
	if err != nil || c.Redis.URL.Reveal() != "redis://localhost:6379" {
		t.Errorf("%v, %v", c, err)
	}
	tenant, err := config.LoadTenant(filepath.Join(dir, "t.yaml"), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if want := secret.Hash(secret.New(strings.Repeat("x", 32))); tenant.Clients[0].Client().SecretHashes[0] != want {
		t.Error("the secret is not that of the file, trimmed")
	}
}

func TestDigest(t *testing.T) {
	text := "name: ${NAME}\n"
	dir := folder(t, map[string]string{"t.yaml": text, "plain.yaml": "name: N\n"})
	digest := func(file, name string) string {
		tenant, err := config.LoadTenant(filepath.Join(dir, file), environment(map[string]string{"NAME": name}))
		if err != nil {
			t.Fatal(err)
		}
		return tenant.Digest
	}
	first, again := digest("t.yaml", "a"), digest("t.yaml", "a")
	if first != again || first == digest("t.yaml", "b") {
		t.Error("the digest must follow what the environment fills in, and nothing else")
	}
	if sum := sha256.Sum256([]byte("name: N\n")); digest("plain.yaml", "a") != hex.EncodeToString(sum[:]) {
		t.Error("without variables the digest is that of the file")
	}
}

func TestReference(t *testing.T) {
	var first, second strings.Builder
	if err := errors.Join(config.Reference(&first), config.Reference(&second)); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Error("the reference differs from one time to the next")
	}
	for _, s := range []string{"### `delivery.push.fcm`", "### `delivery.push.apns`", "### `delivery.sms.fallback[]`", "| `prices` | map of single values |", "| `audiences` | map of lists |", "### `clients[]`", "| `public_url` | text | required |",
		"| `access_token` | duration | `15m`; auth0-compat: `24h`; nist: `15m`, at most `1h`; strict: at most `5m` |", "`secret_file`", "\n| `argon2"} {
		if got := strings.Contains(first.String(), s); got == strings.HasPrefix(s, "\n") {
			t.Errorf("%q in the reference: %v", s, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{minimal, minimal + "otp: {skew: 0}\n", "a: &a [*a]\n", "? [x]\n: y\n", "listen: ${\n", "---\n---\n",
		"tls: {cert_file: ${A}}\n", "name: T\nclients: [{id: a, audiences: {x: [y]}}]\n", "\xff\x00", "{", "!!binary x: y", "<<: {a: b}\n"} {
		f.Add([]byte(seed))
	}
	dir := folder(f, nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, environment(map[string]string{"A": "a: [b"}))
		if (c == nil) == (err == nil) || err != nil && strings.Count(err.Error(), "\n") >= len(err.(config.Problems)) { //nolint:errorlint // Load promises this type
			t.Fatalf("Load = %v, %q", c, err)
		}
		if _, err := config.LoadTenant(file, environment(nil)); err != nil && err.Error() == "" {
			t.Fatal("a problem without a text")
		}
	})
}
