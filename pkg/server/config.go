package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// longestDrain is longer than any balancer takes to look.
const longestDrain = 5 * time.Minute

// Config says where the gateway listens and under which name it is known.
type Config struct {
	PublicURL      string         `yaml:"public_url" required:"true" example:"https://login.example.com/" doc:"The issuer, exactly, with its trailing slash; independent of listen. http: for loopback hosts only."`
	Listen         string         `yaml:"listen" required:"true" example:":8443" doc:"host:port of the public listener."`
	TLS            *TLS           `yaml:"tls" optional:"true" doc:"Serves TLS 1.2 and later directly. Leave it out to serve plain http behind a proxy. All its variables unset or empty: left out."`
	Management     Management     `yaml:"management" doc:"The listener for operators, never on the public port."`
	Drain          time.Duration  `yaml:"drain" default:"0s" doc:"How long requests are still taken at a stop, after /readyz has begun to answer 503, so that balancers look elsewhere first. Up to 5m."`
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" example:"[10.0.0.0/8]" doc:"CIDRs whose X-Forwarded-For and traceparent count; none by default."`
}

// TLS names the certificate that the public listener shows.
type TLS struct {
	CertFile string `yaml:"cert_file" required:"true" file:"true" example:"/etc/sallyport/tls.crt" doc:"PEM file: the certificate, followed by its chain."`
	KeyFile  string `yaml:"key_file" required:"true" file:"true" example:"/etc/sallyport/tls.key" doc:"PEM file: the private key of the certificate."`
}

// Management is the listener of probes and metrics.
type Management struct {
	Listen string `yaml:"listen" required:"true" example:"127.0.0.1:9090" doc:"host:port of /livez, /readyz, /startupz and /metrics. Must not be the public port."`
}

// Loopback reports whether a host, without its port, can be reached from this machine
// alone.
func Loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// Validate reports everything that is wrong, each error as "key: text".
func (c Config) Validate() error {
	errs := []error{
		about("public_url", validatePublicURL(c.PublicURL)),
		about("listen", validateListen(c.Listen)),
		about("management.listen", validateListen(c.Management.Listen)),
	}
	if c.Drain < 0 || c.Drain > longestDrain {
		errs = append(errs, errors.New("drain: must be between 0s and 5m"))
	}
	if samePort(c.Listen, c.Management.Listen) {
		errs = append(errs, errors.New("management.listen: must not be the public port; choose another one than listen has"))
	}
	return errors.Join(errs...)
}

func about(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

func validatePublicURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return errors.New("must be a URL such as https://login.example.com/")
	case u.User != nil || strings.ContainsAny(text, "?#"):
		return errors.New("must have neither a user, a query nor a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !Loopback(u.Hostname())):
		return errors.New("must begin with https://; http:// is for loopback hosts only")
	case !strings.HasSuffix(text, "/"):
		return fmt.Errorf("must end in a slash: write %s/", text)
	}
	return nil
}

func validateListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return errors.New("must be host:port, as in 127.0.0.1:8080 or :8080")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port must be a number up to 65535")
	}
	return nil
}

// samePort reports whether two listeners would meet. Port 0 is another port each time.
func samePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB)
}

func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}
