package stepup

import (
	"net/http"
	"strings"
)

// The error codes of a challenge.
const (
	InvalidRequest     = "invalid_request"                  // RFC 6750, section 3.1
	InvalidToken       = "invalid_token"                    // RFC 6750, section 3.1
	InsufficientScope  = "insufficient_scope"               // RFC 6750, section 3.1
	UserAuthentication = "insufficient_user_authentication" // RFC 9470, section 3
)

// A Challenge is why an API refuses a bearer token, and what it wants instead. What is
// not empty is a parameter of the token request that a client goes on with, as it is.
type Challenge struct {
	Error     string
	ACRValues string // acr_values: any of these, between blanks; the best ones first
	MaxAge    string // max_age, in seconds
	Scope     string // all of these, between blanks
}

// String is the challenge as the value of a WWW-Authenticate header. A value with a
// quote, a backslash or a control character in it has no place there.
func (c Challenge) String() string {
	text, separator := "Bearer", " "
	for _, param := range []struct{ name, value string }{
		{"error", c.Error}, {"acr_values", c.ACRValues}, {"max_age", c.MaxAge}, {"scope", c.Scope},
	} {
		if param.value != "" {
			text += separator + param.name + `="` + param.value + `"`
			separator = ", "
		}
	}
	return text
}

// ParseChallenge finds the bearer challenge among those of a refusal (RFC 9110, section
// 11.6.1: there may be several, in one header or in many). It reports false if there is
// none, or none that can be understood.
func ParseChallenge(h http.Header) (Challenge, bool) {
	for _, line := range h.Values("WWW-Authenticate") {
		for _, found := range challenges(line) {
			c := Challenge{
				Error: found.params["error"], ACRValues: found.params["acr_values"],
				MaxAge: found.params["max_age"], Scope: found.params["scope"],
			}
			if found.scheme == "bearer" && c.sound() {
				return c, true
			}
		}
	}
	return Challenge{}, false
}

// sound reports whether every part is what its specification lets it be.
func (c Challenge) sound() bool {
	digits := len(c.MaxAge) <= 10 && !strings.ContainsFunc(c.MaxAge, func(r rune) bool { return r < '0' || r > '9' })
	words := append(append([]string{c.Error}, strings.Split(c.ACRValues, " ")...), strings.Split(c.Scope, " ")...)
	for _, word := range words {
		if word != "" && !scopeToken(word) {
			return false
		}
	}
	return digits
}
