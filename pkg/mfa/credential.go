package mfa

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Credential is what authenticates a request about a subject's authenticators.
type Credential struct {
	Subject string
	Client  string
	Handle  string // the transaction or access token id; only it may confirm what it associates
	// Transaction is the one of an mfa_token: it may enroll the first authenticator and
	// nothing more. Otherwise the credential is an access token for /mfa/.
	Transaction *Transaction
	// Scopes, Audience, Session and ExpiresAt are those of an access token.
	Scopes    []string
	Audience  []string
	Session   record.Session
	ExpiresAt time.Time
}

// Strong reports whether the session behind an access token proved a second factor that
// the subject still has.
func (c Credential) Strong(all []Authenticator) bool { return strong(c.Session.Proofs, all) }

// Stale reports whether the password behind the credential was proved longer ago than
// that. An mfa_token that was the answer to a password never is: it lives too shortly.
func (c Credential) Stale(now time.Time, longest time.Duration) bool {
	proofs := c.Session.Proofs
	if c.Transaction != nil {
		if c.Transaction.Login.Origin == FromPassword {
			return false
		}
		proofs = c.Transaction.Login.Proofs
	}
	return now.Sub(record.PasswordTime(proofs)) > longest
}

// Credential reads an mfa_token that came as a bearer token; the client is the one
// that it was issued to. It fails with fault.BadBearer or fault.MFATokenExpired.
func (o Options) Credential(ctx context.Context, token secret.Text) (Credential, error) {
	h, err := o.Handles.Read(token)
	if err != nil {
		return Credential{}, fault.BadBearer
	}
	if !o.now().Before(h.ExpiresAt) {
		return Credential{}, fault.MFATokenExpired
	}
	t, err := o.load(ctx, h)
	if err == nil {
		err = o.alive(ctx, t)
	}
	if errors.Is(err, fault.MalformedMFAToken) {
		return Credential{}, fault.BadBearer
	}
	if err != nil {
		return Credential{}, err
	}
	return Credential{Subject: t.Login.Subject, Client: t.Login.Client, Handle: t.ID, Transaction: &t}, nil
}

// Window is how long an association waits for its first proof, unless configured
// otherwise: the contract has five minutes for push and the same serves the others.
const Window = 5 * time.Minute
