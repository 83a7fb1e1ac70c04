package phonetest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Webhook stands in for an operator's own service.
type Webhook struct {
	inbox
	URL    string // for url
	Secret string // for secret

	key []byte
}

// NewWebhook starts one that stops with the test. It refuses signatures that are older or
// younger than five minutes by the clock.
func NewWebhook(t testing.TB, now func() time.Time) *Webhook {
	t.Helper()
	const length = 24
	w := &Webhook{inbox: newInbox(now), key: []byte(rand.Text())[:length]}
	w.Secret = "whsec_" + base64.StdEncoding.EncodeToString(w.key)
	server := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(server.Close)
	w.URL = server.URL + "/messages"
	return w
}

// Service is the configuration of whom it delivers for.
func (w *Webhook) Service() phone.Service {
	return phone.Service{Driver: "webhook", URL: w.URL, Secret: secret.New(w.Secret)}
}

// receive is the service.
func (w *Webhook) receive(rw http.ResponseWriter, r *http.Request) {
	failure, fails := w.called()
	if fails && !failure.Late {
		failure.fail(rw, r, map[string]string{"error": "the service says no"})
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	if !w.signed(r.Header.Get("webhook-signature"), id, at, body) {
		http.Error(rw, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	var m struct {
		Channel   *string `json:"channel"`
		To        *string `json:"to"`
		Code      *string `json:"code"`
		Text      *string `json:"text"`
		ExpiresIn *int    `json:"expires_in"`
		ClientID  *string `json:"client_id"`
		Locale    *string `json:"locale"`
	}
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if strict.Decode(&m) != nil || m.Channel == nil || m.To == nil || m.Code == nil || m.Text == nil ||
		m.ExpiresIn == nil || m.ClientID == nil || m.Locale == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(rw, "this is no message", http.StatusBadRequest)
		return
	}
	if !w.take(Message{ID: id, Channel: *m.Channel, To: *m.To, Code: *m.Code, Text: *m.Text, ExpiresIn: *m.ExpiresIn, Client: *m.ClientID, Language: *m.Locale}) {
		http.Error(rw, "this is another message", http.StatusConflict)
		return
	}
	if fails {
		failure.fail(rw, r, nil)
		return
	}
	rw.WriteHeader(http.StatusNoContent)
}

// signed reports whether a signature is right and fresh, as Standard Webhooks describes.
func (w *Webhook) signed(signatures, id, at string, body []byte) bool {
	const tolerance = 5 * time.Minute
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || w.now().Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	mac := hmac.New(sha256.New, w.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	for signature := range strings.SplitSeq(signatures, " ") {
		version, encoded, _ := strings.Cut(signature, ",")
		sum, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1" && err == nil && hmac.Equal(sum, mac.Sum(nil)) {
			return true
		}
	}
	return false
}
