// Package recovery is the factor of recovery codes: look-up secrets that come with a
// subject's first authenticator and stand in for it (SP 800-63B, 3.1.2).
package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
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
	Ring   *secret.Ring // makes the code that replaces a used one
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
// answer carries the new one. Should that answer be lost, the same request is refused, for
// its code is used up, but the refusal carries the new code as well (T-22): it is made of
// what only that request holds, and told only as long as it is unused itself.
func (f *Factor) Verify(_ context.Context, a mfa.Authenticator, p mfa.Proof) (mfa.Verified, error) {
	typed := Canonical(p["recovery_code"])
	hash := secret.Hash(typed)
	known := find(a, hash)
	if known == nil {
		return mfa.Verified{}, fault.WrongRecoveryCode
	}
	next, err := f.replacement(a, p["mfa_token"], typed)
	if err != nil {
		return mfa.Verified{}, err
	}
	reply := map[string]any{"recovery_code": next.Reveal()}
	if known.Used {
		if made := find(a, secret.Hash(next)); made != nil && !made.Used {
			return mfa.Verified{}, &fault.Details{Kind: fault.UsedRecoveryCode, Extra: reply}
		}
		return mfa.Verified{}, fault.UsedRecoveryCode
	}
	use := record.CodeUse{Authenticator: a.ID, Hash: hash}
	got := mfa.Verified{Methods: []string{"recovery_code"}}
	if f.o.Live == 1 {
		use.Replacement, got.Reply = secret.Hash(next), reply
	}
	got.Consumes = []record.Consumption{use}
	return got, nil
}

func find(a mfa.Authenticator, hash string) *mfa.LookupSecret {
	for i := range a.Codes {
		if a.Codes[i].Hash == hash {
			return &a.Codes[i]
		}
	}
	return nil
}

// replacement is the code that replaces a used one: 120 bits of a keyed hash over the code
// and the mfa_token, which has 160 random bits and is kept nowhere. So it is as good as
// random to everybody but the gateway, and to that only when both are sent again.
func (f *Factor) replacement(a mfa.Authenticator, token, used secret.Text) (secret.Text, error) {
	// The key of the token, which stays as long as the token is good, whichever seals.
	_, made, _ := strings.Cut(token.Reveal(), ".")
	mac, err := f.o.Ring.MACBeside(made, "recovery_code", a.ID, token.Reveal(), used.Reveal())
	if err != nil {
		return secret.Text{}, fmt.Errorf("replace a recovery code: %w", err)
	}
	sum := sha256.Sum256([]byte(mac))
	return encode(sum[:codeBytes]), nil
}

// Accompany implements mfa.Companion.
func (f *Factor) Accompany(_ context.Context, _ mfa.Enrolling) (mfa.Enrollment, error) {
	id, err := handle.NewID("recovery-code", f.o.Random)
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
	return encode(raw), nil
}

func encode(raw []byte) secret.Text {
	return secret.New(base32.NewEncoding(alphabet).EncodeToString(raw))
}

// folded spells look-alikes as the symbol they are taken for, and drops what people
// put between groups.
var folded = strings.NewReplacer("O", "0", "I", "1", "L", "1", " ", "", "-", "")

// Canonical is the one spelling of a typed code; it is applied before every hash, so
// that the variants of a code share one life (T-20).
func Canonical(typed secret.Text) secret.Text {
	return secret.New(folded.Replace(strings.ToUpper(typed.Reveal())))
}
