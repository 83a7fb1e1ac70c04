package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/throttle"
)

// factor is a factor whose one proof is its own name.
type factor mfa.AuthenticatorType

var _ mfa.Factor = factor("")

func (f factor) Type() mfa.AuthenticatorType { return mfa.AuthenticatorType(f) }

func (f factor) Params() []string { return []string{string(f), "extra"} }

func (f factor) Verify(_ context.Context, a mfa.Authenticator, p mfa.Proof) (mfa.Verified, error) {
	if !p[string(f)].Equal(secret.New(string(f))) {
		return mfa.Verified{}, fault.WrongOTP
	}
	return mfa.Verified{
		Methods:  []string{"otp"},
		Consumes: []record.Consumption{record.StepUse{Authenticator: a.ID, Step: 1}},
		Reply:    map[string]any{"recovery_code": "next", "access_token": "forged"},
	}, nil
}

// house is everything behind the grants, in memory. Its one user is alice.
type house struct {
	*registry
	authenticators []mfa.Authenticator
	transactions   map[string]mfa.Transaction
	events         []audit.Event
	attempts       []throttle.Attempt
	passwords      []throttle.Bucket // filled
	full           map[string]time.Time
	asked          []identity.Credentials
	blocked        bool
	auditDown      error
	issued         []mfa.Clearance
	issueDown      error
}

func (h *house) Authenticators(context.Context, string, time.Time) ([]mfa.Authenticator, error) {
	return h.authenticators, nil
}

func (*house) Associate(_ context.Context, _ mfa.Credential, _, _ []mfa.Authenticator, _ audit.Event) error {
	return errDown
}

func (*house) Alive(context.Context, mfa.Transaction) (bool, error) { return true, nil }

func (*house) Remove(context.Context, mfa.Credential, []mfa.Authenticator, []string, audit.Event) error {
	return errDown
}

func (*house) Account(context.Context, string) (mfa.Account, error) { return mfa.Account{}, errDown }

func (h *house) CreateTransaction(_ context.Context, t mfa.Transaction) error {
	h.transactions[t.ID] = t
	return nil
}

func (h *house) Transaction(_ context.Context, id string) (mfa.Transaction, error) {
	t, ok := h.transactions[id]
	if !ok {
		return t, fault.NotFound
	}
	return t, nil
}

func (h *house) EndTransaction(_ context.Context, id string) error {
	delete(h.transactions, id)
	return nil
}

func (h *house) Attempt(_ context.Context, a throttle.Attempt, _ throttle.Limits) error {
	h.attempts = append(h.attempts, a)
	return nil
}

func (h *house) Buckets(context.Context, []throttle.Bucket) (map[string]time.Time, error) {
	return h.full, nil
}

func (h *house) Fill(ctx context.Context, all []throttle.Bucket, _ time.Time, e audit.Event) error {
	h.passwords = append(h.passwords, all...)
	return h.Append(ctx, e)
}

func (h *house) Drain(_ context.Context, b throttle.Bucket) error {
	delete(h.full, b.Name)
	return nil
}

func (h *house) Append(_ context.Context, e audit.Event) error {
	if h.auditDown == nil {
		h.events = append(h.events, e)
	}
	return h.auditDown
}

func (h *house) Verify(_ context.Context, c identity.Credentials) (identity.Identity, error) {
	h.asked = append(h.asked, c)
	switch {
	case c.Username != "alice" || c.Password.Reveal() != "right":
		return identity.Identity{}, fault.WrongPassword
	case h.blocked:
		return identity.Identity{}, fault.UserBlocked
	}
	return identity.Identity{User: identity.User{ID: "auth0|alice"}, Methods: []string{"pwd"}, At: noon}, nil
}

func (h *house) Issue(_ context.Context, c mfa.Clearance) (record.Tokens, error) {
	if !c.Valid() {
		return record.Tokens{}, errors.New("no token without a clearance")
	}
	if h.issueDown != nil {
		return record.Tokens{}, h.issueDown
	}
	h.issued = append(h.issued, c)
	return record.Tokens{Access: secret.New("at"), Type: "Bearer", Lifetime: time.Hour, Scopes: c.Login().Scopes}, nil
}

func build(t *testing.T) (*house, *Password, *MFA) {
	t.Helper()
	ring, err := secret.NewRing(noon)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{registry: tenant(), transactions: map[string]mfa.Transaction{}}
	now := func() time.Time { return noon }
	o := Options{Registry: h, Users: h, Issuer: h, Manage: noManage,
		Passwords: &throttle.Passwords{Store: h, User: 10, Address: 100, Now: now}, URL: issuer, Verifier: mfa.NewVerifier(mfa.Options{
			Factors: []mfa.Factor{factor("otp")}, Authenticators: h, Transactions: h, Limiter: h, Audit: h,
			Handles: mfa.Handles(ring, rand.Reader), Lifetime: 10 * time.Minute, Requirements: true,
			Now: now,
		})}
	return h, NewPassword(o), NewMFA(o)
}

// run does what fosite does with a token request for one handler.
func run(t *testing.T, g fosite.TokenEndpointHandler, client string, form url.Values) (map[string]any, *Session, error) {
	t.Helper()
	ar := asking(client, form.Get("grant_type"))
	session := &Session{Address: "192.0.2.1"}
	ar.Session, ar.Form = session, form
	err := g.HandleTokenEndpointRequest(t.Context(), ar)
	if err == nil && (form.Has("password") || form.Has("mfa_token") || form.Has("otp")) {
		t.Errorf("a secret travels on: %v", form)
	}
	if err != nil {
		return nil, session, err
	}
	out := fosite.NewAccessResponse()
	if err := g.PopulateTokenEndpointResponse(t.Context(), ar, out); err != nil {
		return nil, session, err
	}
	return out.ToMap(), session, nil
}

func login(more ...string) url.Values {
	form := url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"right"}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func TestPasswordGrant(t *testing.T) {
	for _, form := range []url.Values{
		login(),
		login("realm", identity.DefaultConnection),
		login("grant_type", "http://auth0.com/oauth/grant-type/password-realm", "realm", identity.DefaultConnection),
		login("grant_type", "password-realm"),
	} {
		h, p, _ := build(t)
		form.Set("scope", "openid")
		got, session, err := run(t, p, "spa", form)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": int64(3600), "scope": "openid"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %v", got)
		}
		l := h.issued[0].Login()
		if l.Subject != "auth0|alice" || l.Client != "spa" || l.Origin != mfa.FromPassword || l.Grant != form.Get("grant_type") || l.Address != "192.0.2.1" ||
			!reflect.DeepEqual(l.Proofs, []record.Proof{{Methods: []string{"pwd"}, At: noon}}) {
			t.Errorf("login %+v", l)
		}
		if session.GetSubject() != "auth0|alice" || len(h.asked) != 1 || h.asked[0].Connection != identity.DefaultConnection {
			t.Errorf("session %+v, asked %+v", session, h.asked)
		}
	}
}

func TestPasswordGrantRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*house, *record.Client)
		form    url.Values
		want    fault.Kind
		asked   int // how often the password was looked at
		audited string
	}{
		{"third party", func(_ *house, c *record.Client) { c.FirstParty = false }, login(), fault.GrantNotAllowed, 0, ""},
		{"grant not registered", func(_ *house, c *record.Client) { c.Grants = []string{"password-realm"} }, login(), fault.GrantNotAllowed, 0, ""},
		{"no user name", nil, login("username", ""), fault.MissingParameter, 0, ""},
		{"no password", nil, login("password", ""), fault.MissingParameter, 0, ""},
		{"unknown realm", nil, login("realm", "elsewhere"), fault.BadRequest, 0, ""},
		{"unknown audience", nil, login("audience", "https://nowhere.test/"), fault.UnknownAudience, 0, ""},
		{"off and the factors", func(_ *house, c *record.Client) { c.MFA = record.MFAOff }, login("audience", manage), fault.FactorOff, 0, ""},
		{"wrong password", nil, login("password", "wrong"), fault.WrongPassword, 1, "wrong_password"},
		{"unknown user", nil, login("username", "nobody"), fault.WrongPassword, 1, "wrong_password"},
		{"blocked", func(h *house, _ *record.Client) { h.blocked = true }, login(), fault.UserBlocked, 1, "user_blocked"},
		{"blocked, wrong password", func(h *house, _ *record.Client) { h.blocked = true }, login("password", "wrong"), fault.WrongPassword, 1, "wrong_password"},
		{"right, and too many were wrong", fullOfAlice, login(), fault.TooManyAttempts, 1, "too_many_attempts"},
		{"audit down", func(h *house, _ *record.Client) { h.auditDown = errDown }, login("password", "wrong"), fault.Unavailable, 1, ""},
		{"required", func(_ *house, c *record.Client) { c.MFA = record.MFARequired }, login(), fault.MFARequired, 1, ""},
		{"a scope demands the factor", nil, login("audience", things), fault.MFARequired, 1, ""},
		{"issuing fails", func(h *house, _ *record.Client) { h.issueDown = fault.Because(fault.Unavailable, errDown) }, login(), fault.Unavailable, 1, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, p, _ := build(t)
			client := h.clients["spa"]
			if c.change != nil {
				c.change(h, &client)
			}
			h.clients["spa"] = client
			got, _, err := run(t, p, "spa", c.form)
			if fault.Of(err) != c.want || got != nil || len(h.issued) > 0 {
				t.Fatalf("got %v %v, want %v", got, err, c.want)
			}
			if len(h.asked) != c.asked {
				t.Errorf("the password was looked at %d times, want %d", len(h.asked), c.asked)
			}
			if c.audited == "" {
				return
			}
			e := h.events[len(h.events)-1]
			if e.Success || e.Reason != c.audited || e.Client != "spa" || e.Address != "192.0.2.1" || e.Grant != "password" {
				t.Errorf("audited %+v", e)
			}
			if e.Type == audit.PasswordRefused && e.Subject != "" && c.want != fault.TooManyAttempts {
				t.Error("the record names who was tried (R24)")
			}
		})
	}
}

// fullOfAlice has too many wrong passwords of alice, maybe by another name of hers.
func fullOfAlice(h *house, _ *record.Client) {
	h.full = map[string]time.Time{secret.Hash(secret.New("user\x00auth0|alice\x00192.0.2.1")): noon.Add(24 * time.Hour)}
}

// begun is a house with an enrolled alice and her mfa_token.
func begun(t *testing.T, more ...string) (*house, *MFA, string) {
	t.Helper()
	h, p, m := build(t)
	h.authenticators = []mfa.Authenticator{{ID: "totp|dev_1", Type: mfa.OTP, ConfirmedAt: noon}}
	_, _, err := run(t, p, "spa", login(more...))
	token, _ := AnswerTo(err).Members["mfa_token"].(string)
	if fault.Of(err) != fault.MFARequired || token == "" {
		t.Fatalf("no mfa_token: %v", err)
	}
	return h, m, token
}

func TestMFAGrant(t *testing.T) {
	for _, c := range []struct {
		name, grant, scope, audience string
		wantScope                    string
	}{
		{"bare", "mfa-otp", "", "", "openid read:things write:things"},
		{"prefixed", extension + "mfa-otp", "", "", "openid read:things write:things"},
		{"same audience", "mfa-otp", "", things, "openid read:things write:things"},
		{"narrower", "mfa-otp", "read:things", "", "read:things"},
		{"never wider", "mfa-otp", "read:things admin offline_access", "", "read:things"},
		{"nothing left", "mfa-otp", "admin", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, m, token := begun(t, "audience", things, "scope", "openid read:things write:things")
			form := url.Values{"grant_type": {c.grant}, "mfa_token": {token}, "otp": {"otp"}, "scope": {c.scope}, "audience": {c.audience}}
			got, _, err := run(t, m, "spa", form)
			if err != nil {
				t.Fatal(err)
			}
			if got["access_token"] != "at" || got["recovery_code"] != "next" || got["scope"] != c.wantScope {
				t.Errorf("got %v", got)
			}
			l := h.issued[0].Login()
			if l.Grant != c.grant || len(l.Proofs) != 2 || l.Proofs[1].Authenticator != "totp|dev_1" || l.Audience[0] != things {
				t.Errorf("login %+v", l)
			}
			if len(h.transactions) != 1 {
				t.Error("an answer with a recovery code cannot be asked for again")
			}
		})
	}
	t.Run("mfa audience without its slash", func(t *testing.T) {
		h, m, token := begun(t, "audience", manage)
		_, _, err := run(t, m, "spa", url.Values{"grant_type": {"mfa-otp"}, "mfa_token": {token}, "otp": {"otp"},
			"audience": {strings.TrimSuffix(manage, "/")}})
		if err != nil || h.issued[0].Login().Audience[0] != manage {
			t.Errorf("%v", err)
		}
	})
}

func TestMFAGrantRefused(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(*house, *record.Client)
		param, sent string
		want        fault.Kind
		counts      bool
	}{
		{"wrong", nil, "otp", "000000", fault.WrongOTP, true},
		{"no code", nil, "otp", "", fault.MissingParameter, false},
		{"no mfa_token", nil, "mfa_token", "", fault.MissingParameter, false},
		{"garbage", nil, "mfa_token", "x.y.z", fault.MalformedMFAToken, false},
		{"another audience", nil, "audience", "https://other.test/", fault.BadRequest, false},
		{"not registered for it", func(_ *house, c *record.Client) { c.Grants = []string{"password"} }, "", "", fault.GrantNotAllowed, false},
		{"issuing fails", func(h *house, _ *record.Client) { h.issueDown = fault.UsedOTP }, "", "", fault.UsedOTP, false},
		{"the loser's record fails", func(h *house, _ *record.Client) { h.issueDown, h.auditDown = fault.UsedOTP, errDown }, "", "", fault.Unavailable, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, m, token := begun(t, "scope", "openid")
			client := h.clients["spa"]
			if c.change != nil {
				c.change(h, &client)
			}
			h.clients["spa"] = client
			form := url.Values{"grant_type": {"mfa-otp"}, "mfa_token": {token}, "otp": {"otp"}}
			if c.param != "" {
				form.Set(c.param, c.sent)
			}
			got, _, err := run(t, m, "spa", form)
			if fault.Of(err) != c.want || got != nil || len(h.issued) > 0 {
				t.Fatalf("got %v %v, want %v", got, err, c.want)
			}
			wrong := slices.DeleteFunc(h.attempts, func(a throttle.Attempt) bool { return !a.Wrong })
			if (len(wrong) == 1) != c.counts {
				t.Errorf("%d failures were counted", len(wrong))
			}
			if len(h.transactions) != 1 {
				t.Error("a refusal ended the transaction")
			}
		})
	}
	t.Run("another client's", func(t *testing.T) {
		h, m, token := begun(t)
		other := h.clients["spa"]
		other.ID = "other"
		h.clients["other"] = other
		_, _, err := run(t, m, "other", url.Values{"grant_type": {"mfa-otp"}, "mfa_token": {token}, "otp": {"otp"}})
		if fault.Of(err) != fault.ForeignMFAToken {
			t.Errorf("got %v", err)
		}
	})
}

// A request whose first call cleared nothing gets nothing from the second.
func TestNoTokenWithoutClearance(t *testing.T) {
	h, p, m := build(t)
	for grant, g := range map[string]fosite.TokenEndpointHandler{"password": p, "mfa-otp": m} {
		out := fosite.NewAccessResponse()
		err := g.PopulateTokenEndpointResponse(t.Context(), asking("spa", grant), out)
		if fault.Of(err) != fault.Internal || err == nil || out.GetAccessToken() != "" || len(h.issued) > 0 {
			t.Errorf("%s: %v, %q", grant, err, out.GetAccessToken())
		}
	}
}

func TestSession(t *testing.T) {
	s := &Session{Address: "192.0.2.1"}
	s.SetExpiresAt(fosite.AccessToken, noon)
	if !s.GetExpiresAt(fosite.AccessToken).IsZero() || s.GetUsername() != "" || s.GetSubject() != "" {
		t.Errorf("the session keeps what is not its own: %+v", s)
	}
	clone, ok := s.Clone().(*Session)
	if !ok || clone == s || clone.Address != s.Address {
		t.Errorf("clone %+v", clone)
	}
}
