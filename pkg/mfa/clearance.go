package mfa

import (
	"github.com/sallyport/sallyport/pkg/record"
)

// A Clearance says that a login has proved all that policy demands. Tokens are issued
// for a clearance and nothing else, and only [Verifier.Begin] and [Verifier.Verify]
// make one: whatever path leads to a token passes the gate (R1).
type Clearance struct {
	login       Login
	transaction string
	consumes    []record.Consumption
	reply       map[string]any
	valid       bool
}

// Valid reports whether the clearance came from the gate.
func (c Clearance) Valid() bool { return c.valid }

// Login is what was asked for, with every proof.
func (c Clearance) Login() Login { return c.login }

// Consumes is what issuing uses up, to be applied with the tokens or not at all.
func (c Clearance) Consumes() []record.Consumption { return c.consumes }

// Reply holds further members of the token answer, a new recovery code for example.
func (c Clearance) Reply() map[string]any { return c.reply }

// cleared is a clearance without a second factor. Unless the client asks nobody for
// one, it holds only while the subject has none: that is looked at again, under a lock,
// as the tokens are issued.
func cleared(l Login, d Demand) Clearance {
	c := Clearance{login: l, valid: true}
	if d.Mode != record.MFAOff {
		c.consumes = []record.Consumption{record.NoFactor{}}
	}
	return c
}
