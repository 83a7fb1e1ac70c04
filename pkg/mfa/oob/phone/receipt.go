package phone

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with; as a MAC it is not broken
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/form"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// Receipt reads what a service has signed about a message, as the channels of package receipt
// do.
func (l *Line) Receipt(provider int, c oob.Callback) (oob.Receipt, error) {
	if provider < 0 || provider >= len(l.services) {
		return oob.Receipt{}, fault.NotFound
	}
	return l.services[provider].receipt(c)
}

// receiptFields are what a webhook's service says.
var receiptFields = form.Fields{"id": form.One, "status": form.One, "reason": form.One}

// receipt implements service. It is signed as messages are, with the same secret, which tells
// neither the channel nor the direction: a message has no status, and its ID is of one
// channel.
func (w *webhook) receipt(c oob.Callback) (oob.Receipt, error) {
	const tolerance = 5 * time.Minute // Standard Webhooks
	id, at := c.Header("Webhook-Id"), c.Header("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || w.now().Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return oob.Receipt{}, fault.BadReceipt
	}
	want := "v1," + w.sign(id, at, c.Body)
	signed := false
	for signature := range strings.SplitSeq(c.Header("Webhook-Signature"), " ") {
		signed = signed || hmac.Equal([]byte(signature), []byte(want))
	}
	if !signed {
		return oob.Receipt{}, fault.BadReceipt
	}
	said, err := form.Reader{Known: receiptFields, JSON: true, Tolerant: true}.Parse([]string{c.Header("Content-Type")}, c.Body)
	if err != nil {
		return oob.Receipt{}, err
	}
	r := oob.Receipt{ID: said.Get("id"), Outcome: oob.Outcome(said.Get("status")), Reason: said.Get("reason")}
	if r.ID == "" || r.Outcome != oob.Delivered && r.Outcome != oob.Undelivered {
		return oob.Receipt{}, fault.Param(fault.BadRequest, "A receipt has an id, and a status: delivered or undelivered.")
	}
	return r, nil
}

// fates are the ends of Twilio's messages and calls. That a call was completed says that
// somebody, or something, answered.
var fates = map[string]oob.Outcome{
	"delivered": oob.Delivered, "read": oob.Delivered, "completed": oob.Delivered,
	"undelivered": oob.Undelivered, "failed": oob.Undelivered, "canceled": oob.Undelivered, "busy": oob.Undelivered, "no-answer": oob.Undelivered,
}

// reports reports whether there are receipts to read: they are signed with the account's own
// token, which the gateway does not have where it has an API key.
func (t *twilio) reports() bool { return t.s.APIKey == "" }

// callback is where Twilio is asked to send receipts; empty if it is not asked. It takes no
// URL of this machine.
func (t *twilio) callback(l letter) string {
	if !t.reports() || !strings.HasPrefix(l.receipts, "https://") {
		return ""
	}
	return l.receipts + "?id=" + url.QueryEscape(l.ID)
}

// receipt implements service.
func (t *twilio) receipt(c oob.Callback) (oob.Receipt, error) {
	if !t.reports() {
		return oob.Receipt{}, fault.NotFound
	}
	said, err := url.ParseQuery(string(c.Body))
	if err != nil {
		return oob.Receipt{}, fault.Param(fault.BadRequest, "The form cannot be decoded.")
	}
	if !t.signed(c, said) {
		return oob.Receipt{}, fault.BadReceipt
	}
	// The signature does not separate the URL from the form, nor names from values: the ID
	// does, for it is whole or none.
	query, err := url.ParseQuery(c.Query)
	status := cmp.Or(one(said, "MessageStatus"), one(said, "CallStatus"))
	if err != nil || one(query, "id") == "" || status == "" {
		return oob.Receipt{}, fault.Param(fault.BadRequest, "A receipt has an id, and a MessageStatus or a CallStatus.")
	}
	return oob.Receipt{ID: one(query, "id"), Outcome: fates[status], Reason: cmp.Or(one(said, "ErrorCode"), status)}, nil
}

// one is a parameter that stands there once.
func one(form url.Values, name string) string {
	if len(form[name]) != 1 {
		return ""
	}
	return form[name][0]
}

// signed reports whether the account signed a form: HMAC-SHA1 over the URL and the
// parameters, sorted.
func (t *twilio) signed(c oob.Callback, said url.Values) bool {
	got, err := base64.StdEncoding.DecodeString(c.Header("X-Twilio-Signature"))
	if err != nil {
		return false
	}
	params := &strings.Builder{}
	names := make([]string, 0, len(said))
	for name := range said {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := slices.Clone(said[name])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			params.WriteString(name + v)
		}
	}
	signed := false
	for _, address := range spellings(c.URL) {
		mac := hmac.New(sha1.New, []byte(t.s.AuthToken.Reveal()))
		mac.Write([]byte(address + "?" + c.Query + params.String()))
		signed = signed || hmac.Equal(got, mac.Sum(nil))
	}
	return signed
}

// spellings are a URL as it was given, and with its port left out, or the usual one written
// out: Twilio signs either.
func spellings(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	other := *u
	switch {
	case u.Port() != "":
		other.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	case u.Scheme == "https":
		other.Host += ":443"
	default:
		other.Host += ":80"
	}
	return []string{address, other.String()}
}
