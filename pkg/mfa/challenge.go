package mfa

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// ChallengeRequest asks for a challenge.
type ChallengeRequest struct {
	Token         secret.Text // the mfa_token
	Client        string
	Allowed       []string // challenge_type, split; empty: any
	Authenticator string   // authenticator_id; empty: the verifier chooses
	Binding       record.Binding
	Address       string // where it came from; empty: where the login did
	Agent         string // with what (User-Agent)
	Locale        string // the languages of the person, as Accept-Language has them
}

// aliases are factor names that a client may send as challenge_type: one SDK compares
// what it sends with mfa_requirements and so can only send those (Auth0 MFA API, 3.3).
var aliases = map[string]AuthenticatorType{
	"otp": OTP, "totp": OTP,
	"oob": OOB, "phone": OOB, "sms": OOB, "voice": OOB, "email": OOB, "push": OOB, "push-notification": OOB,
}

// preference is the order of channels in which the verifier chooses when the client does
// not: the one that asks least of the user first, e-mail last, behind any that is not here.
var preference = []string{"auth0", "sms", "voice", "", "*", "email"}

func preferred(a, b Authenticator) int {
	rank := func(channel string) int {
		if i := slices.Index(preference, channel); i >= 0 {
			return i
		}
		return slices.Index(preference, "*")
	}
	return cmp.Compare(rank(a.Channel), rank(b.Channel))
}

// Challenge begins to ask for the second factor and returns the members of the answer.
func (v *Verifier) Challenge(ctx context.Context, r ChallengeRequest) (map[string]any, error) {
	h, err := v.read(r.Token, r.Client)
	if err != nil {
		return nil, err
	}
	t, err := v.load(ctx, h)
	if err != nil {
		return nil, err
	}
	if err := v.alive(ctx, t); err != nil {
		return nil, err
	}
	all, err := v.Authenticators.Authenticators(ctx, t.Login.Subject, v.now())
	if err != nil {
		return nil, fault.Because(fault.Unavailable, fmt.Errorf("challenge: %w", err))
	}
	if t.Reset(all) {
		return nil, fault.MalformedMFAToken
	}
	if !Enrolled(all) {
		return nil, fault.AssociationRequired
	}
	a, err := choose(v.served(all), r)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"challenge_type": string(a.Type)}
	f, _ := v.Factor(a.Type)
	if c, ok := f.(Challenger); ok {
		members, err := c.Challenge(ctx, Asking{Transaction: t, Authenticator: a, Binding: r.Binding, Address: cmp.Or(r.Address, t.Login.Address), Agent: r.Agent, Locale: r.Locale})
		if err != nil {
			return nil, err
		}
		maps.Copy(answer, members)
	}
	return answer, nil
}

// choose picks the authenticator to challenge. Recovery codes are never challenged.
func choose(all []Authenticator, r ChallengeRequest) (Authenticator, error) {
	var fit []Authenticator
	named := r.Authenticator == ""
	for _, a := range all {
		if !a.Usable() || (r.Authenticator != "" && a.ID != r.Authenticator) {
			continue
		}
		named = true
		if a.Type != RecoveryCode && wanted(a.Type, r.Allowed) {
			fit = append(fit, a)
		}
	}
	switch {
	case !named:
		return Authenticator{}, fault.NoAuthenticator
	case len(fit) == 0:
		return Authenticator{}, &fault.Details{Kind: fault.UnsupportedType, Param: cmp.Or(supported(all), "none")}
	}
	return slices.MinFunc(fit, preferred), nil
}

func wanted(t AuthenticatorType, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return aliases[n] == t })
}

// supported lists the types that the user could have been challenged with.
func supported(all []Authenticator) string {
	var out []string
	for _, a := range all {
		if a.Usable() && a.Type != RecoveryCode && !slices.Contains(out, string(a.Type)) {
			out = append(out, string(a.Type))
		}
	}
	return strings.Join(out, ", ")
}
