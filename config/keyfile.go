package config

// KeyFile returns the secrets.key_file of a configuration file, for the command that
// makes it: neither it nor anything else of the configuration need be in order. The
// error is [Problems], when the file cannot be read or does not say.
func KeyFile(path string, getenv func(string) (string, bool)) (string, error) {
	c := &Config{read: reading(path, getenv)}
	if decoded := c.read.Decode(c); c.Secrets.KeyFile != "" {
		return c.Secrets.KeyFile, nil
	} else if decoded {
		c.read.Object("secrets.key_file", "is missing; set it, as in key_file: /etc/sallyport/keys.json")
	}
	return "", c.read.Err()
}
