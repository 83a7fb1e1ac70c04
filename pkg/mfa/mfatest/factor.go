package mfatest

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Case is a factor, and what the suite cannot know of it.
type Case struct {
	Factor mfa.Factor // an Enroller or a Companion
	Clock  *Clock     // the one that the factor goes by
	// Right is a proof that the authenticator accepts now. shown is all that the user
	// has seen of it: the answer to the enrollment, then those to logins.
	Right func(a mfa.Authenticator, shown map[string]any) mfa.Proof
	// Wrong is a well-formed proof that is not the given one.
	Wrong func(right mfa.Proof) mfa.Proof
}

const subject = "auth0|5f7c8ec7c33c6c004bbafe82"

// RunFactor is the suite that every factor passes. make builds the factor anew for
// each test.
func RunFactor(t *testing.T, make func(t testing.TB) Case) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Case){
		"names":               factorNames,
		"enrollment":          factorEnrolls,
		"enrolled apart":      factorEnrollsApart,
		"judging is no use":   factorOnlyJudges,
		"one life":            factorLivesOnce,
		"confirmation":        factorConfirms,
		"wrong proofs":        factorRefuses,
		"another's proof":     factorKeepsApart,
		"nothing secret said": factorIsSilent,
		"at once":             factorAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

// enroll has the factor make an authenticator of the subject, pending under handle.
func (c Case) enroll(t *testing.T, handle string) (mfa.Authenticator, map[string]any) {
	t.Helper()
	r := mfa.Enrolling{Subject: subject, Account: mfa.Account{Name: "mira@example.com"}}
	var made mfa.Enrollment
	var err error
	switch f := c.Factor.(type) {
	case mfa.Enroller:
		made, err = f.Enroll(t.Context(), r)
	case mfa.Companion:
		made, err = f.Accompany(t.Context(), r)
	default:
		t.Fatalf("%T is neither an Enroller nor a Companion", f)
	}
	if err != nil {
		t.Fatalf("enroll: %v", err)
	}
	i := slices.IndexFunc(made.Authenticators, func(a mfa.Authenticator) bool { return a.Type == c.Factor.Type() })
	if i < 0 {
		t.Fatalf("none of %d authenticators is of type %s", len(made.Authenticators), c.Factor.Type())
	}
	a := made.Authenticators[i]
	if a.Active() || a.Handle != "" || a.Subject != "" {
		t.Errorf("%+v: subject, handle and confirmation are for the registrar to give", a)
	}
	a.Subject, a.Handle = subject, handle
	a.CreatedAt, a.ExpiresAt = c.Clock.Now(), c.Clock.Now().Add(mfa.Window)
	return a, made.Reply
}

// active is enroll, and the authenticator confirmed.
func (c Case) active(t *testing.T) (mfa.Authenticator, map[string]any) {
	t.Helper()
	a, shown := c.enroll(t, "transaction")
	a.ConfirmedAt = c.Clock.Now()
	return a, shown
}

func factorNames(t *testing.T, c Case) {
	if !slices.Contains([]mfa.AuthenticatorType{mfa.OTP, mfa.OOB, mfa.RecoveryCode}, c.Factor.Type()) {
		t.Errorf("type %q is not in the contract", c.Factor.Type())
	}
	params := c.Factor.Params()
	if len(params) == 0 {
		t.Fatal("no parameter carries the proof")
	}
	taken := []string{"", "grant_type", "mfa_token", "client_id", "client_secret", "scope", "audience"}
	for _, p := range params {
		if slices.Contains(taken, p) || !regexp.MustCompile(`^[a-z_]+$`).MatchString(p) {
			t.Errorf("parameter %q is not the factor's to take", p)
		}
		taken = append(taken, p)
	}
}

func factorEnrolls(t *testing.T, c Case) {
	a, shown := c.enroll(t, "transaction")
	if !regexp.MustCompile(`^[a-z-]+\|dev_[A-Za-z0-9]{16}$`).MatchString(a.ID) {
		t.Errorf("id %q has not the contract's shape", a.ID)
	}
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatalf("the answer is not JSON: %v", err)
	}
	for _, code := range a.Codes {
		if strings.Contains(string(text), code.Hash) {
			t.Error("the answer holds what is stored of a recovery code")
		}
	}
	if _, ok := shown["oob_channels"]; ok {
		t.Error("the answer holds oob_channels, which breaks a client library (Auth0 MFA API, 4.4)")
	}
	if strings.Contains(string(text), "[redacted]") {
		t.Errorf("the answer %s holds a secret that does not print", text)
	}
}

func factorEnrollsApart(t *testing.T, c Case) {
	ids, secrets := map[string]bool{}, map[string]bool{}
	for range 100 {
		a, _ := c.enroll(t, "transaction")
		all := []string{a.Secret.Reveal()}
		for _, code := range a.Codes {
			all = append(all, code.Hash)
		}
		for _, s := range all {
			if s != "" && secrets[s] {
				t.Fatal("two authenticators have the same secret")
			}
			secrets[s] = true
		}
		if ids[a.ID] {
			t.Fatalf("two authenticators have the id %s", a.ID)
		}
		ids[a.ID] = true
	}
}

// factorOnlyJudges: a proof that is not spent can be judged again, with the same end.
func factorOnlyJudges(t *testing.T, c Case) {
	a, shown := c.active(t)
	before := state{authenticators: []mfa.Authenticator{a}}.clone().authenticators[0]
	right := c.Right(a, shown)
	for range 2 {
		got, err := c.Factor.Verify(t.Context(), a, right)
		if err != nil {
			t.Fatalf("a right proof: %v", err)
		}
		if len(got.Methods) == 0 {
			t.Error("a proof without methods leaves no trace in amr")
		}
		if len(got.Consumes) == 0 {
			t.Error("a proof that uses nothing up can be used for ever")
		}
		for _, used := range got.Consumes {
			if !used.Spent().Replay() {
				t.Errorf("%T: whoever comes second gets %q, which is no replay", used, used.Spent())
			}
		}
		if _, err := json.Marshal(got.Reply); err != nil {
			t.Errorf("the answer is not JSON: %v", err)
		}
	}
	if !reflect.DeepEqual(a, before) {
		t.Error("judging a proof changed the authenticator")
	}
}

// factorLivesOnce logs in three times, and tries each proof again after each login.
func factorLivesOnce(t *testing.T, c Case) {
	store := NewStore(nil)
	a, shown := c.active(t)
	store.Put(a)
	var spent []mfa.Proof
	for range 3 {
		right := c.Right(a, shown)
		got, err := c.Factor.Verify(t.Context(), a, right)
		if err != nil {
			t.Fatalf("login %d: %v", len(spent)+1, err)
		}
		if err := store.Issue(t.Context(), c.issuance(got)); err != nil {
			t.Fatalf("login %d: %v", len(spent)+1, err)
		}
		if err := store.Issue(t.Context(), c.issuance(got)); !fault.Of(err).Replay() {
			t.Errorf("what was used up could be used again: %v", err)
		}
		for k, v := range got.Reply {
			shown[k] = v
		}
		a = *store.state.find(a.ID)
		if _, err := c.Factor.Verify(t.Context(), a, right); !fault.Of(err).Replay() {
			t.Errorf("the proof of login %d, again: %v, want a replay", len(spent)+1, err)
		}
		spent = append(spent, right)
		c.Clock.Advance(time.Minute)
		for i, old := range spent {
			if _, err := c.Factor.Verify(t.Context(), a, old); err == nil {
				t.Errorf("the proof of login %d came back to life after login %d", i+1, len(spent))
			}
		}
	}
}

func (c Case) issuance(got mfa.Verified, before ...record.Consumption) record.Issuance {
	return record.Issuance{
		At:       c.Clock.Now(),
		Session:  record.Session{Subject: subject},
		Consumes: append(before, got.Consumes...),
	}
}

// factorConfirms: the proof that confirms an authenticator is used up by that (T-11).
func factorConfirms(t *testing.T, c Case) {
	store := NewStore(nil)
	a, shown := c.enroll(t, "transaction")
	store.Put(a)
	confirmation := record.Confirmation{Authenticator: a.ID, Handle: "transaction", First: true}
	got, err := c.Factor.Verify(t.Context(), a, c.Right(a, shown))
	if err != nil {
		t.Fatalf("the first proof: %v", err)
	}
	if _, ok := c.Factor.(mfa.Companion); ok {
		if err := store.Issue(t.Context(), c.issuance(got)); err == nil {
			t.Error("a companion was used before a factor was confirmed")
		}
		return
	}
	if err := store.Issue(t.Context(), c.issuance(got)); err == nil {
		t.Error("a pending authenticator was used without being confirmed")
	}
	if err := store.Issue(t.Context(), c.issuance(got, confirmation)); err != nil {
		t.Fatalf("confirm: %v", err)
	}
	a = *store.state.find(a.ID)
	if _, err := c.Factor.Verify(t.Context(), a, c.Right(a, shown)); !fault.Of(err).Replay() {
		t.Errorf("the proof that confirmed it, again: %v, want a replay", err)
	}
}

// garbage proves nothing, whatever the factor.
var garbage = []string{
	"", " ", "\x00", "\n", "0", "-1", "null", "{}", `{"a":`, "%00", "\xff\xfe", "\u202e", "😀", "' OR 1=1 --",
	strings.Repeat("9", 1<<20),
}

func factorRefuses(t *testing.T, c Case) {
	a, shown := c.active(t)
	right := c.Right(a, shown)
	proofs := []mfa.Proof{nil, {}, {"other": secret.New("x")}, c.Wrong(right)}
	for _, g := range garbage {
		p := mfa.Proof{}
		for _, name := range c.Factor.Params() {
			p[name] = secret.New(g)
		}
		proofs = append(proofs, p)
	}
	for i, p := range proofs {
		got, err := c.Factor.Verify(t.Context(), a, p)
		if !fault.Of(err).Guess() {
			t.Errorf("wrong proof %d: %v, want a failure that counts", i, err)
		}
		if !reflect.DeepEqual(got, mfa.Verified{}) {
			t.Errorf("wrong proof %d: something came with the refusal", i)
		}
	}
	if _, err := c.Factor.Verify(t.Context(), a, right); err != nil {
		t.Errorf("the right proof after wrong ones: %v", err)
	}
}

func factorKeepsApart(t *testing.T, c Case) {
	mine, shown := c.active(t)
	other, _ := c.active(t)
	if _, err := c.Factor.Verify(t.Context(), other, c.Right(mine, shown)); !fault.Of(err).Guess() {
		t.Errorf("the proof of another authenticator: %v, want a failure that counts", err)
	}
}

func factorIsSilent(t *testing.T, c Case) {
	a, shown := c.active(t)
	right := c.Right(a, shown)
	wrong := c.Wrong(right)
	_, err := c.Factor.Verify(t.Context(), a, wrong)
	if err == nil {
		t.Fatal("a wrong proof was accepted")
	}
	said := err.Error()
	for _, p := range []mfa.Proof{right, wrong} {
		for name, v := range p {
			if strings.Contains(said, v.Reveal()) {
				t.Errorf("the refusal repeats %s", name)
			}
		}
	}
	if !a.Secret.Empty() && strings.Contains(said, a.Secret.Reveal()) {
		t.Error("the refusal tells the seed")
	}
}

// factorAtOnce is for the race detector: one factor serves every request.
func factorAtOnce(t *testing.T, c Case) {
	a, shown := c.active(t)
	right := c.Right(a, shown)
	wrong := c.Wrong(right)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Factor.Verify(t.Context(), a, right); err != nil {
				t.Errorf("a right proof among many: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := c.Factor.Verify(t.Context(), a, wrong); err == nil {
				t.Error("a wrong proof passed among many")
			}
		})
	}
	wg.Wait()
}
