package push

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/pushtest"
	"github.com/sallyport/sallyport/pkg/secret"
)

// TestAPNsKnownGood is the example of Guardian, 7.3, byte for byte, with the headers of
// 15.1, over HTTP/2 with TLS.
func TestAPNsKnownGood(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.APNs.Endpoint = w.apns.SecureURL
	s := senders(t, c, w.clock)
	s[APNS].(*apns).client.Transport.(*http.Transport).TLSClientConfig.RootCAs = w.apns.Roots
	m := login()
	m.Browser, m.OS = Software{"Safari", "26.1"}, Software{"Mac OS", "26"}
	sent(t, s, iphone, m)
	got := w.apns.Next(t)
	const want = `{"aps":{"alert":{"title":"Acme","body":"Sign-in request for ann@example.com"},` +
		`"category":"com.auth0.notification.authentication","sound":"default"},` +
		`"mfa":{"txtkn":"eyJ...","dai":"dev_Q3x9L2mZ7aVb0Kc1","c":"chl_7hQ2","d":"2026-01-02T03:04:05.678Z","sh":"gw.example.com",` +
		`"s":{"b":{"n":"Safari","v":"26.1"},"os":{"n":"Mac OS","v":"26"}},"l":{"n":"Lyon, FR","lat":"45.76","long":"4.84"},` +
		`"txlnkid":"cns_01"}}`
	if string(got.Body) != want {
		t.Errorf("%s\nwant %s", got.Body, want)
	}
	if got.Token != iphone.Token.Reveal() {
		t.Errorf("sent to %s", got.Token)
	}
	for name, want := range map[string]string{
		"apns-topic": pushtest.Topic, "apns-push-type": "alert", "apns-priority": "10", "apns-expiration": "1767323165",
		"apns-collapse-id": "txn_2aV9", "content-type": "application/json",
	} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestAPNsWithoutTrust: a certificate that nobody vouches for ends the matter.
func TestAPNsWithoutTrust(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.APNs.Endpoint = w.apns.SecureURL
	failed(t, senders(t, c, w.clock).Send(t.Context(), iphone, login()), fault.Unavailable, nil)
	if w.apns.Unread() != 0 {
		t.Error("something was sent")
	}
}

// TestAPNsLeast: nothing is known of the login but the client.
func TestAPNsLeast(t *testing.T) {
	w := newWorld(t)
	m := login()
	m.Browser, m.OS, m.Location, m.Consent, m.Account, m.Client = Software{}, Software{}, Place{}, "", "", "Shop <1> & Co"
	sent(t, w, iphone, m)
	const want = `{"aps":{"alert":{"title":"Acme","subtitle":"Shop <1> & Co","body":"Sign-in request"},` +
		`"category":"com.auth0.notification.authentication","sound":"default"},` +
		`"mfa":{"txtkn":"eyJ...","dai":"dev_Q3x9L2mZ7aVb0Kc1","c":"chl_7hQ2","d":"2026-01-02T03:04:05.678Z","sh":"gw.example.com"}}`
	if got := w.apns.Next(t); string(got.Body) != want {
		t.Errorf("%s\nwant %s", got.Body, want)
	}
}

// TestAPNsProviderToken: one token serves between twenty minutes and an hour, and a clock
// that is set back ends it.
func TestAPNsProviderToken(t *testing.T) {
	w := newWorld(t)
	token := func() string {
		t.Helper()
		m := login()
		m.ExpiresAt = w.now().Add(time.Minute)
		sent(t, w, iphone, m)
		return w.apns.Next(t).Header.Get("authorization")
	}
	first := token()
	w.wind(reuse - time.Second)
	if token() != first {
		t.Error("another token within its life")
	}
	w.wind(time.Second)
	second := token()
	if second == first {
		t.Error("the same token after its life")
	}
	w.wind(-2 * time.Hour)
	if token() == second {
		t.Error("a token from the future")
	}
}

// TestAPNsSecondEndpoint: a device that one environment does not know is looked for in the
// other, once.
func TestAPNsSecondEndpoint(t *testing.T) {
	w := newWorld(t)
	sandbox := w.apns.Beside(t)
	c := w.config()
	c.APNs.SecondEndpoint = sandbox.URL
	s := senders(t, c, w.clock)
	bad := pushtest.Failure{Status: 400, Word: "BadDeviceToken"}

	sent(t, s, iphone, login())
	if w.apns.Unread() != 1 || sandbox.Unread() != 0 {
		t.Error("a device that is known is looked for elsewhere")
	}
	w.apns.Fail(bad)
	sent(t, s, iphone, login())
	if sandbox.Unread() != 1 {
		t.Error("the second endpoint was not asked")
	}
	w.apns.Fail(bad)
	sandbox.Fail(bad)
	failed(t, s.Send(t.Context(), iphone, login()), fault.Undeliverable, ErrEndpointGone)
	w.apns.Fail(bad)
	sandbox.Fail(pushtest.Failure{Status: 503, Word: "Shutdown"})
	failed(t, s.Send(t.Context(), iphone, login()), fault.Unavailable, nil)
	before := sandbox.Unread()
	w.apns.Fail(pushtest.Failure{Status: 410, Word: "Unregistered"})
	failed(t, s.Send(t.Context(), iphone, login()), fault.Undeliverable, ErrEndpointGone)
	if sandbox.Unread() != before {
		t.Error("a device that was there once is looked for elsewhere")
	}
}

// TestAPNsDeviceToken: what is not hex leads to no path of the service.
func TestAPNsDeviceToken(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{"", "0", "00/../11", "..", "00?x", "00%2f", "zz", strings.Repeat("00", 101), "00 11"} {
		err := w.Send(t.Context(), oob.Endpoint{Service: APNS, Token: secret.New(token)}, login())
		if fault.Of(err) != fault.Undeliverable || w.apns.Unread() != 0 {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// TestAPNsIDs: a longer id still has its place, each try of a message has the same name,
// and each device another.
func TestAPNsIDs(t *testing.T) {
	w := newWorld(t)
	headers := func(m Message) http.Header {
		t.Helper()
		sent(t, w, iphone, m)
		return w.apns.Next(t).Header
	}
	m := login()
	m.ID = strings.Repeat("x", 65)
	once, again := headers(m), headers(m)
	m.Device = "dev_other"
	other := headers(m)
	if id := once.Get("apns-collapse-id"); len(id) != 64 || id == m.ID[:64] || id != other.Get("apns-collapse-id") {
		t.Errorf("apns-collapse-id %q", id)
	}
	if once.Get("apns-id") != again.Get("apns-id") || once.Get("apns-id") == other.Get("apns-id") {
		t.Errorf("apns-id %s, %s, %s", once.Get("apns-id"), again.Get("apns-id"), other.Get("apns-id"))
	}
}
