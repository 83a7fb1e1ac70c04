package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// R18: the address is what a trusted proxy saw, never what a client wrote.
func TestR18Address(t *testing.T) {
	proxies := "10.0.0.0/8 2001:db8:1::/48"
	for _, c := range []struct {
		name, trusted, remote string
		forwarded             []string
		want                  string
	}{
		{"no proxy", "", "192.0.2.1:1234", nil, "192.0.2.1"},
		{"spoofed, nobody is trusted", "", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"spoofed, the peer is no proxy", proxies, "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"spoofed as a proxy, the peer is none", proxies, "192.0.2.1:1234", []string{"10.0.0.1"}, "192.0.2.1"},
		{"one proxy", proxies, "10.0.0.1:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		{"one proxy, the client wrote before it", proxies, "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"the client claims to be a proxy", proxies, "10.0.0.1:1234", []string{"203.0.113.9, 10.9.9.9, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", proxies, "10.0.0.1:1234", []string{"203.0.113.9,198.51.100.7 ,\t10.0.0.2"}, "198.51.100.7"},
		{"two headers are one list", proxies, "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
		{"nothing but proxies", proxies, "10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a proxy without a header", proxies, "10.0.0.1:1234", nil, "10.0.0.1"},
		{"garbage", proxies, "10.0.0.1:1234", []string{"unknown"}, "10.0.0.1"},
		{"garbage before the client", proxies, "10.0.0.1:1234", []string{"<script>, 198.51.100.7"}, "198.51.100.7"},
		{"garbage before a proxy", proxies, "10.0.0.1:1234", []string{"198.51.100.7, _hidden, 10.0.0.2"}, "10.0.0.2"},
		{"empty entries", proxies, "10.0.0.1:1234", []string{",,"}, "10.0.0.1"},
		{"IPv6", proxies, "[2001:db8:1::1]:1234", []string{"2001:db8:2::7"}, "2001:db8:2::7"},
		{"IPv6, spoofed", proxies, "[2001:db8:2::1]:1234", []string{"2001:db8:3::7"}, "2001:db8:2::1"},
		{"IPv4 in IPv6 peer", proxies, "[::ffff:10.0.0.1]:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"IPv4 in IPv6 hop", proxies, "10.0.0.1:1234", []string{"198.51.100.7, ::ffff:10.0.0.2"}, "198.51.100.7"},
		{"one spelling", proxies, "10.0.0.1:1234", []string{"2001:0DB8:0002:0000::0007"}, "2001:db8:2::7"},
		{"text as a zone", proxies, "10.0.0.1:1234", []string{"fe80::1%<script>"}, "fe80::1"},
		{"no address at all", proxies, "@", []string{"198.51.100.7"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Server{}
			for _, p := range strings.Fields(c.trusted) {
				s.Proxies = append(s.Proxies, netip.MustParsePrefix(p))
			}
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.RemoteAddr = c.remote
			r.Header["X-Forwarded-For"] = c.forwarded
			// None of these is ever looked at.
			r.Header.Set("Forwarded", "for=203.0.113.99")
			r.Header.Set("X-Real-Ip", "203.0.113.99")
			r.Header.Set("Auth0-Forwarded-For", "203.0.113.99")
			if got := s.address(r); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What a server says of its user is one address, or nothing.
func TestForwarded(t *testing.T) {
	for _, c := range []struct {
		said []string
		want string
	}{
		{nil, ""},
		{[]string{"198.51.100.7"}, "198.51.100.7"},
		{[]string{" 198.51.100.7 "}, "198.51.100.7"},
		{[]string{"2001:0DB8::0007"}, "2001:db8::7"},
		{[]string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{[]string{"fe80::1%<script>"}, "fe80::1"},
		{[]string{""}, ""},
		{[]string{"198.51.100.7, 203.0.113.9"}, ""},
		{[]string{"198.51.100.7", "203.0.113.9"}, ""},
		{[]string{"198.51.100.7:443"}, ""},
		{[]string{"[2001:db8::7]"}, ""},
		{[]string{"localhost"}, ""},
		{[]string{"198.51.100.0/24"}, ""},
		{[]string{"<script>"}, ""},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Auth0-Forwarded-For"] = c.said
		if got := forwarded(r); got != c.want {
			t.Errorf("%q: got %q, want %q", c.said, got, c.want)
		}
	}
}
