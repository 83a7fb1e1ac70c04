package mfa

import (
	"slices"
	"time"

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
	Anew    bool           // more is asked for than the session in hand gave: it must be stepped up
	MaxAge  *time.Duration // how old the authentication may be; nil: max_age was not sent
}

// Check refuses what the client can never have, before anybody's password is looked
// at: mfa "off" covers neither the /mfa/ audience nor acr_values and max_age.
func (d Demand) Check() error {
	if d.Mode == record.MFAOff && (d.Factors || d.ACR || d.MaxAge != nil) {
		return fault.FactorOff
	}
	return nil
}

// asks reports whether a second factor must be proved now. What the session in hand has
// proved counts, if it is new enough and the subject has that factor still (fixtures,
// settled points). Without a session the first factor was proved a moment ago.
func (d Demand) asks(l Login, all []Authenticator, now time.Time) bool {
	needed := d.needs(Enrolled(all))
	switch {
	case l.Session == "":
		return needed
	case d.Anew, d.stale(record.AuthTime(l.Proofs), now):
		return true
	default:
		return needed && !(proved(l.Proofs, all) && (!d.ACR || multiFactor(l.Proofs, all)))
	}
}

// stale reports whether an authentication is older than max_age allows; none is new enough
// for 0. auth_time is told in whole seconds: an API that reads it must never find it older
// than the gateway does, or a client would step up in vain for ever.
func (d Demand) stale(authTime, now time.Time) bool {
	return d.MaxAge != nil && (*d.MaxAge == 0 || now.Sub(authTime.Truncate(time.Second)) > *d.MaxAge)
}

// proved reports whether a session proved a second factor that the subject still has. One
// that was opened before its user had any is weak, and stays so (R6).
func proved(proofs []record.Proof, all []Authenticator) bool {
	return slices.ContainsFunc(live(proofs, all), func(p record.Proof) bool { return p.Authenticator != "" })
}

// multiFactor reports whether these were factors of two classes, which a mailbox is not.
func multiFactor(proofs []record.Proof, all []Authenticator) bool {
	return record.ACR(live(proofs, all)) == record.MultiFactor
}

// strong reports whether a session proved a second factor that is as good as any that the
// subject has. Who proved a mailbox, where passwords are reset as well, changes none of
// those who have a better one.
func strong(proofs []record.Proof, all []Authenticator) bool {
	better := func(a Authenticator) bool { return Enrolled([]Authenticator{a}) && a.Channel != emailChannel }
	return multiFactor(proofs, all) || proved(proofs, all) && !slices.ContainsFunc(all, better)
}

// emailChannel is the one that never raises acr, and that nobody is told to enroll first.
const emailChannel = "email"

// live are the proofs of passwords, and of authenticators that the subject has still.
func live(proofs []record.Proof, all []Authenticator) []record.Proof {
	return slices.DeleteFunc(slices.Clone(proofs), func(p record.Proof) bool {
		return p.Authenticator != "" && !slices.ContainsFunc(all, func(a Authenticator) bool { return a.ID == p.Authenticator && a.Active() })
	})
}

// needs reports whether a second factor must have been proved. An enrolled factor is always
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
		for _, a := range o.served(all) {
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
				if k != emailChannel { // Auth0 MFA API, 3.3
					kinds = append(kinds, requirement{k})
				}
			}
		}
	}
	return kinds
}
