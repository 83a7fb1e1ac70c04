package phonetest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// A Sender sends pushes as a gateway does, with the files that it was given.
type Sender struct {
	Endpoint    string
	Credentials string // a service account
	APNsKey     string
	Now         func() time.Time
	Change      func(claims map[string]any) // of what it signs, nil for nothing
}

// FCM sends data to a device over FCM and returns the status and the body of what
// answered: of the token URI when that said no.
func (s Sender) FCM(t testing.TB, device, ttl string, data map[string]string) (status int, body string) {
	t.Helper()
	var account struct {
		Project  string `json:"project_id"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		Email    string `json:"client_email"`
		TokenURI string `json:"token_uri"`
	}
	if err := json.Unmarshal(readFile(t, s.Credentials), &account); err != nil {
		t.Fatal(err)
	}
	now := s.Now().Unix()
	assertion := s.sign(t, []byte(account.Key), account.KeyID, map[string]any{
		"iss": account.Email, "scope": "https://www.googleapis.com/auth/firebase.messaging", "aud": account.TokenURI, "iat": now, "exp": now + 3600,
	})
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	status, body, _ = post(t, http.DefaultClient, account.TokenURI, []byte(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusOK {
		return status, body
	}
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &granted); err != nil {
		t.Fatal(err)
	}
	message, err := json.Marshal(map[string]any{"message": map[string]any{
		"token": device, "data": data, "android": map[string]string{"priority": "HIGH", "ttl": ttl, "collapse_key": data["c"]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	status, body, _ = post(t, http.DefaultClient, s.Endpoint+"/v1/projects/"+account.Project+"/messages:send", message,
		"Authorization", "Bearer "+granted.Token, "Content-Type", "application/json")
	return status, body
}

// APNs sends an alert to a device by HTTP/2, as [Sender.FCM] does.
func (s Sender) APNs(t testing.TB, device string, expires time.Time, payload []byte) (status int, body string) {
	t.Helper()
	token := s.sign(t, readFile(t, s.APNsKey), "ABC123DEFG", map[string]any{"iss": "DEF123GHIJ", "iat": s.Now().Unix()})
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	status, body, proto := post(t, &http.Client{Transport: transport}, s.Endpoint+"/3/device/"+device, payload,
		"authorization", "bearer "+token, "apns-topic", "com.example.phone", "apns-push-type", "alert", "apns-expiration", fmt.Sprint(expires.Unix()))
	if proto != 2 {
		t.Errorf("APNs was called by HTTP/%d", proto)
	}
	return status, body
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func post(t testing.TB, c *http.Client, url string, body []byte, headers ...string) (status int, text string, proto int) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	said, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(said), got.ProtoMajor
}

// sign makes a JWT with the key of a PEM text.
func (s Sender) sign(t testing.TB, key []byte, id string, claims map[string]any) string {
	t.Helper()
	if s.Change != nil {
		s.Change(claims)
	}
	block, _ := pem.Decode(key)
	if block == nil {
		t.Fatal("the key is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	algorithm := "RS256"
	if _, ok := parsed.(*ecdsa.PrivateKey); ok {
		algorithm = "ES256"
	}
	signed := strings.Join([]string{part(map[string]string{"alg": algorithm, "typ": "JWT", "kid": id}), part(claims)}, ".")
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		if signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:]); err != nil {
			t.Fatal(err)
		}
	case *ecdsa.PrivateKey:
		r, q, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = make([]byte, 64)
		r.FillBytes(signature[:32])
		q.FillBytes(signature[32:])
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
