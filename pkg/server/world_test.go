package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/grants"
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/enrollment"
	"github.com/sallyport/sallyport/pkg/oauth"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/pkg/throttle"
)

var (
	noon    = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	errDown = errors.New("connection refused")
)

// Secrets that must turn up nowhere.
const (
	hushPassword = "hush-password-of-alice"
	hushSecret   = "hush-secret-0123456789abcdef0123456789abcdef"
	hushCode     = "271828"
)

// keys is a signer.KeyStore in memory.
type keys struct{ all []signer.Key }

func (k *keys) SigningKeys(context.Context) ([]signer.Key, error) { return k.all, nil }

func (k *keys) AddFirstSigningKey(_ context.Context, key signer.Key) (bool, error) {
	k.all = append(k.all, key)
	return true, nil
}

// newSigner makes keys once for all tests: an RSA key takes its time.
var newSigner = sync.OnceValue(func() *signer.Signer {
	s := signer.New(signer.Options{Store: &keys{}, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	if err := s.EnsureKeys(context.Background()); err != nil {
		panic(err)
	}
	return s
})

// code is a factor whose one code is hushCode, and which anybody can enroll.
type code struct{}

var _ mfa.Enroller = code{}

func (code) Type() mfa.AuthenticatorType { return mfa.OTP }

func (code) Params() []string { return []string{"otp"} }

func (code) Kinds() []string { return []string{"otp"} }

func (code) Verify(_ context.Context, _ mfa.Authenticator, p mfa.Proof) (mfa.Verified, error) {
	if p["otp"].Reveal() == "panic" {
		panic("a panic with " + hushCode)
	}
	if p["otp"].Reveal() != hushCode {
		return mfa.Verified{}, fault.WrongOTP
	}
	return mfa.Verified{Methods: []string{"otp"}}, nil
}

func (code) Enroll(context.Context, mfa.Enrolling) (mfa.Enrollment, error) {
	return mfa.Enrollment{
		Authenticators: []mfa.Authenticator{{ID: "totp|dev_new", Type: mfa.OTP}},
		Reply:          map[string]any{"authenticator_type": "otp", "id": "totp|dev_new"},
	}, nil
}

// world is a server with everything that it needs, in memory. One mutex guards all.
type world struct {
	*Server
	mu             sync.Mutex
	clients        map[string]record.Client
	authenticators []mfa.Authenticator
	transactions   map[string]mfa.Transaction
	issued         []record.Issuance
	redeemed       map[string]bool
	weak           bool  // no session proved a second factor
	gone           bool  // alice is
	down           error // of every store
	hangs          bool  // stores answer when the request's time is over
	log            bytes.Buffer
	ended          []Request // what the observer was told
	traceparents   []string
}

// Begin implements Observer.
func (w *world) Begin(ctx context.Context, _ Request, traceparent string) (context.Context, func(Request)) {
	w.traceparents = append(w.traceparents, traceparent)
	return ctx, func(r Request) { w.ended = append(w.ended, r) }
}

// known notes which clients there are, as the gateway does.
type known struct{ *world }

func (k known) Client(ctx context.Context, id string) (record.Client, error) {
	c, err := k.world.Client(ctx, id)
	if err == nil {
		Known(ctx, id)
	}
	return c, err
}

// reach is what every store does first.
func (w *world) reach(ctx context.Context) error {
	if w.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return w.down
}

func (w *world) Session(ctx context.Context, id string) (record.Session, error) {
	proofs := []record.Proof{{Methods: []string{"pwd"}}, {Methods: []string{"otp"}}}
	if w.weak {
		proofs = proofs[:1]
	}
	return record.Session{ID: id, Proofs: proofs}, w.reach(ctx)
}

func (w *world) Client(_ context.Context, id string) (record.Client, error) {
	c, ok := w.clients[id]
	if !ok {
		return c, fault.NotFound
	}
	return c, nil
}

// panicOrigin is one whose question panics.
const panicOrigin = "https://panic.example.test"

func (w *world) HasOrigin(_ context.Context, origin string) (bool, error) {
	if origin == panicOrigin {
		panic("a panic with " + hushCode)
	}
	return w.down == nil && origin == page, w.down
}

func (*world) API(context.Context, string) (record.API, error) { return record.API{}, fault.NotFound }

func (w *world) User(ctx context.Context, id string) (identity.User, error) {
	if err := w.reach(ctx); err != nil {
		return identity.User{}, err
	}
	if id != "auth0|alice" || w.gone {
		return identity.User{}, fault.NotFound
	}
	return identity.User{ID: id, Username: "alice", Email: "alice@example.test", EmailVerified: true}, nil
}

func (*world) Verify(_ context.Context, c identity.Credentials) (identity.Identity, error) {
	if c.Username != "alice" || c.Password.Reveal() != hushPassword {
		return identity.Identity{}, fault.WrongPassword
	}
	return identity.Identity{User: identity.User{ID: "auth0|alice"}, Methods: []string{"pwd"}, At: noon}, nil
}

func (w *world) Issue(_ context.Context, i record.Issuance) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range i.Consumes {
		if r, ok := c.(record.Redemption); ok {
			if w.redeemed[r.Hash] {
				return r.Spent()
			}
			w.redeemed[r.Hash] = true
		}
	}
	w.issued = append(w.issued, i)
	return w.down
}

func (w *world) AccessTokenActive(_ context.Context, id string, _ time.Time) (bool, error) {
	return slices.ContainsFunc(w.issued, func(i record.Issuance) bool { return i.Access.ID == id }), w.down
}

func (w *world) Revoke(ctx context.Context, r record.Revocation) error {
	if err := w.reach(ctx); err != nil {
		return err
	}
	i := slices.IndexFunc(w.issued, func(i record.Issuance) bool {
		return i.Access.ID == r.Access || i.Refresh != nil && i.Refresh.Hash == r.Refresh
	})
	if i >= 0 && w.issued[i].Session.Client != r.Client {
		return fault.ForeignToken
	}
	if i >= 0 {
		w.issued = slices.Delete(w.issued, i, i+1)
	}
	return nil
}

func (w *world) Authenticators(ctx context.Context, _ string, _ time.Time) ([]mfa.Authenticator, error) {
	return w.authenticators, w.reach(ctx)
}

func (w *world) Associate(_ context.Context, _ mfa.Credential, _, pending []mfa.Authenticator, _ audit.Event) error {
	w.authenticators = append(w.authenticators, pending...)
	return w.down
}

func (w *world) Alive(ctx context.Context, t mfa.Transaction) (bool, error) {
	w.mu.Lock()
	redeemed := w.redeemed[t.ID]
	w.mu.Unlock()
	return !redeemed && !w.gone, w.reach(ctx)
}

func (w *world) Remove(ctx context.Context, _ mfa.Credential, _ []mfa.Authenticator, ids []string, _ audit.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.authenticators = slices.DeleteFunc(w.authenticators, func(a mfa.Authenticator) bool { return slices.Contains(ids, a.ID) })
	return w.reach(ctx)
}

func (*world) Account(context.Context, string) (mfa.Account, error) {
	return mfa.Account{Name: "alice@example.test"}, nil
}

func (w *world) CreateTransaction(_ context.Context, t mfa.Transaction) error {
	w.transactions[t.ID] = t
	return w.down
}

func (w *world) Transaction(_ context.Context, id string) (mfa.Transaction, error) {
	t, ok := w.transactions[id]
	if !ok {
		return t, fault.NotFound
	}
	return t, w.down
}

func (w *world) EndTransaction(_ context.Context, id string) error {
	delete(w.transactions, id)
	return nil
}

func (w *world) Attempt(context.Context, throttle.Attempt, throttle.Limits) error { return w.down }

func (w *world) Buckets(context.Context, []throttle.Bucket) (map[string]time.Time, error) {
	return nil, w.down
}

func (w *world) Fill(context.Context, []throttle.Bucket, time.Time, audit.Event) error { return w.down }

func (w *world) Drain(context.Context, throttle.Bucket) error { return w.down }

func (w *world) Append(context.Context, audit.Event) error { return w.down }

// newWorld makes a server for an issuer.
func newWorld(t testing.TB, issuer string) *world {
	t.Helper()
	ring, err := secret.NewRing(noon)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		clients: map[string]record.Client{
			"spa":  {ID: "spa", FirstParty: true, Grants: []string{"password", "mfa", "refresh_token"}, MFA: record.MFAEnrolled},
			"web":  {ID: "web", Confidential: true, SecretHashes: []string{secret.Hash(secret.New(hushSecret))}, FirstParty: true, Grants: []string{"password", "mfa"}, MFA: record.MFARequired},
			"gone": {ID: "gone", Disabled: true},
		},
		transactions: map[string]mfa.Transaction{},
		redeemed:     map[string]bool{},
	}
	now := func() time.Time { return noon }
	domain := mfa.Options{
		Factors: []mfa.Factor{code{}}, Authenticators: w, Transactions: w, Limiter: w, Audit: w,
		Handles:  mfa.Handles(ring, rand.Reader),
		Lifetime: 10 * time.Minute, Enrolling: 5 * time.Minute, PasswordProof: 10 * time.Minute, Requirements: true, Now: now,
	}
	verifier, clients := mfa.NewVerifier(domain), &oauth.Authenticator{Registry: known{w}}
	tokens := oauth.NewIssuer(oauth.Options{
		URL: issuer, Manage: grants.MFAAudience(issuer), Signer: newSigner(), Store: w, Sessions: w, Revoker: w, Registry: w, Users: w,
		Lifetimes: oauth.Lifetimes{Access: time.Hour, ID: time.Hour, Refresh: time.Hour, Manage: 10 * time.Minute},
		Dialect:   oauth.RFC9068, AMR: true, Now: now, Random: rand.Reader,
	})
	o := grants.Options{Registry: w, Users: w, Verifier: verifier, Issuer: tokens, Manage: tokens.Credential, URL: issuer,
		Passwords: &throttle.Passwords{Store: w, User: 10, Address: 100, Now: now}}
	w.Server = New(Options{
		URL: issuer, Provider: oauth.NewProvider(clients, grants.NewPassword(o), grants.NewMFA(o)), Clients: clients,
		Verifier: verifier, Registrar: enrollment.NewRegistrar(domain), Issuer: tokens, Users: w,
		JWKS: newSigner().JWKS, Origins: w, Kinds: true, Requests: Requests{JSON: true, Tolerant: true}, Observer: w, Random: rand.Reader, Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Now: now,
	})
	return w
}

// enroll gives alice an active one-time password.
func (w *world) enroll() {
	w.authenticators = []mfa.Authenticator{{ID: "totp|dev_1", Subject: "auth0|alice", Type: mfa.OTP, CreatedAt: noon, ConfirmedAt: noon}}
}

// do sends a request and decodes the answer, which is JSON whatever happens.
func (w *world) do(t *testing.T, r *http.Request) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	if rec.Header().Get("Content-Type") != "application/json" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: headers %v", r.Method, r.URL, rec.Header())
	}
	var members map[string]any
	if body := rec.Body.Bytes(); len(body) > 0 && body[0] == '{' {
		if err := json.Unmarshal(body, &members); err != nil {
			t.Errorf("%s %s: %v in %s", r.Method, r.URL, err, body)
		}
	}
	return rec, members
}

// The types of bodies.
const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// post is a POST of a body.
func post(target, body, contentType string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

// send is a POST of name and value pairs; "Authorization" is a header.
func send(path string, pairs ...string) *http.Request {
	values, header := url.Values{}, ""
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "Authorization" {
			header = pairs[i+1]
			continue
		}
		values.Add(pairs[i], pairs[i+1])
	}
	r := post(path, values.Encode(), formType)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r
}

// login is a password grant of alice at spa.
func login(more ...string) *http.Request {
	return send("/oauth/token", append([]string{"grant_type", "password", "client_id", "spa", "username", "alice", "password", hushPassword}, more...)...)
}

// token is the value of a member of the answer to a request that must have the status.
func (w *world) token(t *testing.T, r *http.Request, status int, member string) string {
	t.Helper()
	rec, members := w.do(t, r)
	text, _ := members[member].(string)
	if rec.Code != status || text == "" {
		t.Fatalf("%s: %d %s", r.URL, rec.Code, rec.Body)
	}
	return text
}

// quiet fails the test if the log holds one of the secrets.
func (w *world) quiet(t *testing.T, secrets ...string) {
	t.Helper()
	for _, s := range append(secrets, hushPassword, hushSecret, hushCode) {
		if strings.Contains(w.log.String(), s) {
			t.Errorf("the log holds a secret: %s", w.log.String())
		}
	}
}
