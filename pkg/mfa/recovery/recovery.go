// Package recovery is the factor of recovery codes: look-up secrets that come with a
// subject's first authenticator and stand in for it (SP 800-63B, 3.1.2).
package recovery

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// codeBytes makes 24 characters of five bits: 120 bits, so that a plain hash may be
// stored (N-LU-3, T-20).
const codeBytes = 15

// alphabet has 32 symbols that nobody mistakes for each other: no I, L, O or U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Options are what the factor works with.
type Options struct {
	Live   int // codes that are live at a time: 1, replaced at each use, or 5 or 10, each used once
	Random io.Reader
}

// Factor verifies recovery codes.
type Factor struct{ o Options }

var _ mfa.Companion = (*Factor)(nil)

// New makes the factor.
func New(o Options) *Factor { return &Factor{o: o} }

// Type implements mfa.Factor.
func (*Factor) Type() mfa.AuthenticatorType { return mfa.RecoveryCode }

// Params implements mfa.Factor.
func (*Factor) Params() []string { return []string{"recovery_code"} }

// Verify implements mfa.Factor. A single live code is replaced as it is used; the
// answer carries the new one.
func (f *Factor) Verify(_ context.Context, a mfa.Authenticator, p mfa.Proof) (mfa.Verified, error) {
	hash := secret.Hash(Canonical(p["recovery_code"]))
	var known *mfa.LookupSecret
	for i := range a.Codes {
		if a.Codes[i].Hash == hash {
			known = &a.Codes[i]
		}
	}
	switch {
	case known == nil:
		return mfa.Verified{}, fault.WrongRecoveryCode
	case known.Used:
		return mfa.Verified{}, fault.UsedRecoveryCode
	}
	use := record.CodeUse{Authenticator: a.ID, Hash: hash}
	got := mfa.Verified{Methods: []string{"recovery_code"}}
	if f.o.Live == 1 {
		code, err := f.code()
		if err != nil {
			return mfa.Verified{}, err
		}
		use.Replacement = secret.Hash(code)
		got.Reply = map[string]any{"recovery_code": code.Reveal()}
	}
	got.Consumes = []record.Consumption{use}
	return got, nil
}

// Accompany implements mfa.Companion.
func (f *Factor) Accompany(_ context.Context, _ mfa.Enrolling) (mfa.Enrollment, error) {
	id, err := mfa.NewID("recovery-code", f.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	a := mfa.Authenticator{ID: id, Type: mfa.RecoveryCode}
	var shown []string
	for range f.o.Live {
		code, err := f.code()
		if err != nil {
			return mfa.Enrollment{}, err
		}
		shown = append(shown, code.Reveal())
		a.Codes = append(a.Codes, mfa.LookupSecret{Hash: secret.Hash(code)})
	}
	return mfa.Enrollment{
		Authenticators: []mfa.Authenticator{a},
		Reply:          map[string]any{"recovery_codes": shown},
	}, nil
}

func (f *Factor) code() (secret.Text, error) {
	raw := make([]byte, codeBytes)
	if _, err := io.ReadFull(f.o.Random, raw); err != nil {
		return secret.Text{}, fmt.Errorf("make a recovery code: %w", err)
	}
	return secret.New(base32.NewEncoding(alphabet).EncodeToString(raw)), nil
}

// folded spells look-alikes as the symbol they are taken for, and drops what people
// put between groups.
var folded = strings.NewReplacer("O", "0", "I", "1", "L", "1", " ", "", "-", "")

// Canonical is the one spelling of a typed code; it is applied before every hash, so
// that the variants of a code share one life (T-20).
func Canonical(typed secret.Text) secret.Text {
	return secret.New(folded.Replace(strings.ToUpper(typed.Reveal())))
}
