package guardian_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/guardian"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/storetest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
	"github.com/sallyport/sallyport/pkg/throttle"
)

const subject = "auth0|ann"

// epoch is the clock that the vectors were made for.
var epoch = time.Unix(1767323050, 0).UTC()

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) wind(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// keyStore keeps signing keys in memory.
type keyStore struct{ keys []signer.Key }

func (s *keyStore) SigningKeys(context.Context) ([]signer.Key, error) { return s.keys, nil }

func (s *keyStore) AddFirstSigningKey(_ context.Context, k signer.Key) (bool, error) {
	s.keys = append(s.keys, k)
	return true, nil
}

// gatewayKeys are made once.
var gatewayKeys = sync.OnceValue(func() *keyStore {
	s := &keyStore{}
	keys := signer.New(signer.Options{Store: s, Now: func() time.Time { return epoch }, Log: slog.New(slog.DiscardHandler)})
	if err := keys.EnsureKeys(context.Background()); err != nil {
		panic(err)
	}
	return s
})

// world is a gateway as phones see it, and a service that pushes to them.
type world struct {
	t          *testing.T
	clock      *clock
	url        string
	store      *storetest.Store
	challenges *storetest.Challenges
	failures   *mfatest.Store
	ring       *secret.Ring
	factor     *oob.Factor
	protocol   *guardian.Protocol
	handler    http.Handler
	services   []string

	sent []push.Message
}

// Send implements push.Sender.
func (w *world) Send(_ context.Context, _ oob.Endpoint, m push.Message) error {
	w.sent = append(w.sent, m)
	return nil
}

func newWorld(t *testing.T) *world { return newWorldAt(t, "https://gw.example.com/") }

func newWorldAt(t *testing.T, url string, services ...string) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: epoch}, url: url, failures: mfatest.NewStore(nil)}
	w.store, w.challenges = storetest.NewStore(w.clock.Now), storetest.NewChallenges(w.clock.Now)
	ring, err := secret.NewRing(epoch)
	if err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	keys := signer.New(signer.Options{Store: gatewayKeys(), Now: w.clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err := keys.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	transactions := push.Transactions{Keys: keys, Issuer: url, Random: rand.Reader}
	channel := push.NewChannel(push.Options{
		Stores: push.Stores{Devices: w.store, Tickets: w.store, Pushes: w.store, Accounts: w.store, Clients: w.store},
		Sender: w, Transactions: transactions, URL: url, Issuer: issuer, Binding: record.BindingPlain,
		Limits: oob.Limits{Minute: 50, Code: 3}, Now: w.clock.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	w.factor = oob.New(oob.Options{Channels: []oob.Channel{channel}, Store: w.challenges, Waiters: oob.NewWaiters(), Ring: ring,
		Lifetime: 5 * time.Minute, Now: w.clock.Now, Random: rand.Reader})
	w.services = append(services, push.GCM, push.APNS)
	w.serve(transactions)
	return w
}

func issuer() string { return "Acme" }

// serve makes the protocol and its endpoints, as the server would mount them.
func (w *world) serve(transactions push.Transactions) {
	w.protocol = guardian.New(guardian.Options{
		Stores: guardian.Stores{Devices: w.store, Tickets: w.store, Answers: w.store, Challenges: w.challenges,
			Authenticators: w.store, Redeemer: w.store, Limiter: w.failures, Audit: w.store},
		Transactions: transactions, Services: w.services, URL: w.url, Issuer: issuer,
		Limits: throttle.Limits{Free: 3, Daily: 20, Disable: 100}, Ring: w.ring, Now: w.clock.Now,
	})
	mux := http.NewServeMux()
	for _, e := range w.protocol.Endpoints() {
		mux.HandleFunc(e.Method+" "+w.path()+"/"+e.Path, func(rw http.ResponseWriter, r *http.Request) {
			if err := e.Do(rw, r, "203.0.113.7"); err != nil && guardian.Refuse(rw, err) == fault.Internal {
				w.t.Error(err)
			}
		})
	}
	w.handler = mux
}

func (w *world) path() string {
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimRight(u.Path, "/")
}

// base is what a phone knows the gateway by.
func (w *world) base() string { return strings.TrimRight(w.url, "/") }

// request is sent as a phone would; headers are pairs.
func (w *world) request(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, w.base()+path, strings.NewReader(body))
	r.Host = "attacker.example"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	return got
}

// device is a phone with its key.
type device struct {
	rsa        *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
	identifier string
	service    string
}

// phoneKey is made once: making one takes as long as all other tests.
var phoneKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func android() *device {
	return &device{rsa: phoneKey(), identifier: "a1b2c3d4e5f60718", service: push.GCM}
}

func approver(t *testing.T) *device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &device{ec: key, identifier: "pwa-01", service: push.GCM}
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// jwk is the public key as the SDKs write it: the modulus as a signed number.
func (d *device) jwk() map[string]any {
	if d.ec != nil {
		point, err := d.ec.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		return map[string]any{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])}
	}
	return map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "e": b64(big.NewInt(int64(d.rsa.E)).Bytes()),
		"n": b64(append([]byte{0}, d.rsa.N.Bytes()...))}
}

func (d *device) algorithm() string {
	if d.ec != nil {
		return signer.ES256
	}
	return signer.RS256
}

// sign makes a JWT with the device's key, whatever its header says.
func (d *device) sign(header, claims map[string]any) string {
	input := b64(encode(header)) + "." + b64(encode(claims))
	sum := sha256.Sum256([]byte(input))
	if d.ec != nil {
		r, s, err := ecdsa.Sign(rand.Reader, d.ec, sum[:])
		if err != nil {
			panic(err)
		}
		return input + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, d.rsa, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + b64(signature)
}

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func (d *device) header() map[string]any {
	return map[string]any{"alg": d.algorithm(), "typ": "JWT"}
}

// enrollment is the body of an enrollment.
func (d *device) enrollment() map[string]any {
	return map[string]any{"identifier": d.identifier, "name": "Ann's Pixel", "public_key": d.jwk(),
		"push_credentials": map[string]any{"service": d.service, "token": "registration"}}
}

// associate begins an enrollment as a client does, and returns its ticket.
func (w *world) associate() (ticket string, made mfa.Enrollment) {
	w.t.Helper()
	made, err := w.factor.Enroll(w.t.Context(), mfa.Enrolling{Subject: subject, Handle: "tx", Account: mfa.Account{Name: "ann@example.com"}, Channel: "auth0"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store.Associate(subject, "tx", made.Authenticators...)
	code, err := url.Parse(made.Reply["barcode_uri"].(string))
	if err != nil {
		w.t.Fatal(err)
	}
	return code.Query().Get("enrollment_tx_id"), made
}

func (w *world) enroll(ticket string, body map[string]any) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.request("POST", "/appliance-mfa/api/enroll", string(encode(body)), "Authorization", `Ticket id="`+ticket+`"`)
}

// enrolled is a device with an active account.
func (w *world) enrolled(d *device) guardian.Enrolled {
	w.t.Helper()
	ticket, _ := w.associate()
	got := w.enroll(ticket, d.enrollment())
	var e guardian.Enrolled
	if got.Code != http.StatusCreated || json.Unmarshal(got.Body.Bytes(), &e) != nil {
		w.t.Fatalf("%d %s", got.Code, got.Body)
	}
	w.store.Confirm(e.ID)
	return e
}

// ask sends a push for a login, and returns it.
func (w *world) ask(e guardian.Enrolled, binding record.Binding) (push.Message, map[string]any) {
	w.t.Helper()
	answer, err := w.factor.Challenge(w.t.Context(), mfa.Asking{
		Transaction: mfa.Transaction{ID: "tx", Login: mfa.Login{Subject: subject, Client: "shop",
			Audience: []string{"https://api.example.com"}, Scopes: []string{"openid"}}},
		Authenticator: mfa.Authenticator{ID: "push|" + e.ID, Type: mfa.OOB, Channel: "auth0", Group: e.ID},
		Binding:       binding, Address: "192.0.2.1", Agent: "Mozilla/5.0 (Windows NT 10.0) Chrome/143.0.0.0 Safari/537.36",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.sent[len(w.sent)-1], answer
}

// claims are those of an answer of today's SDKs.
func (w *world) claims(d *device, m push.Message, accepted bool) map[string]any {
	now := w.clock.Now().Unix()
	return map[string]any{"iss": d.identifier, "sub": m.Challenge, "aud": w.base() + "/appliance-mfa/api/resolve-transaction",
		"iat": now, "exp": now + 30, "auth0_guardian_method": "push", "auth0_guardian_accepted": accepted}
}

// answer sends one.
func (w *world) answer(m push.Message, response string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.request("POST", "/appliance-mfa/api/resolve-transaction", string(encode(map[string]any{"challenge_response": response})),
		"Authorization", "Bearer "+m.Token.Reveal(), "User-Agent", "GuardianSDK/0.10.2 Android 16",
		"Auth0-Client", b64([]byte(`{"name":"Guardian.Android","version":"0.10.2","env":{"appName":"Acme","appVersion":"3"}}`)))
}

// refused checks that an answer is a refusal in the shape that all SDKs read.
func refused(t *testing.T, got *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body map[string]any
	if got.Code != status || json.Unmarshal(got.Body.Bytes(), &body) != nil || body["errorCode"] != code {
		t.Fatalf("%d %s, want %d %s", got.Code, got.Body, status, code)
	}
	if body["statusCode"] != float64(status) || body["error"] == "" || body["message"] == "" || body["description"] != body["message"] ||
		got.Header().Get("Content-Type") != "application/json" || !bytes.HasPrefix(got.Body.Bytes(), []byte(`{"statusCode":`)) {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
}
