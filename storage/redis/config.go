package redis

import (
	"errors"
	"strings"

	"github.com/sallyport/sallyport/pkg/secret"
)

// Config says where short-lived state is kept.
type Config struct {
	URL secret.Text `yaml:"url" required:"true" print:"url" example:"redis://localhost:6379/0" doc:"The state store: redis://user:password@host:6379/0 for one server, redis+sentinel://user:password@host1:26379,host2,host3/master/0 for what Sentinels watch, redis+cluster://user:password@host1:6379,host2,host3 for a Cluster; rediss for redis in any of them means TLS. Or \"embedded:\" to keep the state in this process (one process only)."`
}

// Embedded reports whether the state is kept in process instead of in Redis.
func (c Config) Embedded() bool { return c.URL.Reveal() == "embedded:" }

// Validate reports what is wrong, each error as "key: text". The text never quotes the
// URL, which may hold a password.
func (c Config) Validate() error {
	if c.Embedded() {
		return nil
	}
	if strings.HasPrefix(c.URL.Reveal(), "embedded:") {
		return errors.New("url: write embedded: with nothing behind it")
	}
	if _, err := parsePlace(c.URL.Reveal()); err != nil {
		return errors.New("url: " + err.Error())
	}
	return nil
}
