package oob

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// CheckURL refuses the URL of a service that others could listen at.
func CheckURL(text string) error {
	const odd = "must have neither a user nor a fragment"
	if strings.Contains(text, "#") {
		return errors.New(odd)
	}
	return check(text, odd)
}

// CheckEndpoint refuses what [CheckURL] does, and what no path can follow.
func CheckEndpoint(text string) error {
	const odd = "must have neither a user, a query nor a fragment"
	if strings.ContainsAny(text, "?#") {
		return errors.New(odd)
	}
	return check(text, odd)
}

func check(text, odd string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("must be a URL with a host")
	case u.User != nil:
		return errors.New(odd)
	case u.Scheme != "https" && (u.Scheme != "http" || !Loopback(u.Hostname())):
		return errors.New("must begin with https://; http:// is for loopback hosts only")
	}
	return nil
}

// Loopback reports whether a host is this machine.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
