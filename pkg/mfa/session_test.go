package mfa_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// session is a login that goes on with a session in hand, which proved a password a while
// ago and these authenticators after it.
func (w *world) session(subject string, ago time.Duration, authenticators ...string) mfa.Login {
	l := w.login(subject)
	l.Origin, l.Session, l.Grant = mfa.FromRefresh, "s-1", "refresh_token"
	at := w.clock.Now().Add(-ago)
	l.Proofs = []record.Proof{{Methods: []string{"pwd"}, At: at}}
	for _, id := range authenticators {
		l.Proofs = append(l.Proofs, record.Proof{Methods: []string{"otp"}, Authenticator: id, At: at})
	}
	return l
}

// TestSessionInHand: what a session proved is not asked for again, while the user has that
// factor still and it is new enough (fixtures, settled points; O-AC-2).
func TestSessionInHand(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	own := w.all(mira)[0].ID
	minute := new(time.Minute)
	for _, tt := range []struct {
		why     string
		subject string
		ago     time.Duration
		proved  []string
		demand  mfa.Demand
		want    fault.Kind
	}{
		{"a strong session", mira, time.Hour, []string{own}, mfa.Demand{}, ""},
		{"what asks everybody", mira, time.Hour, []string{own}, mfa.Demand{Mode: record.MFARequired, Scopes: true, ACR: true}, ""},
		{"a token for /mfa/", mira, time.Hour, []string{own}, mfa.Demand{Factors: true}, ""},
		{"a weak session of who has a factor by now", mira, 0, nil, mfa.Demand{}, fault.MFARequired},
		{"a factor that is gone", mira, 0, []string{"totp|dev_gone"}, mfa.Demand{}, fault.MFARequired},
		{"new enough", mira, time.Minute, []string{own}, mfa.Demand{MaxAge: minute}, ""},
		{"too old", mira, time.Minute + time.Second, []string{own}, mfa.Demand{MaxAge: minute}, fault.MFARequired},
		{"too old by what auth_time tells", mira, time.Minute + time.Millisecond, []string{own}, mfa.Demand{MaxAge: minute}, fault.MFARequired},
		{"never new enough", mira, 0, []string{own}, mfa.Demand{MaxAge: new(time.Duration)}, fault.MFARequired},
		{"more than the session gave", mira, 0, []string{own}, mfa.Demand{Anew: true}, fault.MFARequired},
		{"nobody's factor", noah, time.Hour, nil, mfa.Demand{}, ""},
		{"nobody's factor, demanded", noah, time.Hour, nil, mfa.Demand{Scopes: true}, fault.MFARequired},
		{"an old password alone", noah, time.Hour, nil, mfa.Demand{MaxAge: minute}, fault.MFARequired},
		{"a new password alone", noah, time.Second, nil, mfa.Demand{MaxAge: minute}, ""},
		{"off", mira, time.Hour, nil, mfa.Demand{Mode: record.MFAOff}, ""},
		{"off, and more than the session gave", mira, time.Hour, nil, mfa.Demand{Mode: record.MFAOff, Anew: true}, fault.FactorOff},
	} {
		c, err := w.Begin(t.Context(), w.session(tt.subject, tt.ago, tt.proved...), tt.demand)
		if tt.want == "" && (err != nil || !c.Valid()) || tt.want != "" && (fault.Of(err) != tt.want || c.Valid()) {
			t.Errorf("%s: valid %t, %v, want %q", tt.why, c.Valid(), err, tt.want)
		}
	}
}

// TestRefreshTokenIsUsedUp: by the refresh that needs no more, and by the proof that it
// waited for; with its leeway by the first alone.
func TestRefreshTokenIsUsedUp(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	with := record.Rotation{Hash: "h", Family: "f", Audience: []string{orders}, Scopes: []string{"openid"},
		ExpiresAt: mfatest.Epoch.Add(time.Hour), Leeway: time.Second}
	strong := w.session(mira, 0, w.all(mira)[0].ID)
	strong.Rotates = &with
	c, err := w.Begin(t.Context(), strong, mfa.Demand{})
	if err != nil || !reflect.DeepEqual(c.Consumes(), []record.Consumption{with}) {
		t.Errorf("consumes %+v, %v", c.Consumes(), err)
	}
	weak := w.session(noah, 0)
	weak.Rotates = &with
	if c, err = w.Begin(t.Context(), weak, mfa.Demand{}); err != nil || !reflect.DeepEqual(c.Consumes(), []record.Consumption{record.NoFactor{}, with}) {
		t.Errorf("consumes %+v, %v", c.Consumes(), err)
	}
	waits := w.session(mira, 0)
	waits.Rotates, waits.Until = &with, w.clock.Now()
	_, err = w.Begin(t.Context(), waits, mfa.Demand{})
	c, err = w.Verify(t.Context(), w.otp(w.demanded(err), w.code(seed)))
	later := with
	later.Leeway = 0
	if err != nil || len(c.Consumes()) != 3 || !reflect.DeepEqual(c.Consumes()[1], record.Consumption(later)) {
		t.Errorf("consumes %+v, %v", c.Consumes(), err)
	}
	if !c.Login().Until.IsZero() || c.Login().Session != "s-1" || c.Login().Rotates == nil {
		t.Errorf("login %+v", c.Login())
	}
}

// TestWhatEndsMeanwhile: a session or a refresh token that ends before the tokens are
// committed is told as the end of what was sent.
func TestWhatEndsMeanwhile(t *testing.T) {
	w := newWorld(t)
	seed, _ := w.enrolled(mira)
	own := w.all(mira)[0].ID
	begin := func(origin mfa.Origin) mfa.Clearance {
		l := w.session(mira, 0, own)
		l.Origin = origin
		c, err := w.Begin(t.Context(), l, mfa.Demand{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	_, err := w.Begin(t.Context(), w.session(mira, 0), mfa.Demand{})
	proved, err := w.Verify(t.Context(), w.otp(w.demanded(err), w.code(seed)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		c      mfa.Clearance
		issued fault.Kind
		want   fault.Kind
	}{
		{"refresh", begin(mfa.FromRefresh), fault.NotFound, fault.BadRefreshToken},
		{"refresh", begin(mfa.FromRefresh), fault.UsedRefreshToken, fault.UsedRefreshToken},
		{"refresh", begin(mfa.FromRefresh), fault.BadRefreshToken, fault.BadRefreshToken},
		{"step-up", begin(mfa.FromStepUp), fault.NotFound, fault.BadAccessToken},
		{"MFA grant", proved, fault.NotFound, fault.MalformedMFAToken},
		{"MFA grant", proved, fault.UsedRefreshToken, fault.MalformedMFAToken},
		{"MFA grant", proved, fault.BadRefreshToken, fault.MalformedMFAToken},
		{"MFA grant", proved, fault.UsedOTP, fault.UsedOTP},
		{"MFA grant", proved, fault.Unavailable, fault.Unavailable},
	} {
		if err := w.Finish(t.Context(), tt.c, tt.issued); fault.Of(err) != tt.want {
			t.Errorf("%s, %v: %v, want %v", tt.name, tt.issued, err, tt.want)
		}
	}
}

// TestFirstFactorLater: a session enrolls its first factor only shortly after the password
// (C-10); whoever has one is told that first.
func TestFirstFactorLater(t *testing.T) {
	for _, tt := range []struct {
		ago    time.Duration
		origin mfa.Origin
		want   fault.Kind
	}{
		{10 * time.Minute, mfa.FromRefresh, ""},
		{10*time.Minute + time.Millisecond, mfa.FromRefresh, fault.StalePassword},
		{10*time.Minute + time.Millisecond, mfa.FromStepUp, fault.StalePassword},
		{time.Hour, mfa.FromPassword, ""}, // its mfa_token would not have lived
	} {
		w := newWorld(t)
		l := w.session(noah, tt.ago)
		l.Origin = tt.origin
		transaction := &mfa.Transaction{ID: "t", Login: l, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Minute)}
		for name, c := range map[string]mfa.Credential{
			"mfa_token":    {Subject: noah, Client: web, Handle: "t", Transaction: transaction},
			"access token": {Subject: noah, Client: web, Handle: "jti", Session: record.Session{Proofs: l.Proofs}},
		} {
			if name == "access token" && tt.origin == mfa.FromPassword {
				continue
			}
			_, err := w.registrar.Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}})
			if tt.want == "" && err != nil || tt.want != "" && fault.Of(err) != tt.want {
				t.Errorf("%s, %s, %v: %v, want %q", tt.origin, name, tt.ago, err, tt.want)
			}
		}
	}
}

// TestVerifiedFirst: where the first factor is for verified addresses, a password alone
// enrolls none for anybody else, and a further one is nobody's first (C-10).
func TestVerifiedFirst(t *testing.T) {
	for _, only := range []bool{false, true} {
		w := newWorld(t, func(o *mfa.Options) { o.VerifiedFirst = only })
		w.store.Verify(mira)
		w.enrolled(mira)
		for name, c := range map[string]mfa.Credential{"a first one": just(noah, "jti"), "a further one": strong(w)} {
			_, err := w.registrar.Associate(t.Context(), c, enrollment.Association{Wanted: []string{"otp"}, Address: "203.0.113.7"})
			refused := only && c.Subject == noah
			if refused != (fault.Of(err) == fault.UnverifiedAddress) || !refused && err != nil {
				t.Errorf("verified first %v, %s: %v", only, name, err)
			}
		}
		events := w.store.Events()
		if last := slices.ContainsFunc(events, func(e audit.Event) bool { return !e.Success && e.Reason == "unverified_address" && e.Subject == noah }); last != only {
			t.Errorf("verified first %v: %+v", only, events)
		}
	}
}

// demanded is the mfa_token of an mfa_required answer.
func (w *world) demanded(err error) secret.Text {
	w.Helper()
	return secret.New(w.members(err)["mfa_token"].(string))
}
