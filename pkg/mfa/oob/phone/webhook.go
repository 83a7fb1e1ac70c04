package phone

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// webhook posts messages to a service of the operator's, signed as Standard Webhooks
// describes.
type webhook struct {
	url    string
	key    []byte
	client *http.Client
	now    func() time.Time
}

// posted is the body.
type posted struct {
	Channel   string `json:"channel"`
	To        string `json:"to"`
	Code      string `json:"code"`
	Text      string `json:"text"` // to send or to speak as it is
	ExpiresIn int    `json:"expires_in"`
	ClientID  string `json:"client_id"`
	Locale    string `json:"locale"` // of the text
}

// deliver implements service. Any 2xx says that the message was taken.
func (w *webhook) deliver(ctx context.Context, l letter) error {
	body := &bytes.Buffer{}
	enc := json.NewEncoder(body)
	enc.SetEscapeHTML(false) // nobody puts it into a page
	err := enc.Encode(posted{
		Channel: l.channel, To: l.To.Reveal(), Code: l.Code.Reveal(), Text: l.words.Text,
		ExpiresIn: int(l.ExpiresIn / time.Second), ClientID: l.Client, Locale: l.words.Language,
	})
	if err != nil {
		return fmt.Errorf("write a message: %w", err)
	}
	content := bytes.TrimSpace(body.Bytes())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(content))
	if err != nil {
		return undeliverable("the service has no URL")
	}
	now := w.now()
	at := strconv.FormatInt(now.Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Webhook-Id", l.ID)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", "v1,"+w.sign(l.ID, at, content))
	_, err = call(w.client, r, now)
	return err
}

// sign is the symmetric signature of Standard Webhooks.
func (w *webhook) sign(id, at string, content []byte) string {
	mac := hmac.New(sha256.New, w.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, content)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
