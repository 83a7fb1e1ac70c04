package mfa_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/record"
)

// situation is a user at a client, and what is asked for.
type situation struct {
	enrolled bool
	mfa.Demand
}

// policy is the whole of it: the first line that fits decides. An empty kind is a
// clearance.
var policy = []struct {
	why  string
	fits func(situation) bool
	want fault.Kind
}{
	{"off never covers a change of factors, acr_values and max_age",
		func(s situation) bool { return s.Mode == record.MFAOff && (s.Factors || s.ACR || s.MaxAge != nil) }, fault.FactorOff},
	{"off never covers mfa_scopes",
		func(s situation) bool { return s.Mode == record.MFAOff && s.Scopes }, fault.FactorOff},
	{"off asks nobody else",
		func(s situation) bool { return s.Mode == record.MFAOff }, ""},
	{"an enrolled user is always asked (R2)",
		func(s situation) bool { return s.enrolled }, fault.MFARequired},
	{"mfa_scopes and acr_values ask everybody",
		func(s situation) bool { return s.Scopes || s.ACR }, fault.MFARequired},
	{"without a factor a token for /mfa/ and no more can only enroll the first one (Auth0 MFA API, 3.3)",
		func(s situation) bool { return s.Factors && !s.Beyond }, ""},
	{"required asks everybody",
		func(s situation) bool { return s.Mode == record.MFARequired }, fault.MFARequired},
	{"nobody else is asked",
		func(situation) bool { return true }, ""},
}

// situations are all there are.
func situations() (all []situation) {
	both := []bool{false, true}
	for _, mode := range []record.MFAMode{record.MFARequired, record.MFAEnrolled, record.MFAOff, "", "none"} {
		for _, enrolled := range both {
			for _, scopes := range both {
				for _, factors := range both {
					for _, acr := range both {
						for _, age := range []*time.Duration{nil, new(time.Minute)} {
							for _, beyond := range both {
								all = append(all, situation{enrolled, mfa.Demand{Mode: mode, Scopes: scopes, Factors: factors, Beyond: beyond, ACR: acr, MaxAge: age}})
							}
						}
					}
				}
			}
		}
	}
	return all
}

func TestR2Policy(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	subject := map[bool]string{true: mira, false: noah}
	decided := map[string]int{}
	for _, s := range situations() {
		for _, line := range policy {
			if !line.fits(s) {
				continue
			}
			decided[line.why]++
			events, kept := len(w.store.Events()), w.transactions.Len()
			c, err := w.Begin(t.Context(), w.login(subject[s.enrolled]), s.Demand)
			if line.want == "" && (err != nil || !c.Valid()) || line.want != "" && (fault.Of(err) != line.want || c.Valid()) {
				t.Errorf("%+v: valid %t, %v, want %q: %s", s, c.Valid(), err, line.want, line.why)
			}
			demanded := line.want == fault.MFARequired
			if (w.transactions.Len() == kept+1) != demanded || (len(w.store.Events()) == events+1) != demanded {
				t.Errorf("%+v: a transaction and its event belong to mfa_required alone", s)
			}
			break
		}
	}
	if len(decided) != len(policy) {
		t.Errorf("some line of the policy decides nothing: %v", decided)
	}
}

// TestDemandCheck: what a client can never have is refused before anybody's password is
// looked at, and nothing else is.
func TestDemandCheck(t *testing.T) {
	for _, s := range situations() {
		never := s.Mode == record.MFAOff && (s.Factors || s.ACR || s.MaxAge != nil)
		if err := s.Check(); never != errors.Is(err, fault.FactorOff) || !never && err != nil {
			t.Errorf("%+v: %v", s.Demand, err)
		}
	}
}

// TestWhoIsEnrolled: disabled factors count, pending ones and recovery codes alone do not.
func TestWhoIsEnrolled(t *testing.T) {
	now := mfatest.Epoch
	active := mfa.Authenticator{ID: "totp|dev_1", Subject: mira, Type: mfa.OTP, ConfirmedAt: now}
	disabled := active
	disabled.DisabledAt = now
	pending := mfa.Authenticator{ID: "totp|dev_2", Subject: mira, Type: mfa.OTP, Handle: "h", ExpiresAt: now.Add(mfa.Window)}
	codes := mfa.Authenticator{ID: "recovery-code|dev_3", Subject: mira, Type: mfa.RecoveryCode, ConfirmedAt: now}
	phone := mfa.Authenticator{ID: "sms|dev_4", Subject: mira, Type: mfa.OOB, Channel: "sms", ConfirmedAt: now}
	for name, tt := range map[string]struct {
		has  []mfa.Authenticator
		want bool
	}{
		"nothing":        {nil, false},
		"active":         {[]mfa.Authenticator{active}, true},
		"disabled":       {[]mfa.Authenticator{disabled}, true},
		"pending":        {[]mfa.Authenticator{pending}, false},
		"recovery codes": {[]mfa.Authenticator{codes}, false},
		"both of these":  {[]mfa.Authenticator{pending, codes}, false},
		"with a factor":  {[]mfa.Authenticator{pending, codes, phone}, true},
	} {
		w := newWorld(t)
		w.store.Put(tt.has...)
		_, err := w.Begin(t.Context(), w.login(mira), mfa.Demand{Mode: record.MFAEnrolled})
		if asked := errors.Is(err, fault.MFARequired); asked != tt.want || mfa.Enrolled(tt.has) != tt.want {
			t.Errorf("%s: asked %t, %v, want %t", name, asked, err, tt.want)
		}
	}
}

// TestRequirements: "enroll" for who has no factor, else "challenge", never both.
func TestRequirements(t *testing.T) {
	now := mfatest.Epoch
	has := func(id string, kind mfa.AuthenticatorType, channel string) mfa.Authenticator {
		return mfa.Authenticator{ID: id, Subject: mira, Type: kind, Channel: channel, ConfirmedAt: now}
	}
	app, codes := has("totp|dev_1", mfa.OTP, ""), has("recovery-code|dev_1", mfa.RecoveryCode, "")
	disabled := app
	disabled.DisabledAt = now
	pending := mfa.Authenticator{ID: "totp|dev_3", Subject: mira, Type: mfa.OTP, ExpiresAt: now.Add(mfa.Window)}
	every := []mfa.Authenticator{
		has("sms|dev_1", mfa.OOB, "sms"), has("voice|dev_1", mfa.OOB, "voice"), app, has("totp|dev_2", mfa.OTP, ""),
		has("push|dev_1", mfa.OOB, "auth0"), has("email|dev_1", mfa.OOB, "email"), codes,
	}
	oob := func(o *mfa.Options) { o.Factors = append(o.Factors, courier{}) }
	for name, tt := range map[string]struct {
		has  []mfa.Authenticator
		with func(*mfa.Options)
		want string
	}{
		"nothing":          {nil, nil, `{"enroll":[{"type":"otp"}]}`},
		"pending":          {[]mfa.Authenticator{pending}, nil, `{"enroll":[{"type":"otp"}]}`},
		"codes alone":      {[]mfa.Authenticator{codes}, nil, `{"enroll":[{"type":"otp"}]}`},
		"app and codes":    {[]mfa.Authenticator{app, codes, pending}, nil, `{"challenge":[{"type":"otp"},{"type":"recovery-code"}]}`},
		"disabled":         {[]mfa.Authenticator{disabled, codes}, nil, `{"challenge":[{"type":"recovery-code"}]}`},
		"nothing usable":   {[]mfa.Authenticator{disabled}, nil, `{"challenge":[]}`},
		"no longer served": {every, nil, `{"challenge":[{"type":"otp"},{"type":"recovery-code"}]}`},
		"everything": {every, oob, `{"challenge":[{"type":"otp"},{"type":"recovery-code"},{"type":"phone"},` +
			`{"type":"push-notification"},{"type":"email"}]}`},
		"nothing to enroll": {nil, func(o *mfa.Options) { o.Factors = nil }, `{"enroll":[]}`},
		"switched off":      {nil, func(o *mfa.Options) { o.Requirements = false }, `null`},
	} {
		w := newWorld(t)
		if tt.with != nil {
			w = newWorld(t, tt.with)
		}
		w.store.Put(tt.has...)
		_, err := w.Begin(t.Context(), w.login(mira), mfa.Demand{Mode: record.MFARequired})
		members := w.members(err)
		if got, err := json.Marshal(members["mfa_requirements"]); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, tt.want)
		}
		if _, sent := members["mfa_requirements"]; sent != (name != "switched off") {
			t.Errorf("%s: sent %t", name, sent)
		}
	}
}

// TestBegin: the transaction holds what was asked for, the token finds it, and the
// demand is recorded.
func TestBegin(t *testing.T) {
	w := newWorld(t)
	l := w.login(mira)
	_, err := w.Begin(t.Context(), l, mfa.Demand{Mode: record.MFARequired})
	token, _ := w.members(err)["mfa_token"].(string)
	h, err := w.Handles.Read(w.password(mira))
	if err != nil || token == "" {
		t.Fatalf("no token that reads: %v", err)
	}
	got, err := w.transactions.Transaction(t.Context(), h.ID)
	want := mfa.Transaction{ID: h.ID, Login: l, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(w.Lifetime)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\n want %+v", got, err, want)
	}
	event := audit.Event{
		At: w.clock.Now(), Type: audit.FactorDemanded, Success: true, Subject: mira, Client: web, Transaction: h.ID, Grant: "password", Address: "203.0.113.7",
	}
	if got := w.last(); !reflect.DeepEqual(got, event) {
		t.Errorf("recorded %+v\n want %+v", got, event)
	}
}

// TestBeginWithoutFactor: a clearance without a second factor proves nothing more than
// the login did, and holds while there is none.
func TestBeginWithoutFactor(t *testing.T) {
	w := newWorld(t)
	l := w.login(mira)
	c, err := w.Begin(t.Context(), l, mfa.Demand{Mode: record.MFAEnrolled})
	if err != nil || !c.Valid() || !reflect.DeepEqual(c.Login(), l) || c.Reply() != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if got := c.Consumes(); !reflect.DeepEqual(got, []record.Consumption{record.NoFactor{}}) {
		t.Errorf("consumes %+v: a factor that is enrolled meanwhile would not be asked for", got)
	}
	if off, err := w.Begin(t.Context(), l, mfa.Demand{Mode: record.MFAOff}); err != nil || off.Consumes() != nil {
		t.Errorf("off: %+v, %v", off, err)
	}
	if err := w.Finish(t.Context(), c, nil); err != nil {
		t.Error(err)
	}
	if (mfa.Clearance{}).Valid() {
		t.Error("a clearance that nobody made is valid")
	}
}

// TestBeginInTrouble: what cannot be looked up or kept ends no login well.
func TestBeginInTrouble(t *testing.T) {
	for name, change := range map[string]func(*mfa.Options, mfatest.Down){
		"authenticators": func(o *mfa.Options, d mfatest.Down) { o.Authenticators = d },
		"transactions":   func(o *mfa.Options, d mfatest.Down) { o.Transactions = d },
		"audit":          func(o *mfa.Options, d mfatest.Down) { o.Audit = d },
	} {
		w := newWorld(t)
		w.enrolled(mira)
		for _, mode := range []record.MFAMode{record.MFARequired, record.MFAEnrolled} {
			c, err := w.broken(change).Begin(t.Context(), w.login(mira), mfa.Demand{Mode: mode})
			if fault.Of(err) != fault.Unavailable || !errors.Is(err, errDown) || c.Valid() {
				t.Errorf("%s, %s: %v, want unavailable", name, mode, err)
			}
		}
	}
}

// TestConfig: no login takes longer than SP 800-63B allows, and no session enrolls the
// first factor long after its password.
func TestConfig(t *testing.T) {
	for lifetime, good := range map[time.Duration]bool{
		0: false, -time.Second: false, 999 * time.Millisecond: false, time.Second: true,
		10 * time.Minute: true, 10*time.Minute + 1: false,
	} {
		for _, c := range []mfa.Config{
			{TokenLifetime: lifetime, OOBCodeLifetime: mfa.Window, PasswordProof: time.Second},
			{TokenLifetime: mfa.Window, OOBCodeLifetime: lifetime, PasswordProof: time.Hour},
		} {
			if err := c.Validate(); good != (err == nil) {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
	for _, age := range []time.Duration{0, -time.Second, time.Hour + 1} {
		if (mfa.Config{TokenLifetime: mfa.Window, OOBCodeLifetime: mfa.Window, PasswordProof: age}).Validate() == nil {
			t.Errorf("a password proof of %v is taken", age)
		}
	}
	const all = "mfa_token: must be between 1s and 10m\npassword_proof: must be between 1s and 1h\noob_code: must be between 1s and 10m"
	if err := (mfa.Config{}).Validate(); err == nil || err.Error() != all {
		t.Errorf("%v, want all problems at once", err)
	}
}
