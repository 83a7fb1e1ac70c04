package push

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/pushtest"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A clock is wound by hand, also while a service looks at it.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.UnixMilli(c.at.Load()) }
func (c *clock) wind(d time.Duration) { c.at.Add(d.Milliseconds()) }

// The login of the known-good examples, and the devices that are asked.
var (
	began   = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	android = oob.Endpoint{Service: GCM, Token: secret.New("fcm-registration:APA91bExample_-token")}
	iphone  = oob.Endpoint{Service: APNS, Token: secret.New(strings.Repeat("00FC13ad", 8))}
)

func login() Message {
	return Message{
		ID: "txn_2aV9", Token: secret.New("eyJ..."), Device: "dev_Q3x9L2mZ7aVb0Kc1", Challenge: "chl_7hQ2",
		At: began, ExpiresAt: began.Add(2 * time.Minute), Service: "https://gw.example.com/",
		Browser: Software{"Chrome", "143.0"}, OS: Software{"Windows", "11"}, Location: Place{"Lyon, FR", "45.76", "4.84"},
		Consent: "cns_01", Issuer: "Acme", Account: "ann@example.com",
	}
}

// world is both services and the senders to them.
type world struct {
	Senders
	*clock
	fcm  *pushtest.FCM
	apns *pushtest.APNs
}

func newWorld(t *testing.T) world {
	t.Helper()
	c := &clock{}
	c.at.Store(began.UnixMilli())
	w := world{clock: c, fcm: pushtest.NewFCM(t), apns: pushtest.NewAPNs(t, c.now)}
	w.Senders = senders(t, w.config(), c)
	return w
}

func (w world) config() Config {
	return Config{
		FCM: &FCMConfig{CredentialsFile: w.fcm.CredentialsFile, Endpoint: w.fcm.URL + "/"},
		APNs: &APNsConfig{KeyFile: w.apns.KeyFile, KeyID: pushtest.KeyID, TeamID: pushtest.TeamID, Topic: pushtest.Topic,
			Endpoint: w.apns.URL + "/"},
	}
}

func senders(t *testing.T, config Config, c *clock) Senders {
	t.Helper()
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := New(config, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sent sends and expects success.
func sent(t *testing.T, s Sender, e oob.Endpoint, m Message) {
	t.Helper()
	if err := s.Send(t.Context(), e, m); err != nil {
		t.Fatal(err)
	}
}

// failed checks a failure: its kind, the cause that is to be found in it, and that it
// tells no secret.
func failed(t *testing.T, err error, kind fault.Kind, cause error) {
	t.Helper()
	switch {
	case fault.Of(err) != kind:
		t.Errorf("%v, want the kind %s", err, kind)
	case cause != nil && !errors.Is(err, cause), cause == nil && (errors.Is(err, ErrEndpointGone) || errors.Is(err, ErrMisconfigured)):
		t.Errorf("%v, want the cause %v", err, cause)
	}
	for _, s := range []secret.Text{android.Token, iphone.Token, login().Token} {
		if err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(s.Reveal())) {
			t.Errorf("a secret in %v", err)
		}
	}
}

// roundTripper stands in for the network where the clock is not the network's.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
