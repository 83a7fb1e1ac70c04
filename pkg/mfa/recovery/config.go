package recovery

import "errors"

// Config says how many recovery codes a subject has.
type Config struct {
	Codes int `yaml:"codes" doc:"Live recovery codes of a user: 1 (replaced when used), 5 or 10."`
}

// Validate reports what is wrong, each error as "key: text".
func (c Config) Validate() error {
	switch c.Codes {
	case 1, 5, 10:
		return nil
	}
	return errors.New("codes: must be 1, 5 or 10")
}
