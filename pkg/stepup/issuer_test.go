package stepup_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/stepup"
)

const (
	audience  = "https://api.example.test/"
	wellKnown = "/.well-known/openid-configuration"
	keysPath  = "/keys"
)

// issuer publishes keys of its own over TLS, and counts how often they are read. Its
// signatures are the standard library's.
type issuer struct {
	*httptest.Server
	reads atomic.Int32

	mu       sync.Mutex
	keys     []signingKey
	metadata map[string]string
	answer   http.HandlerFunc // in place of the key set, if it is there
}

type signingKey struct {
	kid, alg string
	private  crypto.Signer
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	i.metadata = map[string]string{"issuer": i.name(), "jwks_uri": i.URL + keysPath}
	return i
}

// name is what it calls itself.
func (i *issuer) name() string { return i.URL + "/" }

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	answer := i.answer
	i.mu.Unlock()
	switch {
	case r.URL.Path == wellKnown:
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(i.metadata)
	case r.URL.Path != keysPath:
		http.NotFound(w, r)
	default:
		i.reads.Add(1)
		if answer != nil {
			answer(w, r)
			return
		}
		i.writeKeys(w)
	}
}

func (i *issuer) writeKeys(w io.Writer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := []map[string]string{}
	for _, k := range i.keys {
		set = append(set, k.public())
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
}

// instead has the issuer answer otherwise; nil takes that back.
func (i *issuer) instead(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

// publish makes what is published: these keys and no other.
func (i *issuer) publish(keys ...signingKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func ecKey(t testing.TB, kid string) signingKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{kid, "ES256", key}
}

func rsaKey(t testing.TB, kid string) signingKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signingKey{kid, "RS256", key}
}

var b64 = base64.RawURLEncoding.EncodeToString

func (k signingKey) public() map[string]string {
	switch key := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err) // a key of the standard library
		}
		return map[string]string{"kty": "EC", "crv": "P-256", "kid": k.kid, "alg": k.alg, "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])}
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": k.kid, "alg": k.alg, "use": "sig", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	}
	panic("a key of another kind")
}

// sign makes a token of a header and claims.
func (k signingKey) sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b64(text)
	}
	text := encode(header) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	switch key := k.private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))))
	case *rsa.PrivateKey:
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + b64(signature)
	}
	t.Fatal("a key of another kind")
	return ""
}

// world is a guarded API, its issuer and a clock that is wound by hand.
type world struct {
	*issuer
	guard *stepup.Guard
	key   signingKey // published

	mu  sync.Mutex
	now time.Time
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// newWorld makes one whose options may be changed.
func newWorld(t testing.TB, change func(*stepup.Options)) *world {
	t.Helper()
	w := &world{issuer: newIssuer(t), key: ecKey(t, "first"), now: noon}
	w.publish(w.key)
	o := stepup.Options{Issuer: w.name(), Audience: audience, Client: w.Client(), Now: w.clock, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	var err error
	if w.guard, err = stepup.New(o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) wind(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// claims are those of a good token with some changed; nil drops one.
func (w *world) claims(change map[string]any) map[string]any {
	all := map[string]any{
		"iss": w.name(), "sub": "auth0|alice", "aud": audience, "client_id": "spa", "jti": "1", "sid": "2",
		"iat": w.clock().Unix(), "exp": w.clock().Add(15 * time.Minute).Unix(), "scope": "read:things",
		"auth_time": w.clock().Unix(), "amr": []string{"pwd"},
	}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// token is a good one with claims changed.
func (w *world) token(t testing.TB, change map[string]any) string {
	t.Helper()
	return w.tokenBy(t, w.key, change)
}

func (w *world) tokenBy(t testing.TB, key signingKey, change map[string]any) string {
	t.Helper()
	return key.sign(t, map[string]any{"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}, w.claims(change))
}

// ask sends a request with a bearer token to a handler behind a demand.
func (w *world) ask(t testing.TB, d stepup.Demand, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/things", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(t, d, r)
}

// send lets a guarded handler answer a request; it is reached exactly when that is 200.
func (w *world) send(t testing.TB, d stepup.Demand, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	reached := false
	rec := httptest.NewRecorder()
	w.guard.Require(d, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(rec, r)
	if reached != (rec.Code == http.StatusOK) {
		t.Errorf("the handler was reached: %v; the answer is %d", reached, rec.Code)
	}
	if rec.Code != http.StatusOK && rec.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("a refusal that may be kept: %v", rec.Header())
	}
	return rec
}

// want fails the test unless the answer has the status and the challenge.
func want(t testing.TB, name string, rec *httptest.ResponseRecorder, status int, challenge string) {
	t.Helper()
	if got := rec.Header().Get("WWW-Authenticate"); rec.Code != status || got != challenge {
		t.Errorf("%s: %d %q %s, want %d %q", name, rec.Code, got, rec.Body, status, challenge)
	}
}
