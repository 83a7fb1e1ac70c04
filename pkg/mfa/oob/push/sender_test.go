package push

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/pushtest"
)

// outcome is what a failure has to mean.
type outcome struct {
	kind  fault.Kind
	cause error
}

var (
	toGone          = outcome{fault.Undeliverable, ErrEndpointGone}
	toMisconfigured = outcome{fault.Undeliverable, ErrMisconfigured}
	toFinal         = outcome{fault.Undeliverable, nil}
	toLater         = outcome{fault.Unavailable, nil}
)

// TestFailures: every failure that the services document (Guardian, 15.1 and 15.2), and
// what no documentation has.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		service oob.Endpoint
		status  int
		word    string
		want    outcome
	}{
		{android, 404, "UNREGISTERED", toGone},
		{android, 400, "INVALID_ARGUMENT", toFinal},
		{android, 403, "SENDER_ID_MISMATCH", toMisconfigured},
		{android, 401, "THIRD_PARTY_AUTH_ERROR", toMisconfigured},
		{android, 401, "UNAUTHENTICATED", toMisconfigured},
		{android, 403, "PERMISSION_DENIED", toMisconfigured},
		{android, 429, "QUOTA_EXCEEDED", toLater},
		{android, 503, "UNAVAILABLE", toLater},
		{android, 500, "INTERNAL", toLater},
		{android, 404, "NOT_FOUND", toMisconfigured}, // of a wrong project: nobody's device is gone
		{android, 404, "", toMisconfigured},
		{android, 410, "", toFinal},
		{android, 502, "", toLater},
		{android, 408, "", toLater},
		{android, 409, "ABORTED", toFinal},
		{android, 200 + 4, "", toMisconfigured},

		{iphone, 400, "BadDeviceToken", toGone},
		{iphone, 410, "Unregistered", toGone},
		{iphone, 410, "ExpiredToken", toGone},
		{iphone, 400, "DeviceTokenNotForTopic", toMisconfigured},
		{iphone, 400, "BadTopic", toMisconfigured},
		{iphone, 400, "MissingTopic", toMisconfigured},
		{iphone, 400, "TopicDisallowed", toMisconfigured},
		{iphone, 403, "ExpiredProviderToken", toMisconfigured},
		{iphone, 403, "InvalidProviderToken", toMisconfigured},
		{iphone, 403, "MissingProviderToken", toMisconfigured},
		{iphone, 403, "BadCertificateEnvironment", toMisconfigured},
		{iphone, 413, "PayloadTooLarge", toFinal},
		{iphone, 429, "TooManyRequests", toLater},
		{iphone, 429, "TooManyProviderTokenUpdates", toLater},
		{iphone, 500, "InternalServerError", toLater},
		{iphone, 503, "ServiceUnavailable", toLater},
		{iphone, 503, "Shutdown", toLater},
		{iphone, 400, "BadPriority", toFinal},
		{iphone, 410, "", toFinal}, // of a proxy: nobody's device is gone
		{iphone, 404, "", toMisconfigured},
		{iphone, 502, "", toLater},
	} {
		fail := map[string]func(...pushtest.Failure){GCM: w.fcm.Fail, APNS: w.apns.Fail}[tc.service.Service]
		fail(pushtest.Failure{Status: tc.status, Word: tc.word, RetryAfter: "7"})
		err := w.Send(t.Context(), tc.service, login())
		if err == nil {
			t.Fatalf("%s %d %q is a success", tc.service.Service, tc.status, tc.word)
		}
		t.Run(tc.service.Service+" "+tc.word, func(t *testing.T) {
			failed(t, err, tc.want.kind, tc.want.cause)
			var d *fault.Details
			if !errors.As(err, &d) || (d.RetryAfter == 7*time.Second) != (tc.want == toLater) {
				t.Errorf("%v is to be tried again after %v", err, d.RetryAfter)
			}
		})
	}
	// And then it goes on.
	sent(t, w, android, login())
	sent(t, w, iphone, login())
}

// TestNothingEchoed: a service that answers with what it was sent gets nothing of it into
// the log.
func TestNothingEchoed(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		to   oob.Endpoint
		fail func(...pushtest.Failure)
	}{{android, w.fcm.Fail}, {iphone, w.apns.Fail}} {
		for _, word := range []string{tc.to.Token.Reveal(), "no: " + login().Token.Reveal(), strings.Repeat("x", 65)} {
			tc.fail(pushtest.Failure{Status: 400, Word: word})
			err := w.Send(t.Context(), tc.to, login())
			failed(t, err, fault.Undeliverable, nil)
			if strings.Contains(err.Error(), word) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, "-1": 0, "soon": 0, "99999": time.Hour, "99999999999999999999": 0,
		began.Add(time.Minute).Format(http.TimeFormat):  time.Minute - 678*time.Millisecond,
		began.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(header, began); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

// TestUnknownService: a service without credentials, also of a device that enrolled when
// there were some.
func TestUnknownService(t *testing.T) {
	s, err := New(Config{}, time.Now)
	if err != nil || len(s) != 0 {
		t.Fatal(s, err)
	}
	failed(t, s.Send(t.Context(), android, login()), fault.Undeliverable, ErrMisconfigured)
}

// TestX34NoRedirect: a service cannot send the gateway, and what it carries, elsewhere.
func TestX34NoRedirect(t *testing.T) {
	w := newWorld(t)
	var called atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 307, 308} {
		redirect := pushtest.Failure{Status: status, Location: elsewhere.URL}
		w.fcm.Tokens.Fail(redirect)
		failed(t, w.Send(t.Context(), android, login()), fault.Undeliverable, ErrMisconfigured)
		w.apns.Fail(redirect)
		failed(t, w.Send(t.Context(), iphone, login()), fault.Undeliverable, ErrMisconfigured)
	}
	sent(t, w, android, login())
	w.fcm.Fail(pushtest.Failure{Status: 307, Location: elsewhere.URL})
	failed(t, w.Send(t.Context(), android, login()), fault.Undeliverable, ErrMisconfigured)
	if n := called.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// TestX34NobodyThere: a service whose address does not answer. The failure does not quote
// the address, which holds the device's name at APNs.
func TestX34NobodyThere(t *testing.T) {
	w := newWorld(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	c := w.config()
	c.FCM.Endpoint, c.APNs.Endpoint = closed.URL, closed.URL
	s := senders(t, c, w.clock)
	failed(t, s.Send(t.Context(), android, login()), fault.Unavailable, nil)
	failed(t, s.Send(t.Context(), iphone, login()), fault.Unavailable, nil)
}

// TestGivenUp: who gives a message up waits for no service.
func TestGivenUp(t *testing.T) {
	w := newWorld(t)
	sent(t, w, android, login())
	w.fcm.Next(t)
	for _, tc := range []struct {
		to      oob.Endpoint
		service interface {
			Fail(failures ...pushtest.Failure)
			Next(t testing.TB) pushtest.Push
		}
	}{{android, w.fcm}, {iphone, w.apns}} {
		tc.service.Fail(pushtest.Failure{Hang: true})
		ctx, cancel := context.WithCancel(t.Context())
		var got error
		var sending sync.WaitGroup
		sending.Go(func() { got = w.Send(ctx, tc.to, login()) })
		tc.service.Next(t)
		cancel()
		sending.Wait()
		failed(t, got, fault.Unavailable, nil)
	}
}

// TestX30Patience: a service that says nothing costs five seconds and no more, also those
// who wait for the access token that another one asked for.
func TestX30Patience(t *testing.T) {
	w := newWorld(t)
	for _, to := range []oob.Endpoint{android, iphone} {
		s := senders(t, w.config(), w.clock)
		silent := roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		synctest.Test(t, func(t *testing.T) {
			f, _ := newFCM(*w.config().FCM, w.now)
			a, _ := newAPNs(*w.config().APNs, w.now)
			f.client.Transport, a.client.Transport = silent, silent
			s[GCM], s[APNS] = f, a
			start := time.Now()
			var sending sync.WaitGroup
			for range 20 {
				sending.Go(func() { failed(t, s.Send(t.Context(), to, login()), fault.Unavailable, nil) })
			}
			sending.Wait()
			if took := time.Since(start); took > patience+time.Second || took < patience {
				t.Errorf("%s: it took %v", to.Service, took)
			}
		})
	}
}

// TestAnswerWithoutEnd: what a service says is not read for ever.
func TestAnswerWithoutEnd(t *testing.T) {
	w := newWorld(t)
	endless := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(http.StatusBadRequest)
		for r.Context().Err() == nil {
			if _, err := rw.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	c := w.config()
	c.FCM.Endpoint = endless.URL
	failed(t, senders(t, c, w.clock).Send(t.Context(), android, login()), fault.Undeliverable, nil)
}
