package server

import (
	"net/http"
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name, url, listen, management string
		want                          []string // a part of each problem
	}{
		{"as in the documentation", "https://login.example.com/", ":8443", "127.0.0.1:9090", nil},
		{"with a path", "https://login.example.com/tenant/", ":8443", "127.0.0.1:9090", nil},
		{"http on loopback", "http://localhost:8080/", "127.0.0.1:8080", "127.0.0.1:9090", nil},
		{"http on loopback, IPv6", "http://[::1]:8080/", "[::1]:8080", "[::1]:9090", nil},
		{"one port, two hosts", "https://a.test/", "192.0.2.1:8080", "127.0.0.1:8080", nil},
		{"any free port", "https://a.test/", "127.0.0.1:0", "127.0.0.1:0", nil},
		{"nothing", "", "", "", []string{"public_url: must be a URL", "listen: must be host:port", "management.listen: must be host:port"}},
		{"http elsewhere", "http://login.example.com/", ":1", ":2", []string{"public_url: must begin with https://"}},
		{"http on a name that begins like loopback", "http://localhost.evil.test/", ":1", ":2", []string{"public_url: must begin with https://"}},
		{"another scheme", "ftp://login.example.com/", ":1", ":2", []string{"public_url: must begin with https://"}},
		{"no slash", "https://login.example.com", ":1", ":2", []string{"public_url: must end in a slash: write https://login.example.com/"}},
		{"a query", "https://login.example.com/?", ":1", ":2", []string{"neither a user, a query nor a fragment"}},
		{"a user", "https://me@login.example.com/", ":1", ":2", []string{"neither a user, a query nor a fragment"}},
		{"no host", "https:///x/", ":1", ":2", []string{"public_url: must be a URL"}},
		{"opaque", "https:login/", ":1", ":2", []string{"public_url: must be a URL"}},
		{"a port too large", "https://a.test/", ":65536", ":http", []string{"listen: the port must be a number", "management.listen: the port must be a number"}},
		{"one port", "https://a.test/", "127.0.0.1:8080", "127.0.0.1:8080", []string{"management.listen: must not be the public port"}},
		{"everywhere and one", "https://a.test/", ":8080", "127.0.0.1:8080", []string{"management.listen: must not be the public port"}},
		{"one and everywhere", "https://a.test/", "127.0.0.1:8080", "[::]:8080", []string{"management.listen: must not be the public port"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Config{PublicURL: c.url, Listen: c.listen, Management: Management{Listen: c.management}}.Validate()
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			if n := strings.Count(err.Error(), "\n") + 1; n != len(c.want) {
				t.Errorf("%d problems: %v", n, err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST.": true, "a.localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.test": false, "notlocalhost": false, "128.0.0.1": false, "0.0.0.0": false, "::": false, "127.0.0.1.nip.test": false,
	} {
		if Loopback(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

// Q3: the switch that leaves the factor's name out.
func TestListWithoutKinds(t *testing.T) {
	w := newWorld(t, issuerURL)
	w.Kinds = false
	w.enroll()
	token := w.token(t, login(), http.StatusForbidden, "mfa_token")
	rec, _ := w.do(t, get("/mfa/authenticators", token))
	if rec.Code != http.StatusOK || strings.Contains(rec.Body.String(), `"type"`) || !strings.Contains(rec.Body.String(), `"totp|dev_1"`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
