// Package record describes what lasts about a login: clients, APIs, sessions,
// tokens, and what a login uses up.
//
// Its heart is [Store.Issue]: everything that a finished login consumes, the tokens
// it yields and its audit event are committed together or not at all.
package record

import (
	"slices"
	"time"
)

// MultiFactor is the acr of a session that proved two factors of different classes;
// Auth0 applications test for this very URI (O-AC-4).
const MultiFactor = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"

// Proof is one thing that a subject has proved.
type Proof struct {
	Methods       []string  `json:"methods"`                 // amr values (RFC 8176)
	Authenticator string    `json:"authenticator,omitempty"` // empty for the first factor
	At            time.Time `json:"at"`
	// PasswordAt is when the password that was proved had been set: issuing compares it
	// with the one in place. Zero for every other proof, and in a session that is kept.
	PasswordAt time.Time `json:"password_at,omitzero"`
}

// Session is a subject's authenticated presence at one client. Tokens, refresh
// families and transactions name it; amr, acr and auth_time are computed from it.
type Session struct {
	ID        string
	Subject   string
	Client    string
	Proofs    []Proof // oldest first
	CreatedAt time.Time
}

// The classes of factors: what somebody knows, and what somebody has. A private amr
// value for e-mail is in neither, so that e-mail never raises acr (SP 800-63B).
var (
	knowledge  = []string{"pwd", "pin", "kba"}
	possession = []string{"otp", "sms", "tel", "swk", "hwk", "recovery_code"}
)

// AMR lists the methods proved, in order, and "mfa" when two different classes of
// factors were (RFC 8176; R26).
func AMR(proofs []Proof) []string {
	var amr []string
	for _, p := range proofs {
		for _, m := range p.Methods {
			if !slices.Contains(amr, m) {
				amr = append(amr, m)
			}
		}
	}
	if multiFactor(amr) && !slices.Contains(amr, "mfa") {
		amr = append(amr, "mfa")
	}
	return amr
}

// ACR is [MultiFactor] or empty.
func ACR(proofs []Proof) string {
	if multiFactor(AMR(proofs)) {
		return MultiFactor
	}
	return ""
}

// AuthTime is the time of the latest proof.
func AuthTime(proofs []Proof) time.Time {
	var latest time.Time
	for _, p := range proofs {
		if p.At.After(latest) {
			latest = p.At
		}
	}
	return latest
}

// Authenticators are the ids of those that were proved.
func Authenticators(proofs []Proof) (ids []string) {
	for _, p := range proofs {
		if p.Authenticator != "" {
			ids = append(ids, p.Authenticator)
		}
	}
	return ids
}

// PasswordTime is when the subject last proved its password; zero: never.
func PasswordTime(proofs []Proof) time.Time {
	return AuthTime(slices.DeleteFunc(slices.Clone(proofs), func(p Proof) bool {
		return p.Authenticator != "" || !slices.Contains(p.Methods, "pwd")
	}))
}

func multiFactor(amr []string) bool {
	in := func(class []string) bool {
		return slices.ContainsFunc(amr, func(m string) bool { return slices.Contains(class, m) })
	}
	return in(knowledge) && in(possession)
}
