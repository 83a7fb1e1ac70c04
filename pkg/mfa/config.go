package mfa

import (
	"errors"
	"time"
)

// Longest is how long an out-of-band secret may be accepted at most (SP 800-63B,
// 3.1.3.2), and with it everything else between two factors.
const Longest = 10 * time.Minute

// Config says how long a login may take between its factors.
type Config struct {
	TokenLifetime   time.Duration `yaml:"mfa_token" doc:"How long an mfa_token is good; at most 10m."`
	PasswordProof   time.Duration `yaml:"password_proof" doc:"How long after the password was proved a refreshed or stepped-up session may enroll the first factor; at most 1h."`
	OOBCodeLifetime time.Duration `yaml:"oob_code" doc:"How long an oob_code is good; at most 10m."`
}

// Validate reports everything that is wrong, each error as "key: text".
func (c Config) Validate() error {
	var errs []error
	if c.TokenLifetime < time.Second || c.TokenLifetime > Longest {
		errs = append(errs, errors.New("mfa_token: must be between 1s and 10m"))
	}
	if c.PasswordProof < time.Second || c.PasswordProof > time.Hour {
		errs = append(errs, errors.New("password_proof: must be between 1s and 1h"))
	}
	if c.OOBCodeLifetime < time.Second || c.OOBCodeLifetime > Longest {
		errs = append(errs, errors.New("oob_code: must be between 1s and 10m"))
	}
	return errors.Join(errs...)
}
