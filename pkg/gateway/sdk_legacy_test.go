package gateway_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// Checks A12 and 7.2 with the older official client for Node, which verifies ID tokens
// with the keys that it fetches by itself.
func TestLegacyNodeClient(t *testing.T) {
	eachExample(t, "auth0-legacy", func(t *testing.T, e example) {
		e.asDesk(t)
		w := e.world
		const keys = "route=/.well-known/jwks.json"
		if strings.Contains(w.Log.String(), keys) {
			t.Fatal("somebody has asked for the keys already")
		}
		said := e.play(t, "login.mjs tokens", "SALLYPORT_USERNAME=carol")
		if !strings.Contains(w.Log.String(), keys) {
			t.Error("the library did not ask for the keys")
		}
		equal(t, claims(t, w, text(t, said, "idToken"), "JWT"), map[string]any{"aud": "desk", "iss": w.URL, "sub": "auth0|carol", "nonce": nil})

		alice := w.Enroll(t, "alice")
		token := text(t, e.play(t, "login.mjs asked"), "mfaToken")
		w.Token(t, with("desk", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, alice.Seed, 0))...).Want(t, 200, "")
	})
}

// Its check bites: behind a proxy that alters the signature of ID tokens it refuses what
// it takes from the same proxy when that is honest.
func TestLegacyNodeClientRefusesAForgery(t *testing.T) {
	folder, ca, port := installed(t, "auth0-legacy"), newAuthority(t), freePort(t)
	w := gatewaytest.New(t, gatewaytest.SQLite(), "public_url: https://localhost:"+port+"/")
	e := example{folder, w, []string{"SALLYPORT_DOMAIN=localhost:" + port, "NODE_EXTRA_CA_CERTS=" + ca.authority,
		"SALLYPORT_USERNAME=carol", "SALLYPORT_PASSWORD=" + gatewaytest.Password}}
	e.asDesk(t)

	var forging atomic.Bool
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: w.Address()}) },
		ModifyResponse: func(res *http.Response) error {
			if !forging.Load() {
				return nil
			}
			return forge(res)
		},
	}
	pair, err := tls.LoadX509KeyPair(ca.cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(proxy)
	_ = front.Listener.Close()
	if front.Listener, err = net.Listen("tcp", "127.0.0.1:"+port); err != nil {
		t.Fatal(err)
	}
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	front.StartTLS()
	t.Cleanup(front.Close)

	e.play(t, "login.mjs tokens")
	forging.Store(true)
	if _, said, err := e.run(t, "login.mjs tokens"); err == nil || said != "tokens: signature verification failed\n" {
		t.Errorf("an altered ID token: %v, %q", err, said)
	}
}

// forge changes the signature of the ID token in an answer, if it has one.
func forge(res *http.Response) error {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var members map[string]any
	if json.Unmarshal(body, &members) == nil && members["id_token"] != nil {
		token, _ := members["id_token"].(string)
		end := strings.LastIndex(token, ".") + 1
		members["id_token"] = token[:end] + flip(token[end:])
		if body, err = json.Marshal(members); err != nil {
			return err
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
