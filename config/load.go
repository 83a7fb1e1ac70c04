package config

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"slices"

	"github.com/sallyport/sallyport/pkg/secret"
)

// Load reads and checks a configuration file. ${NAME} in a value is filled from getenv,
// os.LookupEnv outside tests. The error is [Problems]: everything that is wrong.
func Load(path string, getenv func(string) (string, bool)) (*Config, error) {
	c := load(path, getenv)
	if err := c.read.result(); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadTenant reads and checks a tenant file. The error is [Problems].
func LoadTenant(path string, getenv func(string) (string, bool)) (*Tenant, error) {
	t := loadTenant(path, getenv, places{})
	if err := t.read.result(); err != nil {
		return nil, err
	}
	return t, nil
}

// Check reads and checks a configuration file and the tenant files that it names, and
// whether they go together. The error is [Problems] of all files.
func Check(path string, getenv func(string) (string, bool)) (*Config, []*Tenant, error) {
	c := load(path, getenv)
	problems := c.read.sorted()
	var tenants []*Tenant
	seen := places{}
	for i, file := range c.TenantFiles {
		if !c.read.sound(fmt.Sprintf("tenant_files[%d]", i)) {
			continue
		}
		t := loadTenant(file, getenv, seen)
		t.against(c, t.read)
		problems = append(problems, t.read.sorted()...)
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
	r := &reading{file: t.File, lines: t.read.lines}
	t.against(c, r)
	return r.result()
}

func load(path string, getenv func(string) (string, bool)) *Config {
	c := &Config{read: newReading(path, getenv)}
	root := c.read.parse()
	if root == nil {
		return c
	}
	v := reflect.ValueOf(c).Elem()
	c.read.section(root, "", v)
	if !slices.Contains(profiles, c.Profile) {
		c.Profile = Recommended // the default; anything else has been reported
	}
	c.read.settle(v, "", c.Profile)
	c.read.require(v, "")
	c.read.validate(c)
	c.read.refuse(c)
	return c
}

func loadTenant(path string, getenv func(string) (string, bool), seen places) *Tenant {
	t := &Tenant{File: path, read: newReading(path, getenv)}
	root := t.read.parse()
	if root == nil {
		return t
	}
	v := reflect.ValueOf(t).Elem()
	t.read.section(root, "", v)
	t.read.settle(v, "", Recommended)
	t.read.require(v, "")
	t.validate(seen)
	t.Digest = t.read.digest()
	return t
}

// require reports what must be set and is not.
func (r *reading) require(section reflect.Value, path string) {
	for _, f := range fields(section.Type()) {
		at, v := join(path, f.key), f.in(section)
		_, nested := f.section()
		_, list := f.element()
		switch {
		case nested && v.Kind() == reflect.Pointer:
			if !v.IsNil() {
				r.require(v.Elem(), at)
			}
		case nested:
			r.require(v, at)
		case list:
			for i := range v.Len() {
				r.require(v.Index(i), fmt.Sprintf("%s[%d]", at, i))
			}
		case f.Tag.Get("required") != "" && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0):
			r.object(at, r.absence(f, at))
		}
	}
}

func (r *reading) absence(f field, path string) string {
	if _, stands := r.lines[path]; stands {
		return "is empty; it must be set"
	}
	return fmt.Sprintf("is missing; set it, as in %s: %s", f.key, f.Tag.Get("example"))
}

// validate asks every package whether it can live with its settings.
func (r *reading) validate(c *Config) {
	r.objectTo("", c.Server.Validate())
	r.objectTo("database", c.Database.Validate())
	r.objectTo("redis", c.Redis.Validate())
	r.objectTo("lifetimes", c.Lifetimes.Validate())
	r.objectTo("passwords", c.Passwords.Validate())
	r.objectTo("otp", c.OTP.Validate())
	r.objectTo("recovery", c.Recovery.Validate())
	r.objectTo("throttle", c.Throttle.Validate())
	r.objectTo("delivery", c.Delivery.Validate())
	if file := c.Secrets.KeyFile; file != "" && r.sound("secrets.key_file") {
		if _, err := secret.LoadRing(file); err != nil {
			r.object("secrets.key_file", err.Error())
		}
	}
	if t := c.Server.TLS; t != nil && r.sound("tls") {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			r.object("tls", "the certificate cannot be used with its key: "+err.Error())
		}
	}
}
