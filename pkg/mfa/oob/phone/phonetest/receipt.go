package phonetest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Receipt is what a service posts about a message.
type Receipt struct {
	URL    string // where to
	Header map[string]string
	Body   string
}

// TwilioReceipt is one of Twilio's, signed with the token of an account.
func TwilioReceipt(token, callback string, form url.Values) Receipt {
	signed := callback
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			signed += name + value
		}
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(signed))
	return Receipt{URL: callback, Body: form.Encode(), Header: map[string]string{
		"Content-Type":       "application/x-www-form-urlencoded; charset=UTF-8",
		"X-Twilio-Signature": base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}}
}

// WebhookReceipt is one of an operator's own service, signed as Standard Webhooks describes.
func WebhookReceipt(secret, callback, body string, at time.Time) Receipt {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")) // a wrong one signs nothing
	const id = "rcpt_1"
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + seconds + "." + body))
	return Receipt{URL: callback, Body: body, Header: map[string]string{
		"Content-Type": "application/json", "Webhook-Id": id, "Webhook-Timestamp": seconds,
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}}
}
