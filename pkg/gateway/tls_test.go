package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// Part 8: TLS served directly takes 1.2 and 1.3 and nothing older (RFC 9325, 3.1.1).
func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	roots := ca.roots(t)
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for version, accepted := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			c, err := tls.Dial("tcp", w.Address(), &tls.Config{MinVersion: version, MaxVersion: version, RootCAs: roots, ServerName: "localhost"})
			if (err == nil) != accepted {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
			if err == nil {
				_ = c.Close()
			}
		}
		w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusOK, "")
		// Plain HTTP gets no answer of the gateway's.
		res, err := http.Get("http://" + w.Address() + "/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP: %d", res.StatusCode)
		}
	}, fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key))
}

// roots are what a client trusts that trusts the authority alone.
func (a authority) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(a.authority)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("the authority cannot be read")
	}
	return roots
}

// health is the status of a path on every management listener, if all say the same.
func health(t *testing.T, w *gatewaytest.World, path string) int {
	t.Helper()
	status := 0
	for _, base := range w.Manage() {
		res, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if status != 0 && status != res.StatusCode {
			return 0
		}
		status = res.StatusCode
	}
	return status
}

// I7, R9: a dependency that is down is 503 with Retry-After, never a token and never
// "nothing found"; when it is back, so is the gateway.
func TestStateStoreIsDown(t *testing.T) {
	w := gatewaytest.New(t, gatewaytest.PostgreSQL())
	alice := w.Enroll(t, "alice")
	open := ask(t, w, "spa", "alice")
	code := w.Code(t, alice.Seed, 0)
	w.State().Stop(t)

	for name, r := range map[string]gatewaytest.Reply{
		"a login":       password(t, w, "spa", "alice"),
		"a proof":       w.OTP(t, open, code),
		"a recovery":    w.Recover(t, open, alice.Recovery),
		"a challenge":   w.Challenge(t, open),
		"a list":        w.Authenticators(t, open),
		"an enrollment": w.Associate(t, open, anOTP),
	} {
		if r.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
			continue
		}
		refused(t, r, http.StatusServiceUnavailable, "temporarily_unavailable", "")
		if n, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
			t.Errorf("%s: Retry-After %q", name, r.Header.Get("Retry-After"))
		}
		if r.Header.Get("X-RateLimit-Reset") != "" {
			t.Errorf("%s: a 503 is no limit on the client", name)
		}
	}
	if health(t, w, "/livez") != http.StatusOK || health(t, w, "/readyz") != http.StatusServiceUnavailable {
		t.Error("the gateways are not alive, or say that they are ready")
	}
	// What needs no state goes on; what is not right stays so.
	w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusOK, "")
	refused(t, w.Login(t, "alice", "wrong"), http.StatusForbidden, "invalid_grant", wrongPassword)
	refused(t, w.OTP(t, "garbage", code), http.StatusForbidden, "invalid_grant", malformedToken)

	w.State().Start(t)
	eventually(t, "every gateway is ready", func() bool { return health(t, w, "/readyz") == http.StatusOK })
	// The store came back empty: that login is over, and nothing of it was used up.
	refused(t, w.OTP(t, open, code), http.StatusForbidden, "invalid_grant", malformedToken)
	w.OTP(t, ask(t, w, "spa", "alice"), code).Want(t, http.StatusOK, "")
	w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")
}

// Part 2: what the listener for operators serves, and the public one does not.
func TestHealth(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusOK, "/oauth/token": http.StatusNotFound,
			"/.well-known/jwks.json": http.StatusNotFound, "/": http.StatusNotFound} {
			if got := health(t, w, path); got != want {
				t.Errorf("management %s: %d, want %d", path, got, want)
			}
		}
		for _, path := range []string{"/livez", "/readyz"} {
			refused(t, w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: path}), http.StatusNotFound, "not_found", "")
		}
		w.Clock.Wind(24 * time.Hour)
		if health(t, w, "/readyz") != http.StatusOK {
			t.Error("a day later the gateways are not ready")
		}
	})
}
