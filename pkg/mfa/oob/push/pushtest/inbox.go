// Package pushtest has push services that tests can run: they behave as the real ones do
// as far as their documentation says, refuse what those refuse, and keep what they got.
package pushtest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Push is a message as it arrived.
type Push struct {
	Token  string // the device's
	Header http.Header
	Body   []byte
	Status int // that it was answered with; 0 for one that was not answered
}

// A Failure is what a service answers instead of taking a message.
type Failure struct {
	Status     int
	Word       string // FCM's code, APNs' reason; none: a body that is not JSON
	RetryAfter string
	Location   string
	Hang       bool // answer nothing
}

// inbox keeps what arrived, and the failures to come.
type inbox struct {
	pushes chan Push

	mu       sync.Mutex
	failures []Failure
}

func newInbox() inbox {
	const most = 1024
	return inbox{pushes: make(chan Push, most)}
}

// Next is the next message that arrived; it waits for one.
func (i *inbox) Next(t testing.TB) Push {
	t.Helper()
	select {
	case p := <-i.pushes:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("no push arrived")
		return Push{}
	}
}

// Unread is how many messages arrived that Next did not return yet.
func (i *inbox) Unread() int { return len(i.pushes) }

// Fail makes the next messages fail, one after the other.
func (i *inbox) Fail(failures ...Failure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failures = append(i.failures, failures...)
}

// failure takes the next failure off the list.
func (i *inbox) failure() (Failure, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.failures) == 0 {
		return Failure{}, false
	}
	next := i.failures[0]
	i.failures = i.failures[1:]
	return next, true
}

// fail answers with a failure; body is what the service would say.
func (f Failure) fail(w http.ResponseWriter, r *http.Request, body any) {
	if f.Hang {
		<-r.Context().Done()
		return
	}
	for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": f.Location} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	if f.Word == "" {
		http.Error(w, "<html>", f.Status)
		return
	}
	writeJSON(w, f.Status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}

// jwt takes a JWT apart: what is signed, and header and claims of it.
func jwt(token string, header, claims any) (signed string, signature []byte, ok bool) {
	parts := strings.Split(token, ".")
	const three = 3
	if len(parts) != three {
		return "", nil, false
	}
	for i, into := range []any{header, claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			return "", nil, false
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	return parts[0] + "." + parts[1], signature, err == nil
}

// pkcs8 is a private key in PEM.
func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// write makes a file that goes with the test.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
