package tracing

import (
	"errors"
	"net/url"
	"strings"
)

// Config says where spans go.
type Config struct {
	Endpoint string `yaml:"endpoint" example:"http://127.0.0.1:4318" doc:"Base URL of a collector that takes OTLP over HTTP; /v1/traces follows. Nothing is traced without it."`
}

// Validate reports what is wrong, as "key: text".
func (c Config) Validate() error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("endpoint: must be an http or https URL with a host, such as http://127.0.0.1:4318")
	case u.User != nil || strings.ContainsAny(c.Endpoint, "?#"):
		return errors.New("endpoint: must have neither a user, a query nor a fragment")
	}
	return nil
}
