package email_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/secret"
)

// TestConfig: nothing is sent readable to another machine, and nothing is half said.
func TestConfig(t *testing.T) {
	_, ca := mailtest.Certificate(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		change func(*email.Config)
		want   string // empty: it is taken
	}{
		{func(*email.Config) {}, ""},
		{func(c *email.Config) { c.From = "no-reply@example.test" }, ""},
		{func(c *email.Config) {
			c.Server.CAFile, c.Server.Username, c.Server.Password = ca, "a", secret.New("b")
		}, ""},
		{func(c *email.Config) { c.Server = email.Server{Host: "mx.example.test", Port: 465, TLS: "implicit"} }, ""},
		{func(c *email.Config) { c.Server = email.Server{Host: "::1", Port: 25, TLS: "none"} }, ""},
		{func(c *email.Config) { c.Server = email.Server{Host: "mx.example.test", Port: 25, TLS: "none"} }, "tls: none is for loopback hosts only"},
		{func(c *email.Config) { c.Fallback = []email.Server{{Host: "192.0.2.1", Port: 25, TLS: "none"}} }, "fallback[0].tls: none is for loopback"},
		{func(c *email.Config) { c.Server.Host = "localhost:25" }, "host: must be a host name alone"},
		{func(c *email.Config) { c.Server.Host = "/run/smtp" }, "host: must be a host name alone"},
		{func(c *email.Config) { c.Server.Username = "a" }, "password: is missing"},
		{func(c *email.Config) { c.Server.Password = secret.New("b") }, "username: is missing"},
		{func(c *email.Config) { c.Server.CAFile = empty }, "ca_file: there is no certificate in "},
		{func(c *email.Config) { c.Server.CAFile = empty + "x" }, "ca_file: cannot read "},
		{func(c *email.Config) { c.From = "me" }, "from: must be an address"},
		{func(c *email.Config) { c.From = "a@b.test, c@d.test" }, "from: must be an address"},
		{func(c *email.Config) { c.From = "a@bücher.example" }, "from: must be an address"},
		{func(c *email.Config) { c.From = "Example\r\nBcc: x@y.test <a@b.test>" }, "from: must be an address"},
	} {
		c := config(nowhere)
		tc.change(&c)
		if err := c.Validate(); tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want %q", c, err, tc.want)
		}
	}
}

func TestRules(t *testing.T) {
	for want, r := range map[string]email.Rules{
		"":             {PerUser: 1},
		"per_user":     {},
		"per_mailbox":  {PerUser: 100, PerMailbox: 1001},
		"per_gateway":  {PerUser: 100, PerMailbox: 1000, PerGateway: -1},
		"per_gateway:": {PerUser: 100, PerMailbox: 1000, PerGateway: 1_000_001},
	} {
		if err := r.Validate(); (want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
