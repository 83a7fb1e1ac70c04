package identity

import (
	"errors"
	"fmt"
)

// Config says how passwords are hashed, and which ones a person may choose.
type Config struct {
	Argon2             Argon2 `yaml:"argon2" doc:"The cost of hashing a password with argon2id."`
	HashingConcurrency int    `yaml:"hashing_concurrency" default:"0" doc:"Passwords hashed at once. 0: one less than the processors, at least 1."`
	Queue              int    `yaml:"queue" default:"64" doc:"Logins that may wait for a hash; the next one is answered 503 with Retry-After."`
	MinLength          int    `yaml:"min_length" doc:"Shortest password that a person may choose, in code points. 8 is enough only where every client asks for a second factor; 15 where a password may stand alone (SP 800-63B, 3.1.1.2)."`
	BlocklistFile      string `yaml:"blocklist_file" file:"true" example:"/etc/sallyport/blocklist.txt" doc:"Further passwords that nobody may choose, one a line."`
}

// Argon2 are the parameters of argon2id (RFC 9106).
type Argon2 struct {
	Memory      uint32 `yaml:"memory" default:"19456" doc:"KiB of memory for one hash."`
	Time        uint32 `yaml:"time" default:"2" doc:"Passes over the memory."`
	Parallelism uint8  `yaml:"parallelism" default:"1" doc:"Lanes of one hash."`
}

// Bounds of the configuration. Memory times passes of 35 MiB is the floor that all
// argon2id settings in use as minimum have in common.
const (
	minMemory  = 7 * 1024
	maxMemory  = 1024 * 1024
	minWork    = 35 * 1024
	minChosen  = 8
	maxChosen  = 64
	maxWaiting = 10_000
)

// Validate reports everything that is wrong, each error as "key: text".
func (c Config) Validate() error {
	var errs []error
	bound := func(key string, value, low, high int) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("%s: must be between %d and %d", key, low, high))
		}
	}
	bound("argon2.memory", int(c.Argon2.Memory), minMemory, maxMemory)
	bound("argon2.time", int(c.Argon2.Time), 1, 20)
	bound("argon2.parallelism", int(c.Argon2.Parallelism), 1, 16)
	if uint64(c.Argon2.Memory)*uint64(c.Argon2.Time) < minWork {
		errs = append(errs, fmt.Errorf("argon2: is weak; memory times time must be at least %d, as with memory 19456 and time 2", minWork))
	}
	if (Params{Memory: c.Argon2.Memory, Time: c.Argon2.Time, Threads: c.Argon2.Parallelism}).Check() != nil && len(errs) == 0 {
		errs = append(errs, errors.New("argon2: costs more than a login can wait for; memory times time may be 4194304 at most"))
	}
	bound("hashing_concurrency", c.HashingConcurrency, 0, 1024)
	bound("queue", c.Queue, 1, maxWaiting)
	bound("min_length", c.MinLength, minChosen, maxChosen)
	return errors.Join(errs...)
}
