package mfa_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/mfa/recovery"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

const (
	mira   = "auth0|5f7c8ec7c33c6c004bbafe82"
	noah   = "auth0|5f7c8ec7c33c6c004bbafe83"
	web    = "web"
	mobile = "mobile"
	orders = "https://api.example.com/orders"
)

var errDown = errors.New("connection refused")

// world is a gateway's second factors with a clock wound by hand.
type world struct {
	testing.TB
	clock        *mfatest.Clock
	store        *mfatest.Store
	transactions *mfatest.Transactions
	*mfa.Verifier
	registrar *enrollment.Registrar
}

// newWorld makes one with one-time passwords and one live recovery code.
func newWorld(t testing.TB, changes ...func(*mfa.Options)) *world {
	t.Helper()
	w := &world{TB: t, clock: &mfatest.Clock{}, store: mfatest.NewStore(map[string]string{mira: "mira@example.com", noah: "noah@example.com"})}
	w.transactions = &mfatest.Transactions{Now: w.clock.Now}
	ring, err := secret.NewRing(mfatest.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	chance := mfatest.Random(t.Name())
	o := mfa.Options{
		Factors: []mfa.Factor{
			otp.New(otp.Options{Issuer: func() string { return "Example" }, Past: 1, Now: w.clock.Now, Random: chance}),
			recovery.New(recovery.Options{Live: 1, Random: chance, Ring: ring}),
		},
		Authenticators: w.store,
		Transactions:   w.transactions,
		Limiter:        w.store,
		Limits:         throttle.Limits{Free: 100, Daily: 100, Disable: 100},
		Audit:          w.store,
		Handles:        mfa.Handles(ring, chance),
		Lifetime:       10 * time.Minute,
		Enrolling:      mfa.Window,
		PasswordProof:  10 * time.Minute,
		Requirements:   true,
		Now:            w.clock.Now,
	}
	for _, change := range changes {
		change(&o)
	}
	w.Verifier, w.registrar = mfa.NewVerifier(o), enrollment.NewRegistrar(o)
	return w
}

// broken is w with some of its stores out of order.
func (w *world) broken(change func(*mfa.Options, mfatest.Down)) *world {
	o := w.Options
	change(&o, mfatest.Down{Err: errDown})
	b := *w
	b.Verifier, b.registrar = mfa.NewVerifier(o), enrollment.NewRegistrar(o)
	return &b
}

// login is what a client asks for once the password was right.
func (w *world) login(subject string) mfa.Login {
	return mfa.Login{
		Subject: subject, Client: web, Origin: mfa.FromPassword, Grant: "password",
		Scopes: []string{"openid", "read:orders", "write:orders"}, Audience: []string{orders, "https://id.example.com/userinfo"},
		Proofs:  []record.Proof{{Methods: []string{"pwd"}, At: w.clock.Now()}},
		Address: "203.0.113.7", KeyThumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
	}
}

// password logs in with the first factor at a client that requires a second, and
// returns the mfa_token.
func (w *world) password(subject string) secret.Text {
	w.Helper()
	_, err := w.Begin(w.Context(), w.login(subject), mfa.Demand{Mode: record.MFARequired})
	return secret.New(w.members(err)["mfa_token"].(string))
}

// members are those of an mfa_required answer.
func (w *world) members(err error) map[string]any {
	w.Helper()
	var d *fault.Details
	if !errors.As(err, &d) || d.Kind != fault.MFARequired {
		w.Fatalf("%v, want mfa_required", err)
	}
	return d.Extra
}

// associate enrolls an authenticator app with an mfa_token and returns the seed and the
// answer.
func (w *world) associate(token secret.Text) (secret.Text, map[string]any) {
	w.Helper()
	c, err := w.registrar.Credential(w.Context(), token)
	if err != nil {
		w.Fatal(err)
	}
	answer, err := w.registrar.Associate(w.Context(), c, enrollment.Association{Wanted: []string{"otp"}})
	if err != nil {
		w.Fatal(err)
	}
	return secret.New(answer["secret"].(string)), answer
}

// otp is an attempt with a one-time password.
func (w *world) otp(token secret.Text, code string) mfa.Attempt {
	return mfa.Attempt{
		Token: token, Client: web, Type: mfa.OTP, Proof: mfa.Proof{"otp": secret.New(code)}, Grant: "mfa-otp", Address: "203.0.113.8",
	}
}

// recovery is an attempt with a recovery code.
func (w *world) recovery(token secret.Text, code string) mfa.Attempt {
	a := w.otp(token, "")
	a.Type, a.Proof, a.Grant = mfa.RecoveryCode, mfa.Proof{"recovery_code": secret.New(code)}, "mfa-recovery-code"
	return a
}

// code is what an app with the seed shows.
func (w *world) code(seed secret.Text) string {
	w.Helper()
	code, err := otp.Code(seed, otp.Step(w.clock.Now(), 30*time.Second), "SHA1", 6)
	if err != nil {
		w.Fatal(err)
	}
	return code
}

// wrong is a code that no app of the user shows.
func (w *world) wrong(seeds ...secret.Text) string {
	w.Helper()
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666"} {
		shown := false
		for _, s := range seeds {
			w.clock.Advance(-30 * time.Second)
			shown = shown || w.code(s) == code
			w.clock.Advance(30 * time.Second)
			shown = shown || w.code(s) == code
		}
		if !shown {
			return code
		}
	}
	w.Fatal("every code is right")
	return ""
}

// prove verifies an attempt that holds, without issuing anything.
func (w *world) prove(a mfa.Attempt) mfa.Clearance {
	w.Helper()
	c, err := w.Verify(w.Context(), a)
	if err != nil {
		w.Fatalf("verify: %v", err)
	}
	if !c.Valid() {
		w.Fatal("the clearance is not valid")
	}
	return c
}

// issue spends a clearance as the issuer of tokens does.
func (w *world) issue(c mfa.Clearance) error {
	err := w.store.Issue(w.Context(), record.Issuance{
		At: w.clock.Now(), Session: record.Session{Subject: c.Login().Subject}, Consumes: c.Consumes(),
		Event: audit.Event{Type: audit.TokensIssued, Success: true, Subject: c.Login().Subject},
	})
	return w.Finish(w.Context(), c, err)
}

// pass verifies an attempt and has tokens issued for it.
func (w *world) pass(a mfa.Attempt) mfa.Clearance {
	w.Helper()
	c := w.prove(a)
	if err := w.issue(c); err != nil {
		w.Fatalf("issue: %v", err)
	}
	return c
}

// refused verifies an attempt that must not hold.
func (w *world) refused(a mfa.Attempt, want fault.Kind) {
	w.Helper()
	c, err := w.Verify(w.Context(), a)
	if err == nil || fault.Of(err) != want {
		w.Errorf("%v, want %s", err, want)
	}
	if c.Valid() || c.Consumes() != nil || c.Login().Subject != "" {
		w.Error("a refusal comes with a clearance")
	}
}

// enrolled is a user with a confirmed authenticator app: its seed, and the recovery code.
func (w *world) enrolled(subject string) (secret.Text, string) {
	w.Helper()
	token := w.password(subject)
	seed, answer := w.associate(token)
	w.pass(w.otp(token, w.code(seed)))
	w.clock.Advance(time.Minute)
	return seed, answer["recovery_codes"].([]string)[0]
}

// all is what the subject has.
func (w *world) all(subject string) []mfa.Authenticator {
	w.Helper()
	all, err := w.store.Authenticators(w.Context(), subject, w.clock.Now())
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// only is the subject's only authenticator of the type.
func (w *world) only(subject string, kind mfa.AuthenticatorType) mfa.Authenticator {
	w.Helper()
	all := slices.DeleteFunc(w.all(subject), func(a mfa.Authenticator) bool { return a.Type != kind })
	if len(all) != 1 {
		w.Fatalf("%d authenticators of type %s, want one", len(all), kind)
	}
	return all[0]
}

// last is the newest event of the audit log.
func (w *world) last() audit.Event {
	w.Helper()
	all := w.store.Events()
	if len(all) == 0 {
		w.Fatal("nothing is recorded")
	}
	return all[len(all)-1]
}

// courier is an out-of-band factor that says whom it was sent to.
type courier struct{ err error }

var _ mfa.Challenger = courier{}

func (courier) Type() mfa.AuthenticatorType { return mfa.OOB }
func (courier) Params() []string            { return []string{"oob_code", "binding_code"} }

func (courier) Verify(context.Context, mfa.Authenticator, mfa.Proof) (mfa.Verified, error) {
	return mfa.Verified{}, fault.WrongOTP
}

func (c courier) Challenge(_ context.Context, a mfa.Asking) (map[string]any, error) {
	return map[string]any{"oob_code": a.Transaction.ID, "to": a.Authenticator.ID}, c.err
}
