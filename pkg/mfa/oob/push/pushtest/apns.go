package pushtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// APNs stands in for the Apple Push Notification service.
type APNs struct {
	inbox
	URL       string // for delivery.push.apns.endpoint: HTTP/2 without TLS
	SecureURL string // the same with TLS
	Roots     *x509.CertPool
	KeyFile   string // for delivery.push.apns.key_file

	key *ecdsa.PrivateKey
	now func() time.Time

	mu     sync.Mutex
	tokens map[string]providerToken // the last one of each connection
}

// What belongs to the key in the configuration.
const (
	KeyID  = "ABC123DEFG"
	TeamID = "DEF123GHIJ"
	Topic  = "com.example.guardian"
)

// A providerToken is one that was accepted.
type providerToken struct {
	text string
	made time.Time
}

// NewAPNs starts one that stops with the test. now is the clock of the gateways.
func NewAPNs(t testing.TB, now func() time.Time) *APNs {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, key, now)
}

// Beside starts another environment, where the same key is good.
func (a *APNs) Beside(t testing.TB) *APNs {
	t.Helper()
	return start(t, a.key, a.now)
}

func start(t testing.TB, key *ecdsa.PrivateKey, now func() time.Time) *APNs {
	t.Helper()
	a := &APNs{inbox: newInbox(), key: key, now: now, tokens: map[string]providerToken{}, Roots: x509.NewCertPool()}
	plain := httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	plain.Config.Protocols = &http.Protocols{}
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	a.Roots.AddCert(secure.Certificate())
	a.URL, a.SecureURL = plain.URL, secure.URL
	a.KeyFile = write(t, "AuthKey_"+KeyID+".p8", pkcs8(t, key))
	return a
}

// serve is POST /3/device/{token}.
func (a *APNs) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	device := strings.TrimPrefix(r.URL.Path, "/3/device/")
	failure, ok := a.failure()
	if !ok {
		failure = a.judge(r, device, body)
	}
	a.pushes <- Push{Token: device, Header: r.Header, Body: body, Status: failure.Status}
	w.Header().Set("apns-id", r.Header.Get("apns-id"))
	if failure.Status == http.StatusOK {
		return
	}
	said := map[string]any{"reason": failure.Word}
	if failure.Status == http.StatusGone {
		said["timestamp"] = a.now().UnixMilli()
	}
	failure.fail(w, r, said)
}

// judge is what APNs would say to a message.
func (a *APNs) judge(r *http.Request, device string, body []byte) Failure {
	_, err := hex.DecodeString(device)
	switch {
	case r.Method != http.MethodPost:
		return Failure{Status: http.StatusMethodNotAllowed, Word: "MethodNotAllowed"}
	case r.ProtoMajor != 2 || !strings.HasPrefix(r.URL.Path, "/3/device/"):
		return Failure{Status: http.StatusNotFound, Word: "BadPath"}
	case device == "" || err != nil:
		return Failure{Status: http.StatusBadRequest, Word: "BadDeviceToken"}
	}
	if word, status := a.authorized(r); word != "" {
		return Failure{Status: status, Word: word}
	}
	if word := described(r.Header); word != "" {
		return Failure{Status: http.StatusBadRequest, Word: word}
	}
	const most = 4096
	switch {
	case len(body) > most:
		return Failure{Status: http.StatusRequestEntityTooLarge, Word: "PayloadTooLarge"}
	case !json.Valid(body):
		return Failure{Status: http.StatusBadRequest, Word: "PayloadEmpty"}
	}
	return Failure{Status: http.StatusOK}
}

// authorized says what is wrong with a provider token.
func (a *APNs) authorized(r *http.Request) (word string, status int) {
	text, ok := strings.CutPrefix(r.Header.Get("authorization"), "bearer ")
	if !ok {
		return "MissingProviderToken", http.StatusForbidden
	}
	var header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		IssuedAt int64  `json:"iat"`
	}
	const half = 32
	signed, signature, ok := jwt(text, &header, &claims)
	if !ok || header.Algorithm != "ES256" || header.KeyID != KeyID || claims.Issuer != TeamID || len(signature) != 2*half {
		return "InvalidProviderToken", http.StatusForbidden
	}
	sum := sha256.Sum256([]byte(signed))
	if !ecdsa.Verify(&a.key.PublicKey, sum[:], new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])) {
		return "InvalidProviderToken", http.StatusForbidden
	}
	made := time.Unix(claims.IssuedAt, 0)
	if age := a.now().Sub(made); age > time.Hour || age < -time.Minute {
		return "ExpiredProviderToken", http.StatusForbidden
	}
	return a.remember(r.RemoteAddr, providerToken{text, made})
}

// remember refuses a connection that changes its token too often.
func (a *APNs) remember(connection string, next providerToken) (word string, status int) {
	const least = 20 * time.Minute
	a.mu.Lock()
	defer a.mu.Unlock()
	last, known := a.tokens[connection]
	if age := next.made.Sub(last.made); known && last.text != next.text && age >= 0 && age < least {
		return "TooManyProviderTokenUpdates", http.StatusTooManyRequests
	}
	a.tokens[connection] = next
	return "", 0
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// described says what is wrong with the headers of a message.
func described(h http.Header) string {
	const longest = 64
	_, expires := strconv.ParseUint(h.Get("apns-expiration"), 10, 63)
	switch {
	case h.Get("apns-topic") == "":
		return "MissingTopic"
	case h.Get("apns-topic") != Topic:
		return "DeviceTokenNotForTopic"
	case h.Get("apns-push-type") != "alert":
		return "InvalidPushType"
	case h.Get("apns-priority") != "10":
		return "BadPriority"
	case expires != nil:
		return "BadExpirationDate"
	case len(h.Get("apns-collapse-id")) > longest:
		return "BadCollapseId"
	case !uuid.MatchString(h.Get("apns-id")):
		return "BadMessageId"
	}
	return ""
}
