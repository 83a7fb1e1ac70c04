package mfa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// Options are what a [Verifier] and a [Registrar] work with; all are needed.
type Options struct {
	Factors        []Factor
	Authenticators AuthenticatorStore
	Transactions   TransactionStore
	Limiter        throttle.Limiter
	Limits         throttle.Limits
	Audit          audit.Log
	Handles        *handle.Maker // of mfa_tokens
	Lifetime       time.Duration // of an mfa_token
	Enrolling      time.Duration // how long an association waits for its first proof
	PasswordProof  time.Duration // how old the password's proof may be for the first enrollment
	VerifiedFirst  bool          // the first factor is for subjects whose address is verified
	Requirements   bool          // say in mfa_required which factors there are (Q3)
	Now            func() time.Time
}

// Verifier judges logins: whether a second factor is demanded, and whether it was
// proved.
type Verifier struct{ Options }

// NewVerifier makes a verifier.
func NewVerifier(o Options) *Verifier { return &Verifier{Options: o} }

func (o Options) now() time.Time { return o.Now().UTC().Truncate(time.Millisecond) }

// Begin is the gate behind every first factor. It returns a clearance when nothing
// more is needed, else fault.MFARequired with the members of that answer, or
// fault.FactorOff when this client cannot ask its users for a factor.
func (v *Verifier) Begin(ctx context.Context, l Login, d Demand) (Clearance, error) {
	if err := d.Check(); err != nil {
		return Clearance{}, err
	}
	all, err := v.Authenticators.Authenticators(ctx, l.Subject, v.now())
	if err != nil {
		return Clearance{}, fault.Because(fault.Unavailable, fmt.Errorf("begin: %w", err))
	}
	if l.Session != "" {
		l.Proofs = live(l.Proofs, all) // tokens tell of no factor that is gone
	}
	if !d.asks(l, all, v.now()) {
		return cleared(l, d, Enrolled(all)), nil
	}
	if d.Mode == record.MFAOff {
		return Clearance{}, fault.FactorOff
	}
	token, err := v.open(ctx, l, factors(all))
	if err != nil {
		return Clearance{}, err
	}
	members := map[string]any{"mfa_token": token.Reveal()}
	if v.Requirements {
		members["mfa_requirements"] = v.requirements(all)
	}
	return Clearance{}, &fault.Details{Kind: fault.MFARequired, Extra: members}
}

// open begins a transaction and returns its mfa_token.
func (v *Verifier) open(ctx context.Context, l Login, factors []string) (secret.Text, error) {
	now := v.now()
	token, handle, err := v.Handles.Make(l.Client, now.Add(v.Lifetime))
	if err != nil {
		return secret.Text{}, err
	}
	t := Transaction{ID: handle.ID, Login: l, Factors: factors, CreatedAt: now, ExpiresAt: handle.ExpiresAt}
	if err := v.Transactions.CreateTransaction(ctx, t); err != nil {
		return secret.Text{}, fault.Because(fault.Unavailable, fmt.Errorf("open a transaction: %w", err))
	}
	e := audit.Event{At: now, Type: audit.FactorDemanded, Success: true,
		Subject: l.Subject, Client: l.Client, Session: l.Session, Transaction: t.ID, Grant: l.Grant, Address: l.Address}
	if err := v.Audit.Append(ctx, e); err != nil {
		return secret.Text{}, fault.Because(fault.Unavailable, fmt.Errorf("open a transaction: %w", err))
	}
	return token, nil
}

// Handles makes and reads mfa_tokens.
func Handles(ring *secret.Ring, random io.Reader) *handle.Maker {
	return &handle.Maker{Kind: "mfa_token", Ring: ring, Random: random}
}

// Attempt is one try to finish a transaction.
type Attempt struct {
	Token  secret.Text // the mfa_token
	Client string      // the client that sent it, authenticated
	Type   AuthenticatorType
	Proof  Proof
	Scopes []string // what is left of the scopes asked for at first; nil: all
	// Audience repeats the one asked for at first; empty: the same.
	Audience string
	Grant    string
	Address  string
	Wait     time.Duration // how long the client waits for an answer that is given elsewhere

	transaction string         // the id of what it would finish
	factor      Factor         // set by [Verifier.Await], as what follows is
	read        *handle.Handle // the mfa_token
	named       *Answered      // the one authenticator that the proof is about; nil: any of its type
}

// narrow is what is left of scopes.
func (a Attempt) narrow(scopes []string) []string {
	if a.Scopes == nil {
		return scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(a.Scopes, s) })
}

func (a Attempt) proof() Proof {
	p := Proof{"mfa_token": a.Token}
	maps.Copy(p, a.Proof)
	return p
}

// Await is the part of [Verifier.Verify] that needs no database: it waits for an answer that
// is given elsewhere. Whoever answers polls calls it by itself, and goes on with what it
// returns once there is more to look at.
func (v *Verifier) Await(ctx context.Context, a Attempt) (Attempt, error) {
	h, err := v.read(a.Token, a.Client)
	if err != nil {
		return a, err
	}
	f, ok := v.Factor(a.Type)
	if !ok {
		return a, fault.UnknownFactor
	}
	a.read, a.factor = &h, f
	a.named, err = a.await(ctx, f, h.ID)
	return a, err
}

// Verify judges a proof of the second factor. A wrong one is counted durably before
// Verify returns; a right one is used up when the clearance is issued.
func (v *Verifier) Verify(ctx context.Context, a Attempt) (Clearance, error) {
	var err error
	if a.read == nil {
		if a, err = v.Await(ctx, a); err != nil {
			return Clearance{}, err
		}
	}
	t, err := v.load(ctx, *a.read)
	if err != nil {
		return Clearance{}, err
	}
	if a.Audience != "" && !slices.Contains(t.Login.Audience, a.Audience) {
		return Clearance{}, fault.Param(fault.BadRequest, "The mfa_token was issued for another audience.")
	}
	tried, err := v.candidates(ctx, t, a.Type, a.named)
	if err != nil {
		return Clearance{}, err
	}
	// A transaction that is over, though it is remembered, says nothing about proofs. It is
	// asked for whatever the proof is, or the time would tell a right one during a wait.
	over := v.alive(ctx, t)
	proved, verified, err := try(ctx, a.factor, tried, a.proof())
	lost := lost(err)
	if over != nil && lost == nil {
		// But who was blocked is told so by issuing, with the right one.
		if _, gone := v.Authenticators.Account(ctx, t.Login.Subject); err != nil || !errors.Is(gone, fault.UserBlocked) {
			return Clearance{}, over
		}
	}
	a.transaction = t.ID
	err = v.let(ctx, t.Login, a, tried, err)
	if lost != nil && fault.Of(err).Replay() {
		return Clearance{}, &fault.Details{Kind: fault.MalformedMFAToken, Extra: lost, Err: err}
	}
	if err != nil {
		return Clearance{}, err
	}
	return v.clear(t, a, proved, verified), nil
}

// read checks a token in the order of the contract (3.4): readable, in its lifetime, this
// client's. Whether it was consumed the transaction tells.
func (v *Verifier) read(token secret.Text, client string) (handle.Handle, error) {
	h, err := v.Handles.Read(token)
	switch {
	case err != nil:
		return handle.Handle{}, fault.MalformedMFAToken
	case !v.now().Before(h.ExpiresAt):
		return handle.Handle{}, fault.MFATokenExpired
	case !h.For(client):
		return handle.Handle{}, fault.ForeignMFAToken
	default:
		return h, nil
	}
}

func (o Options) load(ctx context.Context, h handle.Handle) (Transaction, error) {
	t, err := o.Transactions.Transaction(ctx, h.ID)
	if errors.Is(err, fault.NotFound) {
		return Transaction{}, fault.MalformedMFAToken
	}
	if err != nil {
		return Transaction{}, fault.Because(fault.Unavailable, fmt.Errorf("load a transaction: %w", err))
	}
	return t, nil
}

// alive refuses a transaction that is over though the state store has it still. Issuing
// looks at the same things once more, under a lock.
func (o Options) alive(ctx context.Context, t Transaction) error {
	ok, err := o.Authenticators.Alive(ctx, t)
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("look at a transaction: %w", err))
	}
	if !ok {
		return fault.MalformedMFAToken
	}
	return nil
}

// Factor returns the factor of a type, if there is one.
func (o Options) Factor(t AuthenticatorType) (Factor, bool) {
	i := slices.IndexFunc(o.Factors, func(f Factor) bool { return f.Type() == t })
	if i < 0 {
		return nil, false
	}
	return o.Factors[i], true
}

// served leaves out what no factor here can verify: a user may have enrolled it with an
// earlier configuration, or elsewhere.
func (o Options) served(all []Authenticator) []Authenticator {
	var out []Authenticator
	for _, a := range all {
		if o.Serves(a) {
			out = append(out, a)
		}
	}
	return out
}

// Serves reports whether there is a factor that can verify the authenticator.
func (o Options) Serves(a Authenticator) bool {
	f, ok := o.Factor(a.Type)
	if s, selective := f.(Selective); selective {
		return s.Serves(a)
	}
	return ok
}

// lost is what a refusal tells of an answer that was lost, nil if it tells nothing.
func lost(refusal error) map[string]any {
	var d *fault.Details
	if !errors.As(refusal, &d) || len(d.Extra) == 0 {
		return nil
	}
	return d.Extra
}

// let answers for a proof that was held against authenticators: whether it was right is
// told only outside of a wait. A wrong one counts, before anybody hears of it; a right one
// that was used before does not (fixtures, settled points), but is recorded as well.
func (v *Verifier) let(ctx context.Context, l Login, a Attempt, tried []Authenticator, cause error) error {
	kind := fault.Of(cause)
	if cause != nil && !kind.Guess() && !kind.Replay() {
		return cause
	}
	e := audit.Event{At: v.now(), Type: audit.FactorRefused, Reason: kind.Error(), Subject: l.Subject,
		Client: l.Client, Transaction: a.transaction, Grant: a.Grant, Address: a.Address}
	for _, t := range tried {
		e.Authenticators = append(e.Authenticators, t.ID)
	}
	attempt := throttle.Attempt{Subject: l.Subject, Authenticators: e.Authenticators, Wrong: kind.Guess(), Event: e}
	if a.named != nil {
		attempt.Challenge = a.named.Challenge
	}
	if l.Origin != FromPassword {
		attempt.Session = l.Session
	}
	err := v.Limiter.Attempt(ctx, attempt, v.Limits)
	if err == nil && kind.Replay() {
		err = v.Audit.Append(ctx, e)
	}
	if err != nil {
		// A guess that cannot be counted is not answered (R9).
		return fault.Because(fault.Unavailable, fmt.Errorf("let an attempt through: %w", err))
	}
	return cause
}

// clear makes the clearance of a transaction whose second factor held.
func (v *Verifier) clear(t Transaction, a Attempt, proved Authenticator, got Verified) Clearance {
	l := t.Login
	l.Grant, l.Address = a.Grant, a.Address
	l.Proofs = append(slices.Clone(l.Proofs), record.Proof{Methods: got.Methods, Authenticator: proved.ID, At: v.now()})
	l.Scopes = a.narrow(l.Scopes)
	l.Until = time.Time{} // what bounds a token in hand does not bound a new proof
	consumes := []record.Consumption{record.Redemption{Kind: "mfa_token", Hash: t.ID, ExpiresAt: t.ExpiresAt, Began: t.CreatedAt}}
	consumes = append(consumes, l.rests()...)
	if !proved.Active() {
		consumes = append(consumes, record.Confirmation{Authenticator: proved.ID, Handle: t.ID, First: true})
	}
	return Clearance{
		login: l, transaction: t.ID, valid: true,
		consumes: append(consumes, got.Consumes...),
		reply:    got.Reply,
	}
}

// endTimeout bounds how long an answer waits for the state store to forget.
const endTimeout = 500 * time.Millisecond

// Finish ends a clearance once it was issued, or failed to be: issued is the error of
// issuing, and is returned. Of several that raced for the same proof the losers are
// recorded here; they count as no guess.
func (v *Verifier) Finish(ctx context.Context, c Clearance, issued error) error {
	if issued == nil {
		// An answer with members of its own may be lost, and be asked for again.
		if c.transaction != "" && len(c.reply) == 0 {
			// The fence in SQL has ended the transaction already, so a failure to forget it
			// changes nothing; it makes room, also when the client has hung up.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
			defer cancel()
			_ = v.Transactions.EndTransaction(ctx, c.transaction)
		}
		return nil
	}
	e := audit.Event{At: v.now(), Type: audit.TokensRefused, Reason: fault.Of(issued).Error(),
		Subject: c.login.Subject, Client: c.login.Client, Transaction: c.transaction,
		Grant: c.login.Grant, Address: c.login.Address, Authenticators: record.Authenticators(c.login.Proofs)}
	if err := v.Audit.Append(ctx, e); err != nil {
		return &fault.Details{Kind: fault.Unavailable, Err: errors.Join(err, issued)}
	}
	if kind, ok := c.over(fault.Of(issued)); ok {
		return &fault.Details{Kind: kind, Err: issued}
	}
	return issued
}
