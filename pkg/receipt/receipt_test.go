package receipt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/receipt"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

const (
	public = "https://login.example.com/tenant/"
	token  = "0123456789abcdef0123456789abcdef"
)

// ledger is a record.Receiver that writes down what it is told.
type ledger struct {
	redeemed map[string]bool
	events   []audit.Event
	down     error
}

func (l *ledger) Redeem(_ context.Context, r record.Redemption) (bool, error) {
	if l.down != nil {
		return false, l.down
	}
	first := !l.redeemed[r.Hash]
	l.redeemed[r.Hash] = true
	return first, nil
}

func (l *ledger) Receive(ctx context.Context, r record.Redemption, e audit.Event) (bool, error) {
	first, err := l.Redeem(ctx, r)
	if first {
		l.events = append(l.events, e)
	}
	return first, err
}

// An office has text messages sent by Twilio.
type office struct {
	*ledger
	desk    *receipt.Desk
	ring    *secret.Ring
	counted []string
}

func newOffice(t testing.TB) *office {
	t.Helper()
	line, err := phone.NewLine(phone.SMS, "sms", phone.Config{Service: phone.Service{
		Driver: "twilio", AccountSID: "AC00000000000000000000000000000000", AuthToken: secret.New(token), From: "+4915550100000",
	}}, phone.Rules{}, func() time.Time { return mfatest.Epoch })
	if err != nil {
		t.Fatal(err)
	}
	o := &office{ledger: &ledger{redeemed: map[string]bool{}}}
	if o.ring, err = secret.NewRing(mfatest.Epoch); err != nil {
		t.Fatal(err)
	}
	o.desk = receipt.New(receipt.Options{
		Channels: []receipt.Channel{line}, Store: o, Ring: o.ring, URL: public, Now: func() time.Time { return mfatest.Epoch },
		Counted: func(channel, provider string, outcome oob.Outcome) {
			o.counted = append(o.counted, fmt.Sprint(channel, " ", provider, " ", outcome))
		},
	})
	return o
}

// receipt is one about a message that matters for so long.
func (o *office) receipt(t testing.TB, matters time.Duration, pairs ...string) phonetest.Receipt {
	t.Helper()
	id, err := oob.Reference{Transaction: "t1", Until: mfatest.Epoch.Add(matters)}.Seal(o.ring, "sms")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return phonetest.TwilioReceipt(token, public+"receipts/sms/0?id="+id, form)
}

// post sends a receipt to the gateway.
func (o *office) post(r phonetest.Receipt) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, r.URL, strings.NewReader(r.Body))
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	return o.serve(req)
}

func (o *office) serve(r *http.Request) *httptest.ResponseRecorder {
	got := httptest.NewRecorder()
	if err := o.desk.Serve(got, r, ""); err != nil {
		_ = receipt.Refuse(got, err)
	}
	return got
}

// What is said is recorded in few words of the provider's, and none that could be a code or a
// number.
func TestReasons(t *testing.T) {
	o := newOffice(t)
	for reason, want := range map[string]string{
		"30003": "sms: 30003", "absent": "sms: absent", "no_route": "sms: no_route", "": "sms: failed",
		"123456": "sms", "4915550100042": "sms", "+4915550100042": "sms", "call 15550100042": "sms", "a b": "sms", "x\ny": "sms",
		strings.Repeat("x", 33): "sms", "<script>": "sms", "-x": "sms",
	} {
		o.events = nil
		got := o.post(o.receipt(t, time.Second, "MessageStatus", "failed", "ErrorCode", reason))
		want := audit.Event{At: mfatest.Epoch, Type: audit.Undelivered, Reason: want, Transaction: "t1"}
		if got.Code != http.StatusNoContent || len(o.events) != 1 || fmt.Sprint(o.events[0]) != fmt.Sprint(want) {
			t.Errorf("%q: %d, %+v", reason, got.Code, o.events)
		}
	}
}

// What is over, under way or known already is neither recorded nor counted.
func TestTaken(t *testing.T) {
	o := newOffice(t)
	late := o.receipt(t, 0, "MessageStatus", "undelivered")
	undelivered, delivered := o.receipt(t, time.Millisecond, "MessageStatus", "undelivered"), o.receipt(t, time.Millisecond, "MessageStatus", "delivered")
	for _, r := range []phonetest.Receipt{late, o.receipt(t, time.Hour, "MessageStatus", "sent"), undelivered, delivered, undelivered, delivered} {
		if got := o.post(r); got.Code != http.StatusNoContent || got.Body.Len() != 0 {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	}
	if want := []string{"sms sms undelivered", "sms sms delivered"}; !slices.Equal(o.counted, want) || len(o.events) != 1 || len(o.redeemed) != 2 {
		t.Errorf("counted %q, %+v", o.counted, o.events)
	}
}

// While the store is down a provider is asked to come again; then it counts.
func TestStoreIsDown(t *testing.T) {
	o := newOffice(t)
	for _, status := range []string{"delivered", "undelivered"} {
		r := o.receipt(t, time.Hour, "MessageStatus", status)
		for _, o.down = range []error{fault.Unavailable, errors.New("a detail for the log")} {
			if got := o.post(r); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") != "1" || strings.Contains(got.Body.String(), "detail") {
				t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
			}
		}
		if o.down = nil; o.post(r).Code != http.StatusNoContent || len(o.counted) != 1 {
			t.Errorf("%s: counted %q", status, o.counted)
		}
		o.counted = nil
	}
}

// What is refused, and how.
func TestRefuse(t *testing.T) {
	for kind, status := range map[fault.Kind]int{
		fault.BadReceipt: 403, fault.BadRequest: 400, fault.BodyTooLarge: 413, fault.BodyTooSlow: 408, fault.NotFound: 404, fault.Unavailable: 503, fault.Internal: 500,
	} {
		got := httptest.NewRecorder()
		said := receipt.Refuse(got, &fault.Details{Kind: kind, RetryAfter: 1500 * time.Millisecond, Err: errors.New("a detail for the log")})
		var body map[string]string
		err := json.Unmarshal(got.Body.Bytes(), &body)
		if err != nil || said != kind || got.Code != status || body["error"] != kind.Error() || body["error_description"] == "" || len(body) != 2 ||
			strings.Contains(got.Body.String(), "detail") || got.Header().Get("Cache-Control") != "no-store" || (got.Header().Get("Retry-After") == "2") != (status == 503) {
			t.Errorf("%s: %s, %d %s, %v", kind, said, got.Code, got.Body, err)
		}
	}
	if got := httptest.NewRecorder(); receipt.Refuse(got, fault.WrongOTP) != fault.Internal || got.Code != 500 {
		t.Errorf("%d", got.Code)
	}
	got := httptest.NewRecorder()
	if said := receipt.Refuse(got, fault.Param(fault.BadRequest, "No receipt.")); said != fault.BadRequest || !strings.Contains(got.Body.String(), "No receipt.") {
		t.Error(got.Body)
	}
}

// Two headers are none, and a body that ends early is no receipt.
func TestBadPosts(t *testing.T) {
	o := newOffice(t)
	r := o.receipt(t, time.Hour, "MessageStatus", "undelivered")
	twice := httptest.NewRequest(http.MethodPost, r.URL, strings.NewReader(r.Body))
	signature := r.Header["X-Twilio-Signature"]
	twice.Header["X-Twilio-Signature"] = []string{signature, signature}
	if got := o.serve(twice); got.Code != http.StatusForbidden {
		t.Errorf("two signatures: %d %s", got.Code, got.Body)
	}
	broken := httptest.NewRequest(http.MethodPost, r.URL, io.MultiReader(strings.NewReader(r.Body), strings.NewReader("\xff")))
	if got := o.serve(broken); got.Code != http.StatusBadRequest {
		t.Errorf("no UTF-8: %d %s", got.Code, got.Body)
	}
	if len(o.events) != 0 || len(o.redeemed) != 0 {
		t.Errorf("%+v", o.events)
	}
}

// FuzzPost: whatever is posted, wherever, by somebody without the token, nothing comes of it.
func FuzzPost(f *testing.F) {
	f.Add("/tenant/receipts/sms/0", "id=v1~x~y", "AAAA", "MessageStatus=undelivered")
	f.Add("/tenant/receipts/sms/00", "", "", "")
	f.Add("/0", "id=", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "%zz")
	f.Add("/tenant/receipts/sms/-0", "a;b", "*", "a;b=c")
	f.Add("/tenant/receipts/sms/9223372036854775808", "id", "", "MessageStatus=delivered&MessageStatus=failed")
	o := newOffice(f)
	f.Fuzz(func(t *testing.T, path, query, signature, body string) {
		r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: path, RawQuery: query}, Body: io.NopCloser(strings.NewReader(body)),
			Header: http.Header{"X-Twilio-Signature": {signature}}}
		got := o.serve(r.WithContext(t.Context()))
		if !slices.Contains([]int{400, 403, 404, 413}, got.Code) || len(o.redeemed) != 0 || len(o.counted) != 0 {
			t.Fatalf("%d %s", got.Code, got.Body)
		}
	})
}
