package gateway_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

const example = "../../docs/examples/auth-js"

// Checks A1, A2 and A6 with the official client for Node, over TLS with a certificate
// authority of this test's own.
func TestOfficialNodeClient(t *testing.T) {
	if _, err := os.Stat(filepath.Join(example, "node_modules")); err != nil {
		if os.Getenv("SALLYPORT_REQUIRE") == "all" {
			t.Fatalf("the packages of %s are not installed, run make test", example)
		}
		t.Skipf("skipped: the packages of %s are not installed, run npm ci there", example)
	}
	failsInALine(t)
	ca := newAuthority(t)
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			s.Nodes = 1 // the client knows one address
			port := freePort(t)
			w := gatewaytest.New(t, s,
				"public_url: https://localhost:"+port+"/", "listen: 127.0.0.1:"+port,
				fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key))
			run := func(step string, more ...string) map[string]any {
				t.Helper()
				return node(t, step, append(more, "SALLYPORT_DOMAIN=localhost:"+port, "NODE_EXTRA_CA_CERTS="+ca.authority,
					"SALLYPORT_CLIENT_ID=web", "SALLYPORT_CLIENT_SECRET="+gatewaytest.Secret,
					"SALLYPORT_USERNAME=alice", "SALLYPORT_PASSWORD="+gatewaytest.Password,
					"SALLYPORT_OTP_TIME="+strconv.FormatInt(w.Clock.Now().Unix(), 10)))
			}
			enrolled := run("enroll")
			seed, code := text(t, enrolled, "secret"), text(t, enrolled, "recoveryCode")
			w.Clock.Wind(30 * time.Second)
			run("login", "SALLYPORT_SECRET="+seed)
			if again := text(t, run("recovery", "SALLYPORT_RECOVERY_CODE="+code), "recoveryCode"); again == code {
				t.Error("the recovery code was not replaced")
			}
		})
	}
}

// node runs one step of the example and returns the line of JSON that it prints.
func node(t *testing.T, step string, env []string) map[string]any {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "login.mjs", step)
	cmd.Dir = example
	cmd.Env = append(os.Environ(), env...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("step %s: %v\n%s", step, err, failed.String())
	}
	var said map[string]any
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatalf("step %s does not print JSON: %v", step, err)
	}
	return said
}

// failsInALine: somebody who forgot something, or called another server, is told what.
func failsInALine(t *testing.T) {
	t.Helper()
	for want, env := range map[string][]string{
		"set SALLYPORT_DOMAIN; README.md says how\n": nil,
		"enroll: fetch failed: ": {"SALLYPORT_DOMAIN=localhost:" + freePort(t), "SALLYPORT_CLIENT_ID=web", "SALLYPORT_CLIENT_SECRET=x",
			"SALLYPORT_USERNAME=alice", "SALLYPORT_PASSWORD=x"},
	} {
		cmd := exec.CommandContext(t.Context(), "node", "login.mjs", "enroll")
		cmd.Dir, cmd.Env = example, append(os.Environ(), env...)
		var failed bytes.Buffer
		cmd.Stderr = &failed
		err := cmd.Run()
		if said := failed.String(); err == nil || !strings.HasPrefix(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("the example says %q, want %q, %v", said, want, err)
		}
	}
}

func text(t *testing.T, said map[string]any, name string) string {
	t.Helper()
	s, _ := said[name].(string)
	if s == "" {
		t.Fatalf("the example does not say its %s", name)
	}
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// authority is a certificate authority and a certificate for localhost, as PEM files.
type authority struct{ authority, cert, key string }

func newAuthority(t *testing.T) authority {
	t.Helper()
	dir := t.TempDir()
	a := authority{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	caKey, key := newKey(t), newKey(t)
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	write(t, a.authority, "CERTIFICATE", sign(t, ca, ca, caKey, caKey))
	write(t, a.cert, "CERTIFICATE", sign(t, leaf, ca, key, caKey))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, a.key, "PRIVATE KEY", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, c, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
