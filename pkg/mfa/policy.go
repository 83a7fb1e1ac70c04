package mfa

import (
	"slices"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// Demand is what a request and its client say about a second factor.
type Demand struct {
	Mode    record.MFAMode // the client's
	Scopes  bool           // one of the granted scopes is among its API's mfa_scopes
	Factors bool           // the audience is /mfa/: the token could change factors
	Beyond  bool           // and more than that audience's own scopes is granted
	ACR     bool           // acr_values asks for multi-factor
	MaxAge  bool           // max_age was sent: the authentication must be a fresh one
}

// Check refuses what the client can never have, before anybody's password is looked
// at: mfa "off" covers neither the /mfa/ audience nor acr_values and max_age.
func (d Demand) Check() error {
	if d.Mode == record.MFAOff && (d.Factors || d.ACR || d.MaxAge) {
		return fault.FactorOff
	}
	return nil
}

// needs reports whether a second factor must be proved. An enrolled factor is always
// asked for unless the client's explicit "off" says otherwise (R2).
func (d Demand) needs(enrolled bool) bool {
	switch {
	case d.Scopes, d.ACR:
		return true
	case d.Factors && !d.Beyond:
		// Without a factor the token can do no more than the mfa_token that would be
		// handed out instead of it: enroll the first one (Auth0 MFA API, 3.3).
		return enrolled
	case d.Mode == record.MFARequired:
		return true
	case d.Mode == record.MFAOff:
		return false
	default:
		return enrolled
	}
}

// requirement is one entry of mfa_requirements.
type requirement struct {
	Type string `json:"type"`
}

// requirements says what can satisfy the demand: "challenge" with the factors that
// the subject has, or "enroll" with those it may enroll, never both.
func (o Options) requirements(all []Authenticator) map[string]any {
	if !Enrolled(all) {
		return map[string]any{"enroll": o.enrollable()}
	}
	kinds := []requirement{}
	for _, f := range o.Factors { // in their order: what stands in for a factor comes last
		for _, a := range all {
			if k := (requirement{a.Kind()}); a.Type == f.Type() && a.Usable() && !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	return map[string]any{"challenge": kinds}
}

func (o Options) enrollable() []requirement {
	kinds := []requirement{}
	for _, f := range o.Factors {
		if e, ok := f.(Enroller); ok {
			for _, k := range e.Kinds() {
				kinds = append(kinds, requirement{k})
			}
		}
	}
	return kinds
}
