package config_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// TestR28GuesserWithThePassword: whoever knows the password and guesses all day long wins
// with at most 1 in 10,000, also against a user with two authenticator apps who logs in
// ten times a day, each of which ends the wait. auth0-compat is as wide as what it is
// compatible with.
func TestR28GuesserWithThePassword(t *testing.T) {
	const apps, codes, logins = 2, 1_000_000, 10
	for _, p := range []config.Profile{config.Recommended, config.NIST, config.Strict} {
		c := config.Default(p)
		limits := c.Throttle.Limits()
		live := apps * (1 + c.OTP.Skew)
		most, guesses := 0, []time.Time{}
		var f throttle.Failures
		begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		for s := range 3 * 24 * 3600 {
			now := begin.Add(time.Duration(s) * time.Second)
			if s%(24*3600/logins) == 0 {
				f.Count = 0
			}
			for limits.Wait(f, now) == 0 { // as fast as the gateway answers
				f, guesses = f.Add(now), append(guesses, now)
			}
			for len(guesses) > 0 && now.Sub(guesses[0]) >= 24*time.Hour {
				guesses = guesses[1:]
			}
			most = max(most, len(guesses))
		}
		if odds := float64(most*live) / codes; odds > 1.0/10_000 || most == 0 {
			t.Errorf("%s: %d guesses a day at %d codes of %d win with %.6f", p, most, live, codes, odds)
		}
	}
}
