package stepup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Demand is what a token must show. The zero one is met by every token that is valid
// for the API.
type Demand struct {
	Scopes []string      // all of them
	ACR    string        // [MultiFactor], or what the issuer calls its levels
	MaxAge time.Duration // since the last proof of the user, in whole seconds; zero for any
}

// mustMakeSense panics unless the demand can be written as a challenge and met.
func (d Demand) mustMakeSense() {
	if d.MaxAge < 0 || d.MaxAge%time.Second != 0 {
		panic(fmt.Sprintf("stepup: a MaxAge of %v is not in whole seconds", d.MaxAge))
	}
	for _, name := range d.Scopes {
		if !scopeToken(name) {
			panic(fmt.Sprintf("stepup: %q is not a scope", name))
		}
	}
	if d.ACR != "" && !scopeToken(d.ACR) {
		panic(fmt.Sprintf("stepup: %q is not an acr", d.ACR))
	}
}

// scopeToken reports whether a word can stand in a list between quotes (RFC 6749,
// section 3.3).
func scopeToken(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}

// met says what a token lacks at a moment.
func (d Demand) met(t Token, now time.Time) *refusal {
	lacking := slices.ContainsFunc(d.Scopes, func(s string) bool { return !slices.Contains(t.Scopes, s) })
	scope := ""
	if lacking {
		scope = strings.Join(d.Scopes, " ")
	}
	if d.ACR != "" && t.ACR != d.ACR || d.MaxAge > 0 && !fresh(t.AuthTime, d.MaxAge, now) {
		return insufficient(Challenge{Error: UserAuthentication, ACRValues: d.ACR, MaxAge: d.seconds(), Scope: scope})
	}
	if lacking {
		return insufficient(Challenge{Error: InsufficientScope, Scope: scope})
	}
	return nil
}

// seconds is the max_age of a challenge, empty if any age will do.
func (d Demand) seconds() string {
	if d.MaxAge == 0 {
		return ""
	}
	return strconv.FormatInt(int64(d.MaxAge/time.Second), 10)
}

// fresh reports whether a proof was made at most so long ago, and not in a future that
// no difference of clocks explains.
func fresh(at time.Time, maxAge time.Duration, now time.Time) bool {
	age := now.Sub(at)
	return !at.IsZero() && age <= maxAge && age >= -leeway
}
