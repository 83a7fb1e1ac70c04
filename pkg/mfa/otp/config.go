package otp

import "errors"

// Config says which one-time passwords are accepted.
type Config struct {
	Skew int `yaml:"skew" doc:"How many time steps of the past are accepted beside the current one: 0 or 1. A step is accepted once ever."`
}

// Validate reports what is wrong, each error as "key: text". More than one step of
// delay is more than RFC 6238, 5.2 advises.
func (c Config) Validate() error {
	if c.Skew < 0 || c.Skew > 1 {
		return errors.New("skew: must be 0 (the current step alone) or 1 (also the previous one)")
	}
	return nil
}
