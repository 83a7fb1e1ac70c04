package server

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/secret"
)

// quietWorld is a world for many requests, whose log goes nowhere.
func quietWorld(f *testing.F) *world {
	f.Helper()
	w := newWorld(f, issuerURL)
	w.Log = slog.New(slog.DiscardHandler)
	w.enroll()
	return w
}

// refusal fails the test unless an answer is one that a stranger may get: no redirect, no
// trouble of ours, JSON or nothing.
func refusal(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	if rec.Code >= 500 || rec.Code >= 300 && rec.Code < 400 || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	if rec.Body.Len() > 0 && (!json.Valid(rec.Body.Bytes()) || rec.Header().Get("Content-Type") != "application/json") {
		t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

// FuzzRequest: whatever bytes come in as a request, nobody gets a token without a right
// password and the factor. Alice has one.
func FuzzRequest(f *testing.F) {
	w := quietWorld(f)
	for _, seed := range []string{
		"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\ngrant_type=mfa-otp&mfa_token=",
		"POST /mfa/challenge HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"GET /.well-known/jwks.json HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://x//oauth/token HTTP/1.1\r\nHost: y\r\n\r\n",
		"DELETE /mfa/authenticators/totp%7Cdev_1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(raw))))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		refusal(t, rec)
		if strings.Contains(rec.Body.String(), `"access_token"`) {
			t.Fatalf("a token for %q", raw)
		}
	})
}

// FuzzPath: a path is one of the map or it is none; nothing is cleaned, nobody redirected.
func FuzzPath(f *testing.F) {
	w := quietWorld(f)
	for _, seed := range []string{"/oauth/token", "//oauth/token", "/oauth/./token", "/oauth%2ftoken", "/mfa/authenticators/x", "/mfa/authenticators/%2e%2e", "", "*", "/%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil || r.URL.Host != "" || strings.ContainsAny(path, "? \r\n") {
			return
		}
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		refusal(t, rec)
		_, known := methods[strings.TrimPrefix(path, "/")]
		id, one := strings.CutPrefix(path, "/mfa/authenticators/")
		known = strings.HasPrefix(path, "/") && known
		found := rec.Code != http.StatusNotFound
		if known && !found || found && !known && (!one || id == "" || strings.Contains(id, "/")) {
			t.Fatalf("%q: %d", path, rec.Code)
		}
	})
}

// FuzzAuthorization: of all headers only one with a token that was issued opens a door.
func FuzzAuthorization(f *testing.F) {
	w := quietWorld(f)
	for _, seed := range []string{"", "Bearer", "Bearer ", "bearer x.y", "Bearer a b", "Basic Og==", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer \x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, path := range []string{"/userinfo", "/mfa/authenticators"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header["Authorization"] = []string{header}
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			if refusal(t, rec); rec.Code != http.StatusUnauthorized {
				t.Fatalf("%s with %q: %d %s", path, header, rec.Code, rec.Body)
			}
		}
	})
}

// FuzzForwardedFor: an address on record is one, in its one spelling; who is no proxy has
// their own, whatever they say.
func FuzzForwardedFor(f *testing.F) {
	s := &Server{Options: Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	for _, seed := range []string{"", "198.51.100.7", "1.2.3.4, 10.0.0.2", "::ffff:10.0.0.1,::1", "fe80::1%eth0", "unknown, 10.0.0.1", ",,", "1.2.3.4:80"} {
		f.Add(seed, "10.0.0.1:1")
	}
	f.Add("198.51.100.7", "192.0.2.1:1")
	f.Fuzz(func(t *testing.T, header, remote string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header = remote, http.Header{"X-Forwarded-For": {header}, "Auth0-Forwarded-For": {header}}
		for _, text := range []string{s.address(r), forwarded(r)} {
			if a, err := netip.ParseAddr(text); text != "" && (err != nil || a.String() != text || a.Zone() != "") {
				t.Fatalf("%q from %q is on record as %q", header, remote, text)
			}
		}
		if peer, err := netip.ParseAddrPort(remote); err == nil && !s.trusted(peer.Addr().Unmap()) && s.address(r) != peer.Addr().Unmap().WithZone("").String() {
			t.Fatalf("%q from %q is on record as %q", header, remote, s.address(r))
		}
	})
}

// FuzzOrigin: a page may read an answer if its origin is a client's, to the letter.
func FuzzOrigin(f *testing.F) {
	w := quietWorld(f)
	for _, seed := range strangers {
		f.Add(seed, "POST", "authorization")
	}
	f.Add(page, "POST", "Content-Type, authorization,,")
	f.Fuzz(func(t *testing.T, origin, method, headers string) {
		for _, r := range []*http.Request{preflight("/oauth/token", origin, method, headers), send("/oauth/token", "client_id", "spa")} {
			r.Header.Set("Origin", origin)
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			if refusal(t, rec); allows(t, rec, origin) && origin != page {
				t.Fatalf("%s from %q: %v", r.Method, origin, rec.Header())
			}
		}
	})
}

// FuzzMFAToken: a text that the gateway did not make finishes no login, at any endpoint
// that takes one, and is a refusal of the client.
func FuzzMFAToken(f *testing.F) {
	w := quietWorld(f)
	for _, seed := range []string{"", "x", ".", "a.b", "a.b.c", strings.Repeat("A", 60) + "." + strings.Repeat("A", 43), "eyJhbGciOiJub25lIn0.e30.", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		for _, r := range []*http.Request{
			send("/oauth/token", "grant_type", "mfa-otp", "client_id", "spa", "mfa_token", token, "otp", hushCode),
			send("/mfa/challenge", "client_id", "spa", "mfa_token", token),
		} {
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			if refusal(t, rec); rec.Code < 400 {
				t.Fatalf("%q: %d %s", token, rec.Code, rec.Body)
			}
		}
		if _, err := w.Registrar.Credential(t.Context(), secret.New(token)); err == nil {
			t.Fatalf("%q opens /mfa/", token)
		}
	})
}
