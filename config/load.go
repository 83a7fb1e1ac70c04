package config

import (
	"crypto/tls"
	"fmt"
	"io"
	"slices"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Problem is one thing that is wrong in a file.
type Problem = strict.Problem

// Problems is everything that is wrong, in the order of the files and their lines.
type Problems = strict.Problems

// Load reads and checks a configuration file. ${NAME} in a value is filled from getenv,
// os.LookupEnv outside tests. The error is [Problems]: everything that is wrong.
func Load(path string, getenv func(string) (string, bool)) (*Config, error) {
	c := load(path, getenv)
	if err := c.read.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadTenant reads and checks a tenant file. The error is [Problems].
func LoadTenant(path string, getenv func(string) (string, bool)) (*Tenant, error) {
	t := loadTenant(path, getenv, places{})
	if err := t.read.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// Check reads and checks a configuration file and the tenant files that it names, and
// whether they go together. The error is [Problems] of all files.
func Check(path string, getenv func(string) (string, bool)) (*Config, []*Tenant, error) {
	c := load(path, getenv)
	if err := c.DatabaseFolder(); err != nil {
		c.read.Object("database.url", err.Error())
	}
	problems := c.read.Problems()
	var tenants []*Tenant
	seen := places{}
	for i, file := range c.TenantFiles {
		if !c.read.Sound(fmt.Sprintf("tenant_files[%d]", i)) {
			continue
		}
		t := loadTenant(file, getenv, seen)
		t.against(c, t.read)
		if len(tenants) > 0 {
			t.sameAs(tenants[0])
		}
		problems = append(problems, t.read.Problems()...)
		tenants = append(tenants, t)
	}
	if len(problems) > 0 {
		return nil, nil, problems
	}
	return c, tenants, nil
}

// Against checks whether the tenant goes together with a configuration. The error is
// [Problems].
func (t *Tenant) Against(c *Config) error {
	r := strict.New(t.File, nil)
	if t.read != nil {
		r = t.read.Again()
	}
	t.against(c, r)
	return r.Err()
}

// reading prepares the reading of a configuration file.
func reading(path string, getenv func(string) (string, bool)) *strict.File {
	r := strict.New(path, getenv)
	r.Absent = "name the configuration with --config or SALLYPORT_CONFIG"
	return r
}

func load(path string, getenv func(string) (string, bool)) *Config {
	c := &Config{read: reading(path, getenv)}
	if !c.read.Decode(c) {
		return c
	}
	if !slices.Contains(profiles, c.Profile) {
		c.Profile = Recommended // the default; anything else has been reported
	}
	c.read.Complete(c, c.Profile.defaults())
	c.validate()
	c.refuse()
	return c
}

func loadTenant(path string, getenv func(string) (string, bool), seen places) *Tenant {
	t := &Tenant{File: path, read: strict.New(path, getenv)}
	if !t.read.Decode(t) {
		return t
	}
	t.read.Complete(t, nil)
	t.validate(seen)
	t.Digest = t.read.Digest()
	return t
}

// validate asks every package whether it can live with its settings.
func (c *Config) validate() {
	r := c.read
	r.ObjectTo("", c.Server.Validate())
	r.ObjectTo("database", c.Database.Validate())
	r.ObjectTo("redis", c.Redis.Validate())
	r.ObjectTo("lifetimes", c.Lifetimes.Validate())
	r.ObjectTo("passwords", c.Passwords.Validate())
	r.ObjectTo("otp", c.OTP.Validate())
	r.ObjectTo("recovery", c.Recovery.Validate())
	r.ObjectTo("push", c.Push.Validate())
	r.ObjectTo("throttle", c.Throttle.Validate())
	r.ObjectTo("tracing", c.Tracing.Validate())
	r.ObjectTo("delivery", c.Delivery.Validate())
	r.ObjectTo("messages", c.Messages.Validate())
	if file := c.Secrets.KeyFile; file != "" && r.Sound("secrets.key_file") {
		if _, err := secret.LoadRing(file); err != nil {
			r.Object("secrets.key_file", err.Error())
		}
	}
	if t := c.Server.TLS; t != nil && r.Sound("tls") {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			r.Object("tls", "the certificate cannot be used with its key: "+err.Error())
		}
	}
}

// Print writes the effective configuration as YAML: what the file says, what the
// environment filled in and every default. Secrets are redacted.
func Print(w io.Writer, c *Config) error { return strict.Print(w, c) }
