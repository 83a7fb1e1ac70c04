package inbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A webhook is one that a gateway would send, and what a test changes of it.
type webhook struct {
	members map[string]any
	key     []byte
	at      time.Time
	headers []string // after it was signed
	body    string   // the same; empty: what was signed
}

func (d *desk) webhook() webhook {
	d.t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.Secret().Reveal(), "whsec_"))
	if err != nil {
		d.t.Fatal(err)
	}
	return webhook{key: key, at: d.now, members: map[string]any{
		"channel": "sms", "to": "+4915550100042", "code": "482915", "text": "482915 is your code.",
		"expires_in": 300, "client_id": "demo", "locale": "en",
	}}
}

// post sends a webhook and returns the status of the answer.
func (d *desk) post(h webhook) int {
	d.t.Helper()
	text, err := json.Marshal(h.members)
	if err != nil {
		d.t.Fatal(err)
	}
	const id = "msg_1"
	at := strconv.FormatInt(h.at.Unix(), 10)
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(id + "." + at + "." + string(text)))
	body := string(text)
	if h.body != "" {
		body = h.body
	}
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.Webhook(), strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	answer, _ := d.ask(r, append([]string{
		"Content-Type", "application/json", "Webhook-Id", id, "Webhook-Timestamp", at,
		"Webhook-Signature", "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}, h.headers...)...)
	return answer.StatusCode
}

func TestWebhook(t *testing.T) {
	d := open(t)
	if got := d.post(d.webhook()); got != http.StatusNoContent {
		t.Fatalf("answered with %d", got)
	}
	want := Message{ID: "msg_1", Channel: SMS, To: "+4915550100042", Code: "482915", Text: "482915 is your code.", At: d.now}
	if got := d.all(); len(got) != 1 || got[0] != want {
		t.Errorf("kept %+v", got)
	}
	// An answer that was lost: it is accepted again, and kept once.
	if got := d.post(d.webhook()); got != http.StatusNoContent || len(d.all()) != 1 {
		t.Errorf("once more: %d, %d kept", got, len(d.all()))
	}
	call := d.webhook()
	call.members["channel"], call.headers = "voice", nil
	if got := d.post(call); got != http.StatusNoContent || len(d.all()) != 1 {
		t.Errorf("another one with its id: %d, %d kept", got, len(d.all()))
	}
}

// While a secret is replaced there are two signatures.
func TestWebhookWithTwoSignatures(t *testing.T) {
	d := open(t)
	h := d.webhook()
	text, err := json.Marshal(h.members)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte("msg_1." + strconv.FormatInt(h.at.Unix(), 10) + "." + string(text)))
	h.headers = []string{"Webhook-Signature", "v1,AAAA v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	if got := d.post(h); got != http.StatusNoContent || len(d.all()) != 1 {
		t.Errorf("%d, %d kept", got, len(d.all()))
	}
}

// What is not signed, or not what was signed, leaves no trace.
func TestForgedWebhook(t *testing.T) {
	d := open(t)
	for name, forge := range map[string]func(*webhook){
		"with another key":       func(h *webhook) { h.key = []byte("another key") },
		"without a key":          func(h *webhook) { h.key = nil },
		"with another body":      func(h *webhook) { h.body = `{"channel":"sms","to":"+1","text":"x","code":"000000"}` },
		"with another id":        func(h *webhook) { h.headers = []string{"Webhook-Id", "msg_2"} },
		"with another time":      func(h *webhook) { h.headers = []string{"Webhook-Timestamp", "1772600768"} },
		"too old":                func(h *webhook) { h.at = d.now.Add(-leeway - time.Second) },
		"of the future":          func(h *webhook) { h.at = d.now.Add(leeway + time.Second) },
		"without a time":         func(h *webhook) { h.headers = []string{"Webhook-Timestamp", ""} },
		"without an id":          func(h *webhook) { h.headers = []string{"Webhook-Id", ""} },
		"without a signature":    func(h *webhook) { h.headers = []string{"Webhook-Signature", ""} },
		"with an empty one":      func(h *webhook) { h.headers = []string{"Webhook-Signature", "v1,"} },
		"of another version":     func(h *webhook) { h.headers = []string{"Webhook-Signature", "v1a,AAAA"} },
		"with a time of letters": func(h *webhook) { h.headers = []string{"Webhook-Timestamp", "now"} },
	} {
		h := d.webhook()
		forge(&h)
		if got := d.post(h); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := d.all(); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
}

func TestWebhookThatSaysNothing(t *testing.T) {
	d := open(t)
	for member, value := range map[string]any{"channel": "email", "to": "", "text": 1} {
		h := d.webhook()
		h.members[member] = value
		if got := d.post(h); got != http.StatusBadRequest {
			t.Errorf("%s %v: %d", member, value, got)
		}
	}
	long := d.webhook()
	long.members["text"] = strings.Repeat("x", webhookLimit)
	if got := d.post(long); got != http.StatusRequestEntityTooLarge || len(d.all()) != 0 {
		t.Errorf("a long one: %d, %d kept", got, len(d.all()))
	}
}
