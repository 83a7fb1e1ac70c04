package mfatest

import (
	"maps"
	"slices"

	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
)

// state is what consumptions change; an issuance changes a copy of it.
type state struct {
	authenticators []mfa.Authenticator
	redeemed       map[string]bool
}

func (s state) clone() state {
	c := state{authenticators: slices.Clone(s.authenticators), redeemed: maps.Clone(s.redeemed)}
	for i := range c.authenticators {
		c.authenticators[i].Codes = slices.Clone(c.authenticators[i].Codes)
	}
	return c
}

func (s state) find(id string) *mfa.Authenticator {
	for i := range s.authenticators {
		if s.authenticators[i].ID == id {
			return &s.authenticators[i]
		}
	}
	return nil
}

// consume applies one consumption and reports whether it was there to be consumed.
func (s state) consume(i record.Issuance, c record.Consumption) bool {
	switch c := c.(type) {
	case record.Redemption:
		if s.redeemed[c.Kind+" "+c.Hash] {
			return false
		}
		s.redeemed[c.Kind+" "+c.Hash] = true
		return true
	case record.StepUse:
		a := s.used(i, c.Authenticator)
		if a == nil || c.Step <= a.LastStep {
			return false
		}
		a.LastStep = c.Step
		return true
	case record.Approval:
		a := s.used(i, c.Authenticator)
		if a == nil || s.redeemed["oob_code "+c.Challenge] {
			return false
		}
		s.redeemed["oob_code "+c.Challenge] = true
		return true
	case record.BindingCode:
		return s.consume(i, record.Approval(c))
	case record.CodeUse:
		return s.useCode(i, c)
	case record.Confirmation:
		return s.confirm(i, c)
	case record.NoFactor:
		return !slices.ContainsFunc(s.authenticators, func(a mfa.Authenticator) bool {
			return a.Subject == i.Session.Subject && mfa.Enrolled([]mfa.Authenticator{a})
		})
	default:
		return false
	}
}

// used marks a usable authenticator of the subject as used, nil if it is none.
func (s state) used(i record.Issuance, id string) *mfa.Authenticator {
	a := s.find(id)
	if a == nil || a.Subject != i.Session.Subject || !a.Usable() {
		return nil
	}
	a.LastAuth, a.Failures = i.At, 0
	return a
}

func (s state) useCode(i record.Issuance, c record.CodeUse) bool {
	a := s.used(i, c.Authenticator)
	if a == nil {
		return false
	}
	n := slices.Index(a.Codes, mfa.LookupSecret{Hash: c.Hash})
	if n < 0 {
		return false
	}
	a.Codes[n].Used = true
	if c.Replacement != "" {
		a.Codes = append(a.Codes, mfa.LookupSecret{Hash: c.Replacement})
	}
	return true
}

// confirm activates an authenticator, its twins, and recovery codes if there are none.
func (s state) confirm(i record.Issuance, c record.Confirmation) bool {
	var own []*mfa.Authenticator
	codes := false
	for k := range s.authenticators {
		if a := &s.authenticators[k]; a.Subject == i.Session.Subject {
			own = append(own, a)
			codes = codes || a.Active() && a.Type == mfa.RecoveryCode
			if c.First && mfa.Enrolled([]mfa.Authenticator{*a}) {
				return false
			}
		}
	}
	self := s.find(c.Authenticator)
	if !slices.Contains(own, self) || !self.Pending(c.Handle, i.At) || self.Type == mfa.RecoveryCode {
		return false
	}
	for _, a := range own {
		twin := a == self || a.Group != "" && a.Group == self.Group
		if a.Pending(c.Handle, i.At) && (twin || a.Type == mfa.RecoveryCode && !codes) {
			a.ConfirmedAt = i.At
			codes = codes || a.Type == mfa.RecoveryCode
		}
	}
	return true
}
