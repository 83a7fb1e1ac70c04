package throttle

import (
	"errors"
	"fmt"
)

// Config limits attempts.
type Config struct {
	FreeAttempts     int `yaml:"free_attempts" default:"4" doc:"Wrong second factors of a user before waiting starts: a second, then longer, an hour at last. A completed login ends it."`
	DailyAttempts    int `yaml:"daily_attempts" doc:"Wrong second factors of a user that are looked at in any 24 hours; no login ends that."`
	DisableAfter     int `yaml:"disable_after" doc:"Wrong proofs of an authenticator since its own last success that disable it, until its owner's factors are reset; at most 100."`
	PasswordAttempts int `yaml:"password_attempts" default:"10" doc:"Wrong passwords for a user from one address at a time; one more every six minutes."`
	AddressAttempts  int `yaml:"address_attempts" default:"100" doc:"Wrong passwords from one address at a time, whoever they are for; one more every 36 seconds."`
}

// Validate reports what is wrong, each error as "key: text".
func (c Config) Validate() error {
	var errs []error
	for _, l := range []struct {
		name       string
		value, max int
		why        string
	}{
		{"free_attempts", c.FreeAttempts, 10, ""}, {"daily_attempts", c.DailyAttempts, 240, ""},
		{"disable_after", c.DisableAfter, 100, " (SP 800-63B, 3.2.2)"},
		{"password_attempts", c.PasswordAttempts, 100, ""}, {"address_attempts", c.AddressAttempts, 100_000, ""},
	} {
		if l.value < 1 || l.value > l.max {
			errs = append(errs, fmt.Errorf("%s: must be between 1 and %d%s", l.name, l.max, l.why))
		}
	}
	return errors.Join(errs...)
}

// Limits are those of second factors.
func (c Config) Limits() Limits {
	return Limits{Free: c.FreeAttempts, Daily: c.DailyAttempts, Disable: c.DisableAfter}
}
