package redis

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/pkg/secret"
)

// Config says where short-lived state is kept.
type Config struct {
	URL secret.Text `yaml:"url" required:"true" print:"url" example:"redis://localhost:6379/0" doc:"The state store: redis://user:password@host:6379/0, rediss:// for TLS, or \"embedded:\" to keep the state in this process (one process only)."`
}

// Embedded reports whether the state is kept in process instead of in Redis.
func (c Config) Embedded() bool { return c.URL.Reveal() == "embedded:" }

// Validate reports what is wrong, each error as "key: text". The text never quotes the
// URL, which may hold a password.
func (c Config) Validate() error {
	if c.Embedded() {
		return nil
	}
	u, err := url.Parse(c.URL.Reveal())
	if err != nil {
		return errors.New("url: cannot be read as a URL; special characters in a password must be percent-encoded")
	}
	switch u.Scheme {
	case "redis", "rediss":
		return validateServer(u)
	case "redis+sentinel", "redis+cluster":
		return errors.New("url: " + u.Scheme + ":// is not served by this version; use redis:// or rediss:// with one server, or embedded:")
	case "embedded":
		return errors.New("url: write embedded: with nothing behind it")
	}
	return errors.New("url: write redis://host:6379/0, rediss://host:6379/0, or embedded: alone")
}

func validateServer(u *url.URL) error {
	if u.Hostname() == "" {
		return errors.New("url: name a host, as in redis://localhost:6379/0")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return errors.New("url: takes no parameters; remove what follows the database number")
	}
	if number := strings.Trim(u.Path, "/"); number != "" {
		if n, err := strconv.Atoi(number); err != nil || n < 0 {
			return errors.New("url: what follows the host must be the number of a database, as in redis://localhost:6379/0")
		}
	}
	return nil
}
