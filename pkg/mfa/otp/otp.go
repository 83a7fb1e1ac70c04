// Package otp is the factor of authenticator apps: time-based one-time passwords
// (RFC 6238 on RFC 4226) of SHA-1, six digits and 30 seconds, which is all that the
// apps in use agree on.
package otp

import (
	"context"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	potp "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// The parameters of a new authenticator (T-1, T-2, T-10).
const (
	algorithm = "SHA1"
	digits    = 6
	period    = 30 * time.Second
	seedBytes = 20 // as long as the SHA-1 output; 32 base32 characters
)

// Options are what the factor works with.
type Options struct {
	Issuer func() string // the name that an authenticator app shows for this gateway
	Past   int           // how many steps before the current one are accepted, 0 or 1
	Now    func() time.Time
	Random io.Reader
}

// Factor verifies one-time passwords.
type Factor struct{ o Options }

var _ mfa.Enroller = (*Factor)(nil)

// New makes the factor.
func New(o Options) *Factor { return &Factor{o: o} }

// Type implements mfa.Factor.
func (*Factor) Type() mfa.AuthenticatorType { return mfa.OTP }

// Params implements mfa.Factor.
func (*Factor) Params() []string { return []string{"otp"} }

// Kinds implements mfa.Enroller.
func (*Factor) Kinds() []string { return []string{"otp"} }

// Verify implements mfa.Factor. Every step of the window is computed and compared,
// so that the time it takes does not tell which one fits (T-9).
func (f *Factor) Verify(_ context.Context, a mfa.Authenticator, p mfa.Proof) (mfa.Verified, error) {
	code, ok := canonical(p["otp"], a.Digits)
	if !ok {
		return mfa.Verified{}, fault.WrongOTP
	}
	current := Step(f.o.Now(), a.Period)
	matched, fresh := false, int64(0)
	for step := current - int64(f.o.Past); step <= current; step++ {
		want, err := Code(a.Secret, step, a.Algorithm, a.Digits)
		if err != nil {
			return mfa.Verified{}, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			matched = true
			if step > a.LastStep {
				fresh = step
			}
		}
	}
	switch {
	case fresh > 0:
		return mfa.Verified{
			Methods:  []string{"otp"},
			Consumes: []record.Consumption{record.StepUse{Authenticator: a.ID, Step: fresh}},
		}, nil
	case matched:
		return mfa.Verified{}, fault.UsedOTP
	default:
		return mfa.Verified{}, fault.WrongOTP
	}
}

// Enroll implements mfa.Enroller. The seed is in the answer this once and never again
// (R20).
func (f *Factor) Enroll(_ context.Context, r mfa.Enrolling) (mfa.Enrollment, error) {
	id, err := handle.NewID("totp", f.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	a, err := NewAuthenticator(id, f.o.Random)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	issuer := f.o.Issuer()
	return mfa.Enrollment{
		Authenticators: []mfa.Authenticator{a},
		Reply: map[string]any{
			"authenticator_type": string(mfa.OTP),
			"id":                 id,
			"secret":             a.Secret.Reveal(),
			"barcode_uri": KeyURI(issuer, r.Account.Name, "secret", a.Secret.Reveal(), "issuer", issuer, "algorithm", algorithm,
				"digits", strconv.Itoa(digits), "period", strconv.Itoa(int(period.Seconds()))),
		},
	}, nil
}

// NewAuthenticator makes an authenticator of this id with a seed of its own.
func NewAuthenticator(id string, random io.Reader) (mfa.Authenticator, error) {
	seed := make([]byte, seedBytes)
	if _, err := io.ReadFull(random, seed); err != nil {
		return mfa.Authenticator{}, fmt.Errorf("make a seed: %w", err)
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed)
	return mfa.Authenticator{
		ID: id, Type: mfa.OTP, Secret: secret.New(text), Algorithm: algorithm, Digits: digits, Period: period,
	}, nil
}

// KeyURI is the text of the code that an app scans: a label, and parameters with their
// values. Issuer and account are escaped by themselves, so that the colon between them
// stays the only one; a space is never a plus, which some apps keep.
func KeyURI(issuer, account string, parameters ...string) string {
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var query []string
	for pair := range slices.Chunk(parameters, 2) {
		query = append(query, pair[0]+"="+escape(pair[1]))
	}
	return "otpauth://totp/" + escape(issuer) + ":" + escape(account) + "?" + strings.Join(query, "&")
}

// Step is the number of whole periods since 1970 (RFC 6238, 4.2).
func Step(now time.Time, period time.Duration) int64 { return now.Unix() / int64(period.Seconds()) }

// Code is the one-time password of a seed (base32, no padding) at a step.
func Code(seed secret.Text, step int64, algorithm string, digits int) (string, error) {
	kind := map[string]potp.Algorithm{"SHA1": potp.AlgorithmSHA1, "SHA256": potp.AlgorithmSHA256, "SHA512": potp.AlgorithmSHA512}
	chosen, ok := kind[algorithm]
	if !ok {
		return "", fmt.Errorf("one-time password: unknown algorithm %q", algorithm)
	}
	if seed.Empty() {
		// A tombstone has no seed; the codes of none are the same for everybody.
		return "", errors.New("one-time password: no seed")
	}
	code, err := hotp.GenerateCodeCustom(seed.Reveal(), uint64(step), hotp.ValidateOpts{ //nolint:gosec // steps are positive
		Digits: potp.Digits(digits), Algorithm: chosen,
	})
	if err != nil {
		return "", fmt.Errorf("one-time password: %w", err)
	}
	return code, nil
}

// canonical accepts exactly the digits of one code. There is one spelling of a code,
// so no variant of a used one can pass as another (R14, T-5).
func canonical(t secret.Text, digits int) (string, bool) {
	code := t.Reveal()
	if len(code) != digits || strings.Trim(code, "0123456789") != "" {
		return "", false
	}
	return code, true
}
