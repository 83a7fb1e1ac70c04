package gateway_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// The official client for Node with a key instead of a secret: what it signs holds, and
// its challenges, which it does not sign, are answered (1.3.2).
func TestOfficialNodeClientWithAKey(t *testing.T) {
	if _, err := os.Stat(filepath.Join(example, "node_modules")); err != nil {
		if os.Getenv("SALLYPORT_REQUIRE") == "all" {
			t.Fatalf("the packages of %s are not installed, run make test", example)
		}
		t.Skipf("skipped: the packages of %s are not installed, run npm ci there", example)
	}
	ca, port := newAuthority(t), freePort(t)
	w := gatewaytest.New(t, gatewaytest.SQLite(),
		"public_url: https://localhost:"+port+"/", "listen: 127.0.0.1:"+port,
		fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key))
	alice := w.Enroll(t, "alice")

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "client.pem")
	write(t, file, "PRIVATE KEY", der)
	// It gets a second key beside its first, as when one replaces the other.
	w.Restart(t, "    jwks:\n", "    jwks:\n      - {kty: RSA, e: AQAB, n: "+base64.RawURLEncoding.EncodeToString(key.N.Bytes())+"}\n")

	cmd := exec.CommandContext(t.Context(), "node", "machine.mjs")
	cmd.Dir = example
	cmd.Env = append(os.Environ(), "SALLYPORT_DOMAIN=localhost:"+port, "NODE_EXTRA_CA_CERTS="+ca.authority, "SALLYPORT_CLIENT_ID=robot",
		"SALLYPORT_CLIENT_KEY="+file, "SALLYPORT_USERNAME=alice", "SALLYPORT_PASSWORD="+gatewaytest.Password, "SALLYPORT_AUDIENCE="+things, "SALLYPORT_OTP="+w.Code(t, alice.Seed, 0))
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, failed.String())
	}
	var said map[string]string
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	equal(t, claims(t, w, said["own"], "at+jwt"), map[string]any{"sub": "robot", "aud": things, "sid": nil})
	equal(t, claims(t, w, said["user"], "at+jwt"), map[string]any{"sub": "auth0|alice", "client_id": "robot"})
	own(t, w, w.Assertion(t, nil)).Want(t, 200, "")
}
