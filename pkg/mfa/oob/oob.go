// Package oob is the factor of second devices (SP 800-63B, 3.1.3): a challenge goes out on a
// channel of its own, and the login goes on once it was answered there, or once the code
// that it carried comes back. What is particular to a channel is a package below this one.
package oob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A Channel reaches a second device.
type Channel interface {
	// Name is the oob_channel.
	Name() string
	// Kind is the factor as mfa_requirements names it.
	Kind() string
	// Methods are the amr values of a login that was finished here (RFC 8176).
	Methods() []string
	// Enroll makes pending authenticators, the channel's own first, and further members of
	// the answer, and says whether the device answers the challenge by itself, or is sent a
	// code.
	Enroll(ctx context.Context, c *Challenge, r mfa.Enrolling) (mfa.Enrollment, error)
	Messenger
}

// A Messenger asks a device that is enrolled.
type Messenger interface {
	// Admit decides whether the device may be asked now. It may choose another binding, and
	// says whether the device answers by itself. It returns the id of the challenge that this
	// one replaces, if there is one.
	Admit(ctx context.Context, c *Challenge, a mfa.Authenticator) (replaced string, err error)
	// Send asks. The code is empty if there is none.
	Send(ctx context.Context, c Challenge, a mfa.Authenticator, code secret.Text) error
}

// Options are what the factor works with; all are needed.
type Options struct {
	Channels []Channel
	Store    Store
	Waiters  *Waiters
	Ring     *secret.Ring
	Lifetime time.Duration // of an oob_code
	Now      func() time.Time
	Random   io.Reader
}

// Factor verifies out-of-band authenticators.
type Factor struct {
	o     Options
	codes *handle.Maker
}

var (
	_ mfa.Awaited    = (*Factor)(nil)
	_ mfa.Challenger = (*Factor)(nil)
	_ mfa.Enroller   = (*Factor)(nil)
	_ mfa.Selective  = (*Factor)(nil)
)

// New makes the factor.
func New(o Options) *Factor {
	return &Factor{o: o, codes: &handle.Maker{Kind: "oob_code", Ring: o.Ring, Random: o.Random}}
}

// Type implements mfa.Factor.
func (*Factor) Type() mfa.AuthenticatorType { return mfa.OOB }

// Params implements mfa.Factor.
func (*Factor) Params() []string { return []string{"oob_code", "binding_code"} }

// Kinds implements mfa.Enroller.
func (f *Factor) Kinds() []string {
	var kinds []string
	for _, c := range f.o.Channels {
		if !slices.Contains(kinds, c.Kind()) {
			kinds = append(kinds, c.Kind())
		}
	}
	return kinds
}

func (f *Factor) now() time.Time { return f.o.Now().UTC().Truncate(time.Millisecond) }

func (f *Factor) channel(name string) (Channel, error) {
	i := slices.IndexFunc(f.o.Channels, func(c Channel) bool { return c.Name() == name })
	if i < 0 {
		return nil, fault.UnknownFactor
	}
	return f.o.Channels[i], nil
}

// Serves implements mfa.Selective.
func (f *Factor) Serves(a mfa.Authenticator) bool {
	_, err := f.channel(a.Channel)
	return err == nil
}

// Enroll implements mfa.Enroller. The answer stands in for that of a challenge (Auth0 MFA
// API, 4.4).
func (f *Factor) Enroll(ctx context.Context, r mfa.Enrolling) (mfa.Enrollment, error) {
	channel, err := f.channel(r.Channel)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	c := Challenge{Handle: r.Handle, Channel: r.Channel, Subject: r.Subject, Client: r.Client, Address: r.Address, Locale: r.Locale}
	code, err := f.begin(&c)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	made, err := channel.Enroll(ctx, &c, r)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	a := made.Authenticators[0]
	a.Subject = r.Subject
	c.Authenticator = a.ID
	digits, err := f.digits(&c)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	if err := f.o.Store.CreateChallenge(ctx, c); err != nil {
		return mfa.Enrollment{}, fault.Because(fault.Unavailable, fmt.Errorf("enroll: %w", err))
	}
	if !c.Answered {
		made.Send = func(ctx context.Context) error {
			if _, err := channel.Admit(ctx, &c, a); err != nil {
				return err
			}
			return channel.Send(ctx, c, a, digits)
		}
	}
	reply := map[string]any{"authenticator_type": string(mfa.OOB), "oob_channel": r.Channel, "id": c.Authenticator}
	maps.Copy(reply, f.members(c, code, digits))
	maps.Copy(reply, made.Reply)
	made.Reply = reply
	return made, nil
}

// begin gives a challenge its oob_code.
func (f *Factor) begin(c *Challenge) (secret.Text, error) {
	c.CreatedAt = f.now()
	c.ExpiresAt = c.CreatedAt.Add(f.o.Lifetime)
	code, h, err := f.codes.Make(c.Handle, c.ExpiresAt)
	c.ID = h.ID
	return code, err
}

// members are those that the answers to a challenge and to an association share (Q7).
func (f *Factor) members(c Challenge, code, digits secret.Text) map[string]any {
	m := map[string]any{"oob_code": code.Reveal(), "expires_in": int(f.o.Lifetime.Seconds()), "interval": int(Interval.Seconds())}
	switch c.Binding {
	case record.BindingPlain:
	case record.BindingToPage:
		m["binding_method"] = "prompt"
	case record.BindingToPhone:
		m["binding_method"], m["binding_code"] = "display", digits.Reveal()
	}
	return m
}

// Challenge implements mfa.Challenger. It is kept before the device is asked: who answers at
// once must find it.
func (f *Factor) Challenge(ctx context.Context, a mfa.Asking) (map[string]any, error) {
	channel, err := f.channel(a.Authenticator.Channel)
	if err != nil {
		return nil, err
	}
	l := a.Transaction.Login
	c := Challenge{
		Handle: a.Transaction.ID, Authenticator: a.Authenticator.ID, Channel: a.Authenticator.Channel, Binding: a.Binding,
		Subject: l.Subject, Client: l.Client, Address: a.Address, Agent: a.Agent, Locale: a.Locale, Audience: l.Audience, Scopes: l.Scopes,
	}
	code, err := f.begin(&c)
	if err != nil {
		return nil, err
	}
	replaced, err := channel.Admit(ctx, &c, a.Authenticator)
	if err != nil {
		return nil, err
	}
	if replaced != "" {
		// It lost its place in SQL; that its polls hear of it soon is all that this is for.
		_ = f.o.Store.Decide(ctx, replaced, Superseded)
	}
	digits, err := f.digits(&c)
	if err != nil {
		return nil, err
	}
	if err := f.o.Store.CreateChallenge(ctx, c); err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("challenge: %w", err))
	}
	if err := channel.Send(ctx, c, a.Authenticator, digits); err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("challenge: %w", err))
	}
	return f.members(c, code, digits), nil
}

// codeDigits is how long a code is that a person carries over (N-OB-3).
const codeDigits = 6

var codes = big.NewInt(1_000_000)

// digits makes the code of a challenge whose binding has one. What a device shows is sealed
// there; of what is sent a keyed hash stays.
func (f *Factor) digits(c *Challenge) (secret.Text, error) {
	if c.Binding == record.BindingPlain {
		return secret.Text{}, nil
	}
	n, err := rand.Int(f.o.Random, codes)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make a code: %w", err)
	}
	code := secret.New(fmt.Sprintf("%0*d", codeDigits, n.Int64()))
	if c.Answered {
		c.Code, err = f.o.Ring.Seal(codePurpose, c.ID, code)
	} else {
		c.Hash, err = f.o.Ring.MAC(codePurpose, c.hashed(code)...)
	}
	return code, err
}

// hashed is what a code is hashed with: it is worth nothing for another login, user or
// client (standards, 5.3).
func (c Challenge) hashed(code secret.Text) []string {
	return []string{c.ID, c.Handle, c.Subject, c.Client, c.Authenticator, code.Reveal()}
}

// codePurpose is what codes are sealed for.
const codePurpose = "binding-code"

// OpenCode opens the code of a challenge.
func (c Challenge) OpenCode(ring *secret.Ring) (secret.Text, error) {
	code, err := ring.Open(codePurpose, c.ID, c.Code)
	if err != nil {
		return secret.Text{}, fmt.Errorf("open a code: %w", err)
	}
	return code, nil
}

// Verify implements mfa.Factor. An approval without the code that it was bound to is not
// enough, nor is the code without the approval.
func (f *Factor) Verify(ctx context.Context, a mfa.Authenticator, p mfa.Proof) (mfa.Verified, error) {
	h, err := f.codes.Read(p["oob_code"])
	if err != nil {
		return mfa.Verified{}, fault.MalformedOOBCode
	}
	c, state, err := f.o.Store.Challenge(ctx, h.ID)
	if errors.Is(err, fault.NotFound) || err == nil && c.Authenticator != a.ID {
		return mfa.Verified{}, fault.MalformedOOBCode
	}
	if err != nil {
		return mfa.Verified{}, fault.Because(fault.Unavailable, err)
	}
	channel, err := f.channel(c.Channel)
	if err != nil {
		return mfa.Verified{}, err
	}
	if err := f.answered(c, state); err != nil {
		return mfa.Verified{}, err
	}
	if c.Binding == record.BindingToPage {
		if err := f.bound(c, p["binding_code"]); err != nil {
			return mfa.Verified{}, err
		}
	}
	return mfa.Verified{Methods: channel.Methods(), Consumes: []record.Consumption{c.consumption()}}, nil
}

// answered reports why a challenge cannot be redeemed now, whatever its code. An approval
// can for a [Window] at least; a code was never good for longer than it was said to be.
func (f *Factor) answered(c Challenge, state State) error {
	if c.Answered {
		_, err := Poll{ID: c.ID}.settle(Polled{State: state, Answered: true, Authenticator: c.Authenticator}, nil)
		return err
	}
	if !f.o.Now().Before(c.ExpiresAt) {
		return fault.OOBCodeExpired
	}
	return nil
}

// consumption is what the challenge comes to.
func (c Challenge) consumption() record.Consumption {
	until := c.ExpiresAt.Add(Window)
	if c.Answered {
		return record.Approval{Authenticator: c.Authenticator, Challenge: c.ID, ExpiresAt: until}
	}
	return record.BindingCode{Authenticator: c.Authenticator, Challenge: c.ID, ExpiresAt: until}
}

// bound compares the code that the client sent with that of the challenge.
func (f *Factor) bound(c Challenge, sent secret.Text) error {
	if sent.Empty() {
		if c.Answered {
			return &fault.Details{Kind: fault.Pending, RetryAfter: Interval}
		}
		return fault.Param(fault.MissingParameter, "binding_code")
	}
	if !c.Answered {
		if !f.o.Ring.Holds(c.Hash) {
			return fmt.Errorf("compare a code: no key of the ring made its hash: %w", fault.Unavailable)
		}
		if !f.o.Ring.CheckMAC(c.Hash, codePurpose, c.hashed(sent)...) {
			return fault.WrongBindingCode
		}
		return nil
	}
	code, err := c.OpenCode(f.o.Ring)
	if err != nil {
		return err
	}
	if !code.Equal(sent) {
		return fault.WrongBindingCode
	}
	return nil
}
