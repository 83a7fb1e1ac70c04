package guardian

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/pkg/throttle"
)

const (
	endpointResolve = "/api/resolve-transaction"
	answerLife      = 300 * time.Second
)

// theft are beginnings of words by which people say that it was not they who logged in
// (section 14.4), in the languages of the apps that we know.
var theft = []string{
	"hack", "fraud", "suspicious", // also gehackt, hackeado, fraude
	"betrug", "verdächtig", "pirat", "suspect", "sospech", "sospett",
}

// answer is what a phone decided, and what it says of itself.
type answer struct {
	accepted   bool
	reason     string
	identifier string
	code       secret.Text // of code_to_phone
}

// Resolve takes a phone's answer to a challenge, and judges it in the order of section 8.1.
// The same answer again is taken again, because phones repeat what got no reply.
func (p *Protocol) Resolve(ctx context.Context, token secret.Text, body []byte, from From) error {
	t, err := p.o.Transactions.Read(ctx, token)
	if err != nil {
		return err
	}
	c, err := p.challenge(ctx, t)
	if err != nil {
		return p.refused(ctx, asked(c, from), err)
	}
	d, a, err := p.judge(ctx, c, body)
	if err != nil {
		return p.refused(ctx, asked(c, from), err)
	}
	if a.accepted && c.Binding == record.BindingToPhone {
		if err := p.bound(ctx, c, a.code, from); err != nil {
			return err
		}
	}
	return p.decide(ctx, c, a, told(a, d, from))
}

// asked is the beginning of the record of an answer.
func asked(c oob.Challenge, from From) audit.Event {
	e := audit.Event{Subject: c.Subject, Client: c.Client, Transaction: c.Handle, Address: from.Address}
	if c.Authenticator != "" {
		e.Authenticators = []string{c.Authenticator}
	}
	return e
}

// challenge finds the one of a transaction if it is live: also once it is answered, for its
// phone may repeat itself. Of one that is over it returns what is known, for the record.
func (p *Protocol) challenge(ctx context.Context, t push.Transaction) (oob.Challenge, error) {
	if !p.now().Before(t.ExpiresAt) {
		return oob.Challenge{Subject: t.Subject}, fault.BadDeviceToken
	}
	c, state, err := p.o.Challenges.Challenge(ctx, t.Challenge)
	if errors.Is(err, fault.NotFound) {
		return oob.Challenge{Subject: t.Subject}, fault.ChallengeNotFound
	}
	if err != nil {
		return c, fault.Because(fault.Unavailable, fmt.Errorf("read a challenge: %w", err))
	}
	live := []oob.State{oob.Pending, oob.Approved, oob.Denied}
	if !slices.Contains(live, state) {
		return c, fault.ChallengeNotFound
	}
	return c, nil
}

// judge reads a phone's answer. The key is that of the device which the challenge names;
// nothing that was sent chooses it.
func (p *Protocol) judge(ctx context.Context, c oob.Challenge, body []byte) (oob.Device, answer, error) {
	m, err := parseMembers(body)
	if err != nil {
		return oob.Device{}, answer{}, err
	}
	response, ok := m.text("challenge_response")
	if !ok {
		return oob.Device{}, answer{}, fault.Param(fault.BadRequest, "challenge_response")
	}
	d, key, err := p.device(ctx, push.DeviceOf(c.Authenticator), fault.DeviceNotFound)
	if err != nil {
		return oob.Device{}, answer{}, err
	}
	a, err := p.answer(c, key, response)
	return d, a, fault.Because(fault.BadAnswer, err)
}

// answer verifies the signed part of an answer, steps 4 to 8.
func (p *Protocol) answer(c oob.Challenge, key *signer.DeviceKey, response string) (a answer, err error) {
	var claims members
	if _, err := key.Verify(response, &claims); err != nil {
		return answer{}, err
	}
	subject, _ := claims.text("sub")
	aud, _ := claims.text("aud")
	method, _ := claims.text("auth0_guardian_method")
	accepted, decided := claims.boolean("auth0_guardian_accepted")
	switch {
	case subtle.ConstantTimeCompare([]byte(subject), []byte(c.ID)) != 1:
		return answer{}, errors.New("an answer to another challenge")
	case !p.audience(aud, endpointResolve, true):
		return answer{}, errors.New("an answer for somebody else")
	case !p.timely(claims, answerLife):
		return answer{}, errors.New("an answer of another time")
	case method != "push" || !decided:
		return answer{}, errors.New("an answer that decides nothing")
	}
	a.accepted = accepted
	a.reason, _ = claims.text("auth0_guardian_reason")
	a.identifier, _ = claims.text("iss")
	code, _ := claims.text("gw_binding_code")
	a.code = secret.New(code)
	return a, nil
}

// bound compares the code that a person carried from the page to the phone. A wrong one is
// a guess, counted with all others of the subject; none at all is an app that knows no codes.
func (p *Protocol) bound(ctx context.Context, c oob.Challenge, sent secret.Text, from From) error {
	if sent.Empty() {
		return p.refused(ctx, asked(c, from), fault.Because(fault.BadAnswer, errors.New("an answer without the code")))
	}
	code, err := c.OpenCode(p.o.Ring)
	if err != nil {
		return err
	}
	wrong := !code.Equal(sent)
	e := asked(c, from)
	e.At, e.Type, e.Reason = p.now(), audit.AnswerRefused, fault.WrongBindingCode.Error()
	err = p.o.Limiter.Attempt(ctx, throttle.Attempt{
		Subject: c.Subject, Authenticators: e.Authenticators, Wrong: wrong, Event: e,
	}, p.o.Limits)
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("let a code through: %w", err))
	}
	if wrong {
		return fault.WrongBindingCode
	}
	return nil
}

// told is what the record says of an answer beside who gave it.
func told(a answer, d oob.Device, from From) audit.Event {
	var parts []string
	for _, part := range []string{a.reason, from.Agent, appName(from.App)} {
		if part = printable(part, textLimit); part != "" {
			parts = append(parts, part)
		}
	}
	if a.identifier != d.Identifier {
		// A phone that was set up anew has a new one, and the key of before (8.1, step 9).
		parts = append(parts, "another identifier than at enrollment")
	}
	return audit.Event{Reason: printable(strings.Join(parts, "; "), textLimit), Address: from.Address}
}

// decide records the answer where it lasts, and then lets the client hear of it.
func (p *Protocol) decide(ctx context.Context, c oob.Challenge, a answer, told audit.Event) error {
	e, state := asked(c, From{Address: told.Address}), oob.Denied
	e.At, e.Type, e.Success, e.Reason = p.now(), audit.Denied, true, told.Reason
	reported := !a.accepted && stolen(a.reason)
	switch {
	case a.accepted:
		e.Type, state = audit.Approved, oob.Approved
	case reported:
		e.Type = audit.Reported
	}
	err := p.o.Answers.Answer(ctx, oob.Answer{Challenge: c, Approved: a.accepted, Reported: reported, Event: e})
	if err == nil {
		err = p.o.Challenges.Decide(ctx, c.ID, state)
		if !a.accepted && errors.Is(err, fault.NotFound) {
			err = nil // it is gone, and a no is kept where nothing is lost
		}
	}
	if errors.Is(err, fault.NotFound) {
		return p.refused(ctx, asked(c, From{Address: told.Address}), fault.ChallengeNotFound)
	}
	if err != nil {
		return fault.Because(fault.Unavailable, fmt.Errorf("decide a challenge: %w", err))
	}
	return nil
}

// stolen reports whether a reason says that somebody else is logging in.
func stolen(reason string) bool {
	reason = strings.ToLower(reason)
	return slices.ContainsFunc(theft, func(word string) bool { return strings.Contains(reason, word) })
}
