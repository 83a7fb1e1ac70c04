package throttle

import "errors"

// Config limits wrong second factors.
type Config struct {
	FreeAttempts int `yaml:"free_attempts" default:"4" doc:"Wrong second factors of a user before waiting starts. Not served by this version: failures are counted, but nobody waits yet."`
}

// Validate reports what is wrong, each error as "key: text".
func (c Config) Validate() error {
	if c.FreeAttempts < 1 || c.FreeAttempts > 10 {
		return errors.New("free_attempts: must be between 1 and 10")
	}
	return nil
}
