package recovery_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/recovery"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ring makes the codes that replace used ones.
var ring = func() *secret.Ring {
	r, err := secret.NewRing(mfatest.Epoch)
	if err != nil {
		panic(err)
	}
	return r
}()

func proof(code string) mfa.Proof { return mfa.Proof{"recovery_code": secret.New(code)} }

// codes makes an authenticator and the codes that its user is shown.
func codes(t testing.TB, live int) (*recovery.Factor, mfa.Authenticator, []string) {
	t.Helper()
	f := recovery.New(recovery.Options{Live: live, Random: mfatest.Random(t.Name()), Ring: ring})
	made, err := f.Accompany(t.Context(), mfa.Enrolling{})
	if err != nil || len(made.Authenticators) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	shown, ok := made.Reply["recovery_codes"].([]string)
	if !ok || len(made.Reply) != 1 {
		t.Fatalf("answer %v, want recovery_codes alone", made.Reply)
	}
	return f, made.Authenticators[0], shown
}

func TestFactor(t *testing.T) {
	for _, live := range []int{1, 5, 10} {
		t.Run(fmt.Sprintf("live %d", live), func(t *testing.T) {
			mfatest.RunFactor(t, func(t testing.TB) mfatest.Case {
				return mfatest.Case{
					Factor: recovery.New(recovery.Options{Live: live, Random: mfatest.Random(t.Name()), Ring: ring}),
					Clock:  &mfatest.Clock{},
					Right:  func(a mfa.Authenticator, shown map[string]any) mfa.Proof { return proof(unused(a, shown)) },
					Wrong: func(right mfa.Proof) mfa.Proof {
						code := right["recovery_code"].Reveal()
						return proof(code[1:] + string(alphabet[(strings.IndexByte(alphabet, code[0])+1)%32]))
					},
				}
			})
		})
	}
}

// unused is a code that was shown and not used yet.
func unused(a mfa.Authenticator, shown map[string]any) string {
	known, _ := shown["recovery_codes"].([]string)
	if code, ok := shown["recovery_code"].(string); ok {
		known = append(slices.Clone(known), code)
	}
	i := slices.IndexFunc(known, func(code string) bool {
		return slices.Contains(a.Codes, mfa.LookupSecret{Hash: secret.Hash(secret.New(code))})
	})
	return known[i]
}

func TestAccompany(t *testing.T) {
	for _, live := range []int{1, 5, 10} {
		_, a, shown := codes(t, live)
		if !strings.HasPrefix(a.ID, "recovery-code|dev_") || a.Type != mfa.RecoveryCode || a.Channel != "" || !a.Secret.Empty() {
			t.Errorf("%+v: want no more than codes", a)
		}
		if len(shown) != live || len(a.Codes) != live {
			t.Fatalf("live %d: %d codes shown, %d kept", live, len(shown), len(a.Codes))
		}
		for i, code := range shown {
			if len(code) != 24 || strings.Trim(code, alphabet) != "" {
				t.Errorf("code %q: want 24 of the 32 symbols (T-20)", code)
			}
			if want := (mfa.LookupSecret{Hash: secret.Hash(secret.New(code))}); a.Codes[i] != want {
				t.Errorf("code %q is kept as %+v, want %+v", code, a.Codes[i], want)
			}
			if slices.Contains(shown[:i], code) {
				t.Errorf("code %q is shown twice", code)
			}
		}
	}
}

// TestUniform: no symbol is preferred at any place: 120 bits are 120 bits. The bound is
// that of chi-squared with 31 degrees of freedom at one in a million, for each place.
func TestUniform(t *testing.T) {
	const draws, bound = 6400, 87.0
	f := recovery.New(recovery.Options{Live: draws, Random: mfatest.Random("uniform"), Ring: ring})
	made, err := f.Accompany(t.Context(), mfa.Enrolling{})
	if err != nil {
		t.Fatal(err)
	}
	var seen [24]map[byte]int
	for _, code := range made.Reply["recovery_codes"].([]string) {
		for i := range code {
			if seen[i] == nil {
				seen[i] = map[byte]int{}
			}
			seen[i][code[i]]++
		}
	}
	for place, counts := range seen {
		chi := 0.0
		for _, symbol := range []byte(alphabet) {
			off := float64(counts[symbol]) - draws/32
			chi += off * off / (draws / 32)
		}
		if chi > bound {
			t.Errorf("place %d: chi-squared is %.1f, more than %.0f: %v", place, chi, bound, counts)
		}
	}
}

// TestOneIsReplaced: the only live code is replaced as it is used, in the same answer.
func TestOneIsReplaced(t *testing.T) {
	f, a, shown := codes(t, 1)
	got, err := f.Verify(t.Context(), a, proof(shown[0]))
	if err != nil {
		t.Fatal(err)
	}
	code, _ := got.Reply["recovery_code"].(string)
	if len(code) != 24 || strings.Trim(code, alphabet) != "" || code == shown[0] {
		t.Errorf("the new code is %q", code)
	}
	want := mfa.Verified{
		Methods: []string{"recovery_code"},
		Consumes: []record.Consumption{record.CodeUse{
			Authenticator: a.ID, Hash: a.Codes[0].Hash, Replacement: secret.Hash(secret.New(code)),
		}},
		Reply: map[string]any{"recovery_code": code},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestManyAreUsedUp: of several live codes each is used once, and none is added.
func TestManyAreUsedUp(t *testing.T) {
	for _, live := range []int{5, 10} {
		f, a, shown := codes(t, live)
		for i, code := range shown {
			got, err := f.Verify(t.Context(), a, proof(code))
			want := []record.Consumption{record.CodeUse{Authenticator: a.ID, Hash: a.Codes[i].Hash}}
			if err != nil || !reflect.DeepEqual(got.Consumes, want) || got.Reply != nil {
				t.Errorf("live %d: %+v, %v, want %+v and no answer", live, got, err, want)
			}
		}
	}
}

func TestUsed(t *testing.T) {
	f, a, shown := codes(t, 5)
	a.Codes[2].Used = true
	for i, code := range shown {
		var want error
		if i == 2 {
			want = fault.UsedRecoveryCode
		}
		if _, err := f.Verify(t.Context(), a, proof(code)); !errors.Is(err, want) {
			t.Errorf("code %d: %v, want %v", i, err, want)
		}
	}
}

// TestR14Spellings: what people make of a code when they copy it is that code, and shares
// its one life (T-20).
func TestR14Spellings(t *testing.T) {
	const code = "0123456789ABCDEFGHJKMNPQ"
	f := recovery.New(recovery.Options{Live: 1, Random: mfatest.Random(t.Name()), Ring: ring})
	a := mfa.Authenticator{Type: mfa.RecoveryCode, Codes: []mfa.LookupSecret{{Hash: secret.Hash(secret.New(code))}}}
	same := []string{
		code, strings.ToLower(code), "0123 4567 89AB CDEF GHJK MNPQ", "0123-4567-89ab-cdef-ghjk-mnpq", "  " + code + "  ",
		"O123456789ABCDEFGHJKMNPQ", "o123456789ABCDEFGHJKMNPQ", "0I23456789ABCDEFGHJKMNPQ", "0i23456789abcdefghjkmnpq",
		"0L23456789ABCDEFGHJKMNPQ", "0l23456789abcdefghjkmnpq", "-" + code + "-", "Ol2 3456 789abcdefghjkmnpq",
	}
	others := []string{
		code[1:], code + "0", "U" + code[1:], code[:23] + "R", "０" + code[1:], code + "\x00", code + "_", "", code + code,
	}
	for _, used := range []bool{false, true} {
		a.Codes[0].Used = used
		var want error
		if used {
			want = fault.UsedRecoveryCode
		}
		for _, s := range same {
			if _, err := f.Verify(t.Context(), a, proof(s)); !errors.Is(err, want) {
				t.Errorf("used %t, %q: %v, want %v", used, s, err, want)
			}
		}
		for _, s := range others {
			if _, err := f.Verify(t.Context(), a, proof(s)); !errors.Is(err, fault.WrongRecoveryCode) {
				t.Errorf("used %t, %q: %v, want wrong_recovery_code", used, s, err)
			}
		}
	}
}

// FuzzCanonical: a canonical spelling is its own, and case and gaps make no other.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"0123 4567-89ab", "OoIiLl", "U", "ſıK", "\xff", "ǆ", "０", "", "- -"} {
		f.Add(s)
	}
	canonical := func(s string) string { return recovery.Canonical(secret.New(s)).Reveal() }
	f.Fuzz(func(t *testing.T, s string) {
		once := canonical(s)
		if twice := canonical(once); twice != once {
			t.Errorf("%+q becomes %+q becomes %+q", s, once, twice)
		}
		if i := strings.IndexAny(once, " -OILabcdefghijklmnopqrstuvwxyz"); i >= 0 {
			t.Errorf("%+q becomes %+q, which still has another spelling", s, once)
		}
		if gaps := canonical("- " + s + " -"); gaps != once {
			t.Errorf("%+q becomes %+q, with gaps around it %+q", s, once, gaps)
		}
		if strings.Trim(s, alphabet) == "" && once != s {
			t.Errorf("%q is spelled as codes are made, and becomes %q", s, once)
		}
	})
}

// TestLostReply: who sends the very request again that used a code up is told the code that
// replaced it, as long as that is unused; nobody else is, and no code works again (T-22).
func TestLostReply(t *testing.T) {
	f, a, shown := codes(t, 1)
	with := func(token, code string) mfa.Proof {
		return mfa.Proof{"recovery_code": secret.New(code), "mfa_token": secret.New(token)}
	}
	got, err := f.Verify(t.Context(), a, with("token", shown[0]))
	if err != nil {
		t.Fatal(err)
	}
	next, _ := got.Reply["recovery_code"].(string)
	if len(next) != 24 || strings.Trim(next, alphabet) != "" {
		t.Fatalf("the new code is %q", next)
	}
	a.Codes = []mfa.LookupSecret{{Hash: a.Codes[0].Hash, Used: true}, {Hash: secret.Hash(secret.New(next))}}
	for name, tt := range map[string]struct {
		p    mfa.Proof
		used bool
		told bool
	}{
		"the same request":        {with("token", shown[0]), false, true},
		"another spelling":        {with("token", strings.ToLower(shown[0])), false, true},
		"another token":           {with("token2", shown[0]), false, false},
		"no token":                {proof(shown[0]), false, false},
		"the new one was used":    {with("token", shown[0]), true, false},
		"the new one, same token": {with("token", next), true, false},
	} {
		b := a
		b.Codes = slices.Clone(a.Codes)
		b.Codes[1].Used = tt.used
		_, err := f.Verify(t.Context(), b, tt.p)
		var d *fault.Details
		told := errors.As(err, &d) && d.Extra["recovery_code"] == next
		if fault.Of(err) != fault.UsedRecoveryCode || told != tt.told {
			t.Errorf("%s: %v, told %t", name, err, told)
		}
	}
}

// TestWithoutChance: no code is better than one that can be guessed.
func TestWithoutChance(t *testing.T) {
	broken := errors.New("no entropy")
	short := func(bytes int64) io.Reader {
		return io.MultiReader(io.LimitReader(mfatest.Random(t.Name()), bytes), iotest.ErrReader(broken))
	}
	for _, bytes := range []int64{0, 9, 10, 24} {
		f := recovery.New(recovery.Options{Live: 1, Random: short(bytes), Ring: ring})
		if made, err := f.Accompany(t.Context(), mfa.Enrolling{}); !errors.Is(err, broken) || made.Authenticators != nil {
			t.Errorf("after %d bytes: %d authenticators, %v", bytes, len(made.Authenticators), err)
		}
	}
}

func TestConfig(t *testing.T) {
	for n := -1; n <= 11; n++ {
		err := recovery.Config{Codes: n}.Validate()
		if good := n == 1 || n == 5 || n == 10; good != (err == nil) || !good && !strings.HasPrefix(err.Error(), "codes: ") {
			t.Errorf("codes %d: %v", n, err)
		}
	}
}
