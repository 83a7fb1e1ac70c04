package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestValidate: each setting that is wrong has a sentence of its own, and what is wrong
// with one does not hide the others.
func TestValidate(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		spoil func(*Config)
		want  string // empty: nothing is wrong
	}{
		"nothing":         {func(c *Config) { *c = Config{} }, ""},
		"all":             {func(*Config) {}, ""},
		"with defaults":   {func(c *Config) { c.APNs.SecondEndpoint = "https://api.sandbox.push.apple.com" }, ""},
		"plain FCM":       {func(c *Config) { c.FCM.Endpoint = "http://fcm.example/" }, "fcm.endpoint: must begin with https://"},
		"user":            {func(c *Config) { c.FCM.Endpoint = "https://a:b@fcm.example/" }, "fcm.endpoint: must have neither"},
		"query":           {func(c *Config) { c.FCM.Endpoint = "https://fcm.example/?a" }, "fcm.endpoint: must have neither"},
		"no host":         {func(c *Config) { c.FCM.Endpoint = "fcm.example" }, "fcm.endpoint: must be a URL"},
		"no credentials":  {func(c *Config) { c.FCM.CredentialsFile = "none.json" }, "fcm.credentials_file: cannot read none.json: no such file"},
		"no JSON":         {func(c *Config) { c.FCM.CredentialsFile = w.apns.KeyFile }, "fcm.credentials_file: is not the JSON"},
		"no account":      {func(c *Config) { c.FCM.CredentialsFile = changed(t, w, "client_email", "") }, "fcm.credentials_file: must hold"},
		"plain token URI": {func(c *Config) { c.FCM.CredentialsFile = changed(t, w, "token_uri", "http://a.example/") }, "its token_uri must be https"},
		"no RSA key":      {func(c *Config) { c.FCM.CredentialsFile = changed(t, w, "private_key", "secret-word") }, "its private_key must be"},
		"large file":      {func(c *Config) { c.FCM.CredentialsFile = file(t, strings.Repeat(" ", fileLimit+1)) }, "is larger than 64 KiB"},
		"no key":          {func(c *Config) { c.APNs.KeyFile = w.fcm.CredentialsFile }, "apns.key_file: must be the PEM of a P-256 key"},
		"another curve":   {func(c *Config) { c.APNs.KeyFile = file(t, p384(t)) }, "apns.key_file: must be the PEM of a P-256 key"},
		"key id":          {func(c *Config) { c.APNs.KeyID = "ABC" }, "apns.key_id: must be 10 letters and digits"},
		"team id":         {func(c *Config) { c.APNs.TeamID = "DEF123GH!J" }, "apns.team_id: must be 10 letters and digits"},
		"topic":           {func(c *Config) { c.APNs.Topic = "com.example\r\nx: y" }, "apns.topic: must be a bundle id"},
		"plain APNs":      {func(c *Config) { c.APNs.Endpoint = "http://192.0.2.1/" }, "apns.endpoint: must begin with https://"},
		"plain second":    {func(c *Config) { c.APNs.SecondEndpoint = "http://localhost.example/" }, "apns.second_endpoint: must begin"},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.config()
			tc.spoil(&c)
			err := c.Validate()
			switch {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n")):
				t.Fatalf("%v, want %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "secret-word"):
				t.Errorf("a secret in %v", err)
			}
		})
	}
	c := w.config()
	c.FCM.Endpoint, c.APNs.KeyID, c.APNs.TeamID = "", "", ""
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v, want three lines", err)
	}
}

// TestNewRefuses: there are no senders of files that went bad since they were validated.
func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.APNs.KeyFile = file(t, "")
	if _, err := New(c, time.Now); err == nil || !strings.HasPrefix(err.Error(), "apns: must be the PEM") {
		t.Error(err)
	}
	c.FCM.CredentialsFile = file(t, "{}")
	if _, err := New(c, time.Now); err == nil || !strings.HasPrefix(err.Error(), "fcm: must hold") {
		t.Error(err)
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// changed are FCM's credentials with another value.
func changed(t *testing.T, w world, key, value string) string {
	t.Helper()
	text, err := os.ReadFile(w.fcm.CredentialsFile)
	if err != nil {
		t.Fatal(err)
	}
	account := map[string]string{}
	if err := json.Unmarshal(text, &account); err != nil {
		t.Fatal(err)
	}
	account[key] = value
	if text, err = json.Marshal(account); err != nil {
		t.Fatal(err)
	}
	return file(t, string(text))
}

func p384(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
