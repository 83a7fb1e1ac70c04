package sqlstore

import (
	"errors"
	"net/url"
	"path"

	"github.com/sallyport/sallyport/pkg/secret"
)

// Config says which database keeps what must not be lost.
type Config struct {
	URL secret.Text `yaml:"url" required:"true" print:"url" example:"sqlite:///var/lib/sallyport/sallyport.db" doc:"The database: sqlite:///absolute/path.db (one node), or postgres://user:password@host/name."`
}

// SQLitePath returns the absolute path of the database file of a sqlite: URL, or
// false for any other URL. More than three slashes are tolerated: many tools write
// four where the path is absolute.
func (c Config) SQLitePath() (string, bool) {
	u, err := url.Parse(c.URL.Reveal())
	if err != nil || u.Scheme != "sqlite" || u.Host != "" || u.RawQuery != "" || !path.IsAbs(u.Path) {
		return "", false
	}
	return path.Clean(u.Path), true
}

// Validate reports what is wrong, each error as "key: text". The text never quotes the
// URL, which may hold a password.
func (c Config) Validate() error {
	if p, ok := c.SQLitePath(); ok {
		if p == "/" {
			return errors.New("url: name a file, as in sqlite:///var/lib/sallyport/sallyport.db")
		}
		return nil
	}
	u, err := url.Parse(c.URL.Reveal())
	switch {
	case err != nil:
		return errors.New("url: cannot be read as a URL; special characters in a password must be percent-encoded")
	case u.Scheme == "sqlite":
		return errors.New("url: write sqlite:/// and an absolute path without parameters, as in sqlite:///var/lib/sallyport/sallyport.db")
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return errors.New("url: write sqlite:///absolute/path.db or postgres://user:password@host/name")
	case len(u.Path) < 2:
		return errors.New("url: name the database, as in postgres://user@host/sallyport")
	}
	return nil
}
