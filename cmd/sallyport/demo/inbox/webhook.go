package inbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A webhook is signed by the convention of Standard Webhooks, over id.timestamp.body.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
	signatureV1     = "v1,"
	// leeway is how old a webhook may be: what was overheard is worth nothing later.
	leeway = 5 * time.Minute
)

// webhookLimit bounds a text message with what stands around it.
const webhookLimit = 64 << 10

// webhook takes a text message or a call. What has no right signature leaves no trace; what
// comes again was not answered in time, and is accepted again.
func (b *Inbox) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, webhookLimit))
	if err != nil {
		http.Error(w, "the message is too long", http.StatusRequestEntityTooLarge)
		return
	}
	if !b.signed(r.Header, body) {
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	var sent struct {
		Channel string `json:"channel"`
		To      string `json:"to"`
		Code    string `json:"code"`
		Text    string `json:"text"`
	}
	if json.Unmarshal(body, &sent) != nil || sent.Channel != SMS && sent.Channel != Voice || sent.To == "" || sent.Text == "" {
		http.Error(w, "want channel, to and text", http.StatusBadRequest)
		return
	}
	b.keep(Message{ID: r.Header.Get(headerID), Channel: sent.Channel, To: sent.To, Code: sent.Code, Text: sent.Text})
	w.WriteHeader(http.StatusNoContent)
}

// signed reports whether one of the signatures is right and the time near.
func (b *Inbox) signed(h http.Header, body []byte) bool {
	id, at := h.Get(headerID), h.Get(headerTimestamp)
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || b.now().Sub(time.Unix(seconds, 0)).Abs() > leeway {
		return false
	}
	mac := hmac.New(sha256.New, b.key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	want := []byte(signatureV1 + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for got := range strings.FieldsSeq(h.Get(headerSignature)) { // several while a secret is replaced
		if hmac.Equal([]byte(got), want) {
			return true
		}
	}
	return false
}
