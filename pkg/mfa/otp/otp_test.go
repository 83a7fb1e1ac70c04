package otp_test

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const period = 30 * time.Second

// factor makes the factor, accepting so many steps of the past.
func factor(t testing.TB, clock *mfatest.Clock, past int) *otp.Factor {
	t.Helper()
	return otp.New(otp.Options{
		Issuer: func() string { return "Example" }, Past: past, Now: clock.Now, Random: mfatest.Random(t.Name()),
	})
}

// authenticator is one with the seed of the RFCs.
func authenticator() mfa.Authenticator {
	return mfa.Authenticator{
		ID: "totp|dev_h3Kf9aPzQ1uNe7Rd", Type: mfa.OTP, Secret: rfcSeed(20), Algorithm: "SHA1", Digits: 6, Period: period,
	}
}

// code is the one-time password so many steps after the clock's.
func code(t testing.TB, a mfa.Authenticator, clock *mfatest.Clock, after int64) string {
	t.Helper()
	text, err := otp.Code(a.Secret, otp.Step(clock.Now(), a.Period)+after, a.Algorithm, a.Digits)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func proof(code string) mfa.Proof { return mfa.Proof{"otp": secret.New(code)} }

func TestFactor(t *testing.T) {
	for past := range 2 {
		t.Run(fmt.Sprintf("past %d", past), func(t *testing.T) {
			mfatest.RunFactor(t, func(t testing.TB) mfatest.Case {
				clock := &mfatest.Clock{}
				return mfatest.Case{
					Factor: factor(t, clock, past),
					Clock:  clock,
					Right: func(a mfa.Authenticator, _ map[string]any) mfa.Proof {
						return proof(code(t, a, clock, 0))
					},
					Wrong: func(right mfa.Proof) mfa.Proof {
						digits := []byte(right["otp"].Reveal())
						digits[0] = '0' + (digits[0]-'0'+1)%10
						return proof(string(digits))
					},
				}
			})
		})
	}
}

// TestWindow: the current step, the one before it if so configured, and no other (T-2).
// What the user's clock is ahead is never accepted.
func TestWindow(t *testing.T) {
	for past := range 2 {
		for after := int64(-3); after <= 3; after++ {
			clock := &mfatest.Clock{}
			a := authenticator()
			got, err := factor(t, clock, past).Verify(t.Context(), a, proof(code(t, a, clock, after)))
			if after > 0 || after < -int64(past) {
				if !errors.Is(err, fault.WrongOTP) {
					t.Errorf("past %d, step %+d: %v, want wrong_otp", past, after, err)
				}
				continue
			}
			want := mfa.Verified{
				Methods: []string{"otp"},
				Consumes: []record.Consumption{
					record.StepUse{Authenticator: a.ID, Step: otp.Step(clock.Now(), period) + after},
				},
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("past %d, step %+d: %+v, %v, want %+v", past, after, got, err, want)
			}
		}
	}
}

// TestR16WindowEdges: a step lasts until the last nanosecond before the next.
func TestR16WindowEdges(t *testing.T) {
	clock := &mfatest.Clock{}
	a := authenticator()
	f, first := factor(t, clock, 1), code(t, a, clock, 0)
	for _, tt := range []struct {
		advance time.Duration
		want    error
	}{
		{period - time.Nanosecond, nil}, {time.Nanosecond, nil}, {period - time.Nanosecond, nil}, {time.Nanosecond, fault.WrongOTP},
	} {
		clock.Advance(tt.advance)
		if _, err := f.Verify(t.Context(), a, proof(first)); !errors.Is(err, tt.want) {
			t.Errorf("%s after: %v, want %v", clock.Now().Sub(mfatest.Epoch), err, tt.want)
		}
	}
}

// TestLastStep: only a step after the last accepted one is accepted, whichever comes
// first (T-3).
func TestLastStep(t *testing.T) {
	clock := &mfatest.Clock{}
	a := authenticator()
	f, step := factor(t, clock, 1), otp.Step(clock.Now(), period)
	previous, current := proof(code(t, a, clock, -1)), proof(code(t, a, clock, 0))
	for _, tt := range []struct {
		name              string
		last              int64
		previous, current error
	}{
		{"never used", 0, nil, nil},
		{"long ago", step - 100, nil, nil},
		{"the previous step was used", step - 1, fault.UsedOTP, nil},
		{"the current step was used", step, fault.UsedOTP, fault.UsedOTP},
		{"the clock was set back", step + 1, fault.UsedOTP, fault.UsedOTP},
	} {
		a.LastStep = tt.last
		if _, err := f.Verify(t.Context(), a, previous); !errors.Is(err, tt.previous) {
			t.Errorf("%s: the previous code: %v, want %v", tt.name, err, tt.previous)
		}
		if _, err := f.Verify(t.Context(), a, current); !errors.Is(err, tt.current) {
			t.Errorf("%s: the current code: %v, want %v", tt.name, err, tt.current)
		}
	}
}

// TestTwins: where two steps happen to have the same code, the later one is used up, so
// that the code is not good a second time.
func TestTwins(t *testing.T) {
	a := authenticator()
	a.Digits = 1 // one step in ten is a twin of the one before
	clock := &mfatest.Clock{}
	for code(t, a, clock, -1) != code(t, a, clock, 0) {
		clock.Advance(period)
	}
	step := otp.Step(clock.Now(), period)
	f, twin := factor(t, clock, 1), proof(code(t, a, clock, 0))
	for _, last := range []int64{0, step - 1} {
		a.LastStep = last
		got, err := f.Verify(t.Context(), a, twin)
		if err != nil || got.Consumes[0].(record.StepUse).Step != step {
			t.Errorf("last step %d: %+v, %v, want step %d used", last-step, got.Consumes, err, step)
		}
	}
}

// TestR14Spellings: a code has one spelling, so that no variant of a used one passes (T-5).
func TestR14Spellings(t *testing.T) {
	a, clock := authenticator(), &mfatest.Clock{}
	for code(t, a, clock, 0)[0] != '0' { // one that a number would lose a digit of
		clock.Advance(period)
	}
	f, right := factor(t, clock, 1), code(t, a, clock, 0)
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, right)
	arabic := strings.Map(func(r rune) rune { return r - '0' + '٠' }, right)
	refused := []string{
		" " + right, right + " ", right + "\n", right + "\r\n", "\t" + right, right + "\x00", right[:3] + " " + right[3:],
		right[:3] + "-" + right[3:], right[:3] + "\u00a0" + right[3:], "+" + right, "-" + right, "+" + right[1:],
		right[1:], "0" + right, right + "0", right[:5], right[:5] + "０", wide, arabic, "\ufeff" + right,
		"\u202d" + right, right + ".0", right + "e0", `"` + right + `"`, right + "," + right, right + right,
	}
	for _, last := range []int64{0, otp.Step(clock.Now(), period)} {
		a.LastStep = last
		for _, s := range refused {
			if _, err := f.Verify(t.Context(), a, proof(s)); !errors.Is(err, fault.WrongOTP) {
				t.Errorf("%+q, last step %d: %v, want wrong_otp", s, last, err)
			}
		}
	}
	a.LastStep = 0
	if _, err := f.Verify(t.Context(), a, proof(right)); err != nil {
		t.Errorf("%q itself: %v", right, err)
	}
}

// FuzzSpellings: of all texts only the codes of the window pass.
func FuzzSpellings(f *testing.F) {
	a, clock := authenticator(), &mfatest.Clock{}
	previous, current := code(f, a, clock, -1), code(f, a, clock, 0)
	for _, s := range []string{previous, current, code(f, a, clock, 1), " " + current, current + "\n", "１２３４５６", ""} {
		f.Add(s)
	}
	o := factor(f, clock, 1)
	f.Fuzz(func(t *testing.T, s string) {
		_, err := o.Verify(t.Context(), a, proof(s))
		if want := s == previous || s == current; want != (err == nil) {
			t.Errorf("%+q: %v", s, err)
		}
		if err != nil && !errors.Is(err, fault.WrongOTP) {
			t.Errorf("%+q: %v, want wrong_otp", s, err)
		}
	})
}

// TestDamaged: an authenticator that cannot be judged is the gateway's failure, not the
// user's, and no code passes.
func TestDamaged(t *testing.T) {
	clock := &mfatest.Clock{}
	for name, damage := range map[string]func(*mfa.Authenticator){
		"seed":      func(a *mfa.Authenticator) { a.Secret = secret.New("not base32!") },
		"algorithm": func(a *mfa.Authenticator) { a.Algorithm = "MD5" },
	} {
		a := authenticator()
		right := proof(code(t, a, clock, 0))
		damage(&a)
		if _, err := factor(t, clock, 1).Verify(t.Context(), a, right); fault.Of(err) != fault.Internal {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}

func TestEnroll(t *testing.T) {
	made, err := factor(t, &mfatest.Clock{}, 1).Enroll(t.Context(), mfa.Enrolling{Account: mfa.Account{Name: "mira@example.com"}})
	if err != nil || len(made.Authenticators) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	a := made.Authenticators[0]
	if a.Type != mfa.OTP || a.Algorithm != "SHA1" || a.Digits != 6 || a.Period != period || a.LastStep != 0 {
		t.Errorf("%+v: want SHA1, 6 digits, 30s", a)
	}
	if !strings.HasPrefix(a.ID, "totp|dev_") {
		t.Errorf("id %q", a.ID)
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.Secret.Reveal())
	if err != nil || len(seed)*8 != 160 {
		t.Errorf("the seed has %d bits, %v, want 160 (T-1)", len(seed)*8, err)
	}
	want := map[string]any{
		"authenticator_type": "otp",
		"id":                 a.ID,
		"secret":             a.Secret.Reveal(),
		"barcode_uri": "otpauth://totp/Example:mira%40example.com?secret=" + a.Secret.Reveal() +
			"&issuer=Example&algorithm=SHA1&digits=6&period=30",
	}
	if !reflect.DeepEqual(made.Reply, want) {
		t.Errorf("answer %v\n want %v", made.Reply, want)
	}
}

// TestR29EnrollWithoutChance: no seed is better than a seed that can be guessed (R29).
func TestR29EnrollWithoutChance(t *testing.T) {
	broken := errors.New("no entropy")
	for _, bytes := range []int{0, 19, 20, 29} {
		f := otp.New(otp.Options{
			Issuer: func() string { return "Example" }, Now: time.Now,
			Random: io.MultiReader(io.LimitReader(mfatest.Random(t.Name()), int64(bytes)), iotest.ErrReader(broken)),
		})
		if made, err := f.Enroll(t.Context(), mfa.Enrolling{}); !errors.Is(err, broken) || made.Authenticators != nil {
			t.Errorf("after %d bytes: %d authenticators, %v", bytes, len(made.Authenticators), err)
		}
	}
}

func TestConfig(t *testing.T) {
	for skew, good := range map[int]bool{-1: false, 0: true, 1: true, 2: false} {
		err := otp.Config{Skew: skew}.Validate()
		if good != (err == nil) || !good && !strings.HasPrefix(err.Error(), "skew: ") {
			t.Errorf("skew %d: %v", skew, err)
		}
	}
}
