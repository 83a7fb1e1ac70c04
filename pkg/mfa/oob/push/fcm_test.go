package push

import (
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/pushtest"
)

// TestFCMKnownGood is the example of Guardian, 7.2, byte for byte. Whether the access
// token is right the service looks itself.
func TestFCMKnownGood(t *testing.T) {
	w := newWorld(t)
	sent(t, w, android, login())
	got := w.fcm.Next(t)
	const want = `{"message":{"token":"fcm-registration:APA91bExample_-token","android":{"priority":"HIGH","ttl":"120s"},` +
		`"data":{"txtkn":"eyJ...","dai":"dev_Q3x9L2mZ7aVb0Kc1","c":"chl_7hQ2","d":"2026-01-02T03:04:05.678Z","sh":"gw.example.com",` +
		`"s":"{\"b\":{\"n\":\"Chrome\",\"v\":\"143.0\"},\"os\":{\"n\":\"Windows\",\"v\":\"11\"}}",` +
		`"l":"{\"n\":\"Lyon, FR\",\"lat\":\"45.76\",\"long\":\"4.84\"}","txlnkid":"cns_01"}}}`
	if string(got.Body) != want {
		t.Errorf("%s\nwant %s", got.Body, want)
	}
	if got.Token != android.Token.Reveal() || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", got)
	}
}

// TestFCMLeast: nothing is known of the login; s is there nevertheless.
func TestFCMLeast(t *testing.T) {
	w := newWorld(t)
	m := login()
	m.Browser, m.OS, m.Location, m.Consent, m.Client = Software{}, Software{}, Place{}, "", "Shop <1> & Co"
	sent(t, w, android, m)
	const want = `{"message":{"token":"fcm-registration:APA91bExample_-token","android":{"priority":"HIGH","ttl":"120s"},` +
		`"data":{"txtkn":"eyJ...","dai":"dev_Q3x9L2mZ7aVb0Kc1","c":"chl_7hQ2","d":"2026-01-02T03:04:05.678Z","sh":"gw.example.com",` +
		`"s":"{}","gw_client":"Shop <1> & Co"}}}`
	if got := w.fcm.Next(t); string(got.Body) != want {
		t.Errorf("%s\nwant %s", got.Body, want)
	}
}

// TestFCMToken: an access token serves many messages, also at once, until it is about to
// end or is refused.
func TestFCMToken(t *testing.T) {
	w := newWorld(t)
	var sending sync.WaitGroup
	for range 20 {
		sending.Go(func() {
			if err := w.Send(t.Context(), android, login()); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	if n := w.fcm.Issued(); n != 1 {
		t.Fatalf("%d access tokens for 20 messages", n)
	}

	w.fcm.Revoke()
	failed(t, w.Send(t.Context(), android, login()), fault.Undeliverable, ErrMisconfigured)
	w.fcm.Life(5 * time.Second) // so little that the next message needs another one
	for range 2 {
		before := w.fcm.Issued()
		sent(t, w, android, login())
		if n := w.fcm.Issued() - before; n != 1 {
			t.Errorf("%d access tokens for a message after the old one ended", n)
		}
	}
}

// TestFCMTokenFailures: what the token URI says, and nothing goes to FCM without a token.
func TestFCMTokenFailures(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		failure pushtest.Failure
		want    outcome
	}{
		{pushtest.Failure{Status: 400, Word: "invalid_grant"}, toMisconfigured},
		{pushtest.Failure{Status: 401, Word: "invalid_client"}, toMisconfigured},
		{pushtest.Failure{Status: 403}, toMisconfigured},
		{pushtest.Failure{Status: 404}, toMisconfigured},
		{pushtest.Failure{Status: 429, RetryAfter: "3"}, toLater},
		{pushtest.Failure{Status: 500, Word: "internal_failure"}, toLater},
		{pushtest.Failure{Status: 503}, toLater},
		{pushtest.Failure{Status: 200}, toLater},                  // no JSON
		{pushtest.Failure{Status: 200, Word: "nothing"}, toLater}, // no token
	} {
		s := senders(t, w.config(), w.clock) // has no token yet
		w.fcm.Tokens.Fail(tc.failure)
		failed(t, s.Send(t.Context(), android, login()), tc.want.kind, tc.want.cause)
		if n := w.fcm.Unread(); n != 0 {
			t.Errorf("%+v: %d messages without a token", tc.failure, n)
		}
		sent(t, s, android, login())
		w.fcm.Next(t)
	}
}

// TestFCMForeignToken: credentials of another account are the operator's trouble, not the
// devices'.
func TestFCMForeignToken(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.FCM.CredentialsFile = pushtest.NewFCM(t).CredentialsFile
	s := senders(t, c, w.clock)
	failed(t, s.Send(t.Context(), android, login()), fault.Undeliverable, ErrMisconfigured)
}
