package email

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"os"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/pkg/secret"
)

// The encryptions on the way to a mail server.
const (
	tlsNone     = "none"
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
)

// Config is the mail servers that take the gateway's mail.
type Config struct {
	Driver   string   `yaml:"driver" required:"true" enum:"smtp" example:"smtp" doc:"The way mail is sent."`
	Server   Server   `yaml:",inline"`
	From     string   `yaml:"from" required:"true" example:"Example <no-reply@example.com>" doc:"Sender of the mail."`
	Fallback []Server `yaml:"fallback" doc:"Servers that are asked, in this order, when the first one does not take a mail."`
}

// Server is a mail server.
type Server struct {
	Host     string      `yaml:"host" required:"true" example:"smtp.example.com" doc:"Host name of the mail server."`
	Port     uint16      `yaml:"port" required:"true" example:"587" doc:"Port of the mail server."`
	TLS      string      `yaml:"tls" default:"starttls" enum:"none|starttls|implicit" doc:"Encryption to the mail server; none for loopback hosts only."`
	CAFile   string      `yaml:"ca_file" file:"true" example:"/etc/sallyport/mail-ca.pem" doc:"PEM file of the authorities that its certificate may be from; the system's own if left out."`
	Username string      `yaml:"username" example:"sallyport" doc:"Who the gateway authenticates as; nobody if left out."`
	Password secret.Text `yaml:"password" example:"${SMTP_PASSWORD}" doc:"Password of username."`
}

// Validate reports everything that is wrong, each error as "key: text".
func (c Config) Validate() error {
	errs := c.Server.validate()
	for i, s := range c.Fallback {
		for _, err := range s.validate() {
			errs = append(errs, fmt.Errorf("fallback[%d].%w", i, err))
		}
	}
	if from, err := mail.ParseAddress(c.From); err != nil || !sender(from) {
		errs = append(errs, errors.New("from: must be an address, as in Example <no-reply@example.com>"))
	}
	return errors.Join(errs...)
}

// sender reports whether mail can come from an address.
func sender(a *mail.Address) bool {
	_, domain, _ := strings.Cut(a.Address, "@")
	return domain != "" && !strings.ContainsFunc(a.Address, func(r rune) bool { return r <= ' ' || r > '~' }) &&
		!strings.ContainsFunc(a.Name, unicode.IsControl)
}

func (s Server) validate() (errs []error) {
	if _, err := netip.ParseAddr(s.Host); err != nil && strings.ContainsAny(s.Host, ":/ ") {
		errs = append(errs, errors.New("host: must be a host name alone; the port is a setting of its own"))
	}
	if s.TLS == tlsNone && !loopback(s.Host) {
		errs = append(errs, errors.New("tls: none is for loopback hosts only, codes would travel readable; use starttls or implicit"))
	}
	if _, err := s.authorities(); err != nil {
		errs = append(errs, fmt.Errorf("ca_file: %w", err))
	}
	switch {
	case s.Username == "" && s.Password.Reveal() != "":
		errs = append(errs, errors.New("username: is missing; there is a password"))
	case s.Username != "" && s.Password.Reveal() == "":
		errs = append(errs, errors.New("password: is missing; there is a username"))
	}
	return errs
}

// authorities are those of the server's file; nil: the system's.
func (s Server) authorities() (*x509.CertPool, error) {
	if s.CAFile == "" {
		return nil, nil //nolint:nilnil // what crypto/tls means by it
	}
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", s.CAFile, errors.Unwrap(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("there is no certificate in %s", s.CAFile)
	}
	return pool, nil
}

func loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}
