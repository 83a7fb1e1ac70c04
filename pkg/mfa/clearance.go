package mfa

import (
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// A Clearance says that a login has proved all that policy demands. Tokens are issued
// for a clearance and nothing else, and only [Verifier.Begin], [Verifier.Verify]
// and [Verifier.Confirm] make one: whatever path leads to a token passes the gate (R1).
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

// Transaction is the id of the transaction that was finished, empty when none was needed.
func (c Clearance) Transaction() string { return c.transaction }

// Consumes is what issuing uses up, to be applied with the tokens or not at all.
func (c Clearance) Consumes() []record.Consumption { return c.consumes }

// Issuance is what the login uses up and leaves, without any token yet. A login that goes
// on with no session makes one, under the id.
func (c Clearance) Issuance(now time.Time, id string) record.Issuance {
	l := c.login
	s := record.Session{ID: l.Session, Subject: l.Subject, Client: l.Client, Proofs: l.Proofs}
	if s.ID == "" {
		s.ID, s.CreatedAt = id, now
	}
	e := audit.Event{At: now, Type: audit.TokensIssued, Success: true, Subject: l.Subject, Client: l.Client,
		Session: s.ID, Transaction: c.Transaction(), Grant: l.Grant, Address: l.Address, Authenticators: record.Authenticators(l.Proofs)}
	return record.Issuance{At: now, Session: s, Consumes: c.consumes, Event: e}
}

// Reply holds further members of the token answer, a new recovery code for example.
func (c Clearance) Reply() map[string]any { return c.reply }

// cleared is a clearance without a further proof. For a subject without a factor it holds
// only while that is so, unless the client asks nobody for one: it is looked at again,
// under a lock, as the tokens are issued.
func cleared(l Login, d Demand, enrolled bool) Clearance {
	c := Clearance{login: l, valid: true}
	if d.Mode != record.MFAOff && !enrolled {
		c.consumes = append(c.consumes, record.NoFactor{})
	}
	c.consumes = append(c.consumes, l.rests()...)
	return c
}

// rests is what a login goes on with: it must be good still when tokens are issued.
func (l Login) rests() (all []record.Consumption) {
	if l.Rotates != nil {
		all = append(all, *l.Rotates)
	}
	if l.Access != "" {
		all = append(all, record.InHand{Access: l.Access})
	}
	return all
}

// over is the kind of failure of a clearance whose session, or refresh token, ended before
// it was issued: what it was asked for with is over then.
func (c Clearance) over(issued fault.Kind) (fault.Kind, bool) {
	if issued == fault.MalformedMFAToken && c.transaction == "" && c.login.Origin == FromPassword {
		return fault.WrongPassword, true // it was changed a moment ago
	}
	began := issued == fault.UsedRefreshToken || issued == fault.BadRefreshToken
	switch {
	case issued != fault.NotFound && issued != fault.BadAccessToken && !began:
		return "", false
	case c.transaction != "" || c.login.Origin == FromManagement:
		return fault.MalformedMFAToken, true
	case began:
		return "", false
	case c.login.Origin == FromRefresh:
		return fault.BadRefreshToken, true
	default:
		return fault.BadAccessToken, true
	}
}
