package redis

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// The ways in which Redis is run. The URL names one, and nothing is guessed: a single
// address may well be that of a node of a cluster.
const (
	single   = "redis"
	sentinel = "redis+sentinel"
	cluster  = "redis+cluster"
)

// A place is what a URL says: where Redis is and how to log in. What else a client can
// be told (retries, unverified certificates) is decided in this package.
type place struct {
	way            string
	tls            *tls.Config // nil: in the clear
	user, password string      // the same for servers and Sentinels
	addresses      []string    // host:port; those of the Sentinels where there are some
	master         string      // what the Sentinels call it
	database       int
}

// parsePlace reads a URL. No error quotes it, for it may hold a password.
func parsePlace(text string) (place, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	p := place{way: strings.Replace(scheme, "rediss", "redis", 1)}
	if p.way != single && p.way != sentinel && p.way != cluster {
		return p, errors.New("write redis://host:6379/0, redis+sentinel://host1,host2,host3/master, " +
			"redis+cluster://host1,host2,host3, one of these with rediss for TLS, or embedded: alone")
	}
	if p.way != scheme {
		p.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// net/url takes one host, so it is given one after the other.
	end := strings.IndexAny(rest+"/", "/?#")
	at := strings.LastIndex(rest[:end], "@") + 1
	for host := range strings.SplitSeq(rest[at:end], ",") {
		u, err := url.Parse("redis://" + rest[:at] + host + rest[end:])
		if err != nil {
			return p, errors.New("cannot be read as a URL; special characters in a password must be percent-encoded")
		}
		if err := p.read(u); err != nil {
			return p, err
		}
	}
	if p.way == single && len(p.addresses) > 1 {
		return p, errors.New("redis:// takes one host; several are those of redis+sentinel:// or redis+cluster://")
	}
	return p, nil
}

// read takes from a URL with one host what it says.
func (p *place) read(u *url.URL) error {
	port := u.Port()
	switch {
	case port == "" && p.way == sentinel:
		port = "26379"
	case port == "":
		port = "6379"
	}
	p.user = u.User.Username()
	p.password, _ = u.User.Password()
	p.addresses = append(p.addresses, net.JoinHostPort(u.Hostname(), port))
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case u.Hostname() == "":
		return errors.New("name a host, as in redis://localhost:6379/0; every comma has one on both sides")
	case err != nil || n == 0:
		return errors.New("a port must be between 1 and 65535")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("takes no parameters; remove what follows the path")
	case p.user != "" && p.password == "":
		return errors.New("has a user without a password; a password alone is written redis://:password@host")
	}
	return p.readPath(u.Path)
}

// readPath reads what follows the hosts: a master for Sentinels, then a database.
func (p *place) readPath(path string) error {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	behind := "the host"
	switch {
	case p.way == sentinel && len(parts) == 0:
		return errors.New("name the master behind the Sentinels, as in redis+sentinel://host1,host2,host3/master")
	case p.way == sentinel:
		behind = "the master"
		p.master, parts = parts[0], parts[1:]
	case p.way == cluster && len(parts) > 0:
		return errors.New("a Cluster has no databases; end the URL with the last host")
	}
	if len(parts) == 0 {
		return nil
	}
	n, err := strconv.Atoi(parts[0])
	if err != nil || n < 0 || len(parts) > 1 {
		return errors.New("what follows " + behind + " must be the number of a database, as in redis://localhost:6379/0")
	}
	p.database = n
	return nil
}
