package push_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push/storetest"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

const subject = "auth0|ann"

// keyStore keeps signing keys in memory.
type keyStore struct{ keys []signer.Key }

func (s *keyStore) SigningKeys(context.Context) ([]signer.Key, error) { return s.keys, nil }

func (s *keyStore) AddFirstSigningKey(_ context.Context, k signer.Key) (bool, error) {
	s.keys = append(s.keys, k)
	return true, nil
}

// gateway is the channel as the factor uses it, and a service that may fail.
type gateway struct {
	t            *testing.T
	clock        *mfatest.Clock
	store        *storetest.Store
	challenges   *storetest.Challenges
	ring         *secret.Ring
	transactions push.Transactions
	factor       *oob.Factor
	log          strings.Builder

	sent  []push.Message
	fails []error // what the next messages fail with
}

// Send implements push.Sender.
func (g *gateway) Send(_ context.Context, _ oob.Endpoint, m push.Message) error {
	g.sent = append(g.sent, m)
	if len(g.fails) == 0 {
		return nil
	}
	err := g.fails[0]
	g.fails = g.fails[1:]
	return err
}

func newGateway(t *testing.T, binding record.Binding) *gateway {
	t.Helper()
	g := &gateway{t: t, clock: &mfatest.Clock{}}
	g.store, g.challenges = storetest.NewStore(g.clock.Now), storetest.NewChallenges(g.clock.Now)
	log := slog.New(slog.NewTextHandler(&g.log, nil))
	keys := signer.New(signer.Options{Store: &keyStore{}, Now: g.clock.Now, Log: slog.New(slog.DiscardHandler)})
	ring, err := secret.NewRing(g.clock.Now())
	if err = errors.Join(err, keys.EnsureKeys(t.Context())); err != nil {
		t.Fatal(err)
	}
	g.ring = ring
	g.transactions = push.Transactions{Keys: keys, Issuer: "https://gw.example.com/", Random: rand.Reader}
	channel := push.NewChannel(push.Options{
		Stores: push.Stores{Devices: g.store, Tickets: g.store, Pushes: g.store, Accounts: g.store, Clients: g.store}, Sender: g, Transactions: g.transactions,
		URL: "https://gw.example.com/", Issuer: func() string { return "Acmé & Söhne" }, Binding: binding,
		Limits: oob.Limits{Minute: 5, Code: 3}, Now: g.clock.Now, Random: rand.Reader, Log: log,
	})
	g.factor = oob.New(oob.Options{Channels: []oob.Channel{channel}, Store: g.challenges, Waiters: oob.NewWaiters(), Ring: ring,
		Lifetime: 10 * time.Minute, Now: g.clock.Now, Random: rand.Reader})
	return g
}

func (g *gateway) associate() mfa.Enrollment {
	g.t.Helper()
	made, err := g.factor.Enroll(g.t.Context(), mfa.Enrolling{Subject: subject, Handle: "tx", Account: mfa.Account{Name: "ann+x|1@example.com"}, Channel: "auth0"})
	if err != nil {
		g.t.Fatal(err)
	}
	g.store.Associate(subject, "tx", made.Authenticators...)
	return made
}

// enrolled is an authenticator with a device.
func (g *gateway) enrolled() mfa.Authenticator {
	g.t.Helper()
	a := g.associate().Authenticators[0]
	err := g.store.EnrollDevice(g.t.Context(), oob.Device{ID: push.DeviceOf(a.ID), Authenticator: a.ID, Subject: subject,
		Endpoint: oob.Endpoint{Service: push.GCM, Token: secret.New("registration")}}, g.clock.Now(), audit.Event{})
	if err != nil {
		g.t.Fatal(err)
	}
	return a
}

func (g *gateway) ask(a mfa.Authenticator, client record.Binding, address string) (map[string]any, error) {
	return g.factor.Challenge(g.t.Context(), mfa.Asking{
		Transaction:   mfa.Transaction{ID: "tx", Login: mfa.Login{Subject: subject, Client: "shop"}},
		Authenticator: a, Binding: client, Address: address,
		Agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
	})
}

// TestAssociate: the code that is scanned has the form of section 4, for phones and for
// other authenticator apps.
func TestAssociate(t *testing.T) {
	g := newGateway(t, record.BindingPlain)
	made := g.associate()
	a, twin := made.Authenticators[0], made.Authenticators[1]
	if a.Type != mfa.OOB || a.Channel != "auth0" || a.Kind() != "push-notification" || !strings.HasPrefix(a.ID, "push|dev_") || !a.Secret.Empty() ||
		twin.Type != mfa.OTP || twin.ID != "totp|"+a.Group || a.Group != twin.Group || "push|"+a.Group != a.ID || twin.Algorithm != "SHA1" ||
		twin.Digits != 6 || twin.Period != 30*time.Second || len(twin.Secret.Reveal()) != 32 {
		t.Fatalf("%+v %+v", a, twin)
	}
	text, _ := made.Reply["barcode_uri"].(string)
	form := regexp.MustCompile(`^otpauth://totp/Acm%C3%A9%20%26%20S%C3%B6hne:ann%2Bx%7C1%40example\.com\?secret=([A-Z2-7]{32})` +
		`&enrollment_tx_id=([A-Za-z0-9]{32})&issuer=Acm%C3%A9%20%26%20S%C3%B6hne&id=(dev_[A-Z0-9]{16})` +
		`&base_url=https%3A%2F%2Fgw\.example\.com%2Fappliance-mfa&algorithm=sha1&digits=6&counter=0&period=30$`)
	found := form.FindStringSubmatch(text)
	if found == nil || found[1] != twin.Secret.Reveal() || found[3] != a.Group {
		t.Fatal(text)
	}
	if _, err := url.Parse(text); err != nil || strings.Contains(text, "+") {
		t.Error(text)
	}
	if made.Reply["oob_channel"] != "auth0" || made.Reply["authenticator_type"] != "oob" || made.Reply["binding_method"] != nil || made.Reply["secret"] != nil {
		t.Errorf("%v", made.Reply)
	}
	hash := secret.Hash(secret.New(found[2]))
	ticket, err := g.store.Ticket(t.Context(), hash)
	if err != nil || ticket.Subject != subject || ticket.Authenticator != a.ID || ticket.ExpiresAt != g.clock.Now().Add(5*time.Minute) {
		t.Errorf("%+v %v", ticket, err)
	}
	if c, _, err := g.challenges.Challenge(t.Context(), ticket.Challenge); err != nil || c.Authenticator != a.ID || !c.Answered {
		t.Errorf("%+v %v", c, err)
	}
	g.store.Down = errors.New("no connection")
	if _, err := g.factor.Enroll(t.Context(), mfa.Enrolling{Subject: subject, Channel: "auth0"}); !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

// TestPush: the device hears where the login comes from, and gets a token to answer with; no
// code goes with it.
func TestPush(t *testing.T) {
	g := newGateway(t, record.BindingPlain)
	a := g.enrolled()
	answer, err := g.ask(a, "", "192.0.2.1")
	if err != nil || answer["binding_method"] != nil || answer["interval"] != 5 || len(g.sent) != 1 {
		t.Fatalf("%v %v", answer, err)
	}
	m := g.sent[0]
	if m.Device != push.DeviceOf(a.ID) || m.Challenge != m.ID || len(m.ID) > 64 || m.Service != "https://gw.example.com/" || m.Browser.Name != "Chrome" ||
		!strings.HasPrefix(m.Browser.Version, "143") || m.OS.Name != "Windows" || m.Location.Name != "192.0.2.1" || m.Consent != "" ||
		m.Account != "ann@example.com" || m.Client != "Our shop" || !m.At.Equal(g.clock.Now()) || !m.ExpiresAt.Equal(g.clock.Now().Add(10*time.Minute)) {
		t.Errorf("%+v", m)
	}
	e := g.store.Events()
	if last := e[len(e)-1]; last.Type != audit.Asked || !last.Success || last.Client != "shop" || last.Transaction != "tx" || last.Address != "192.0.2.1" ||
		!slices.Equal(last.Authenticators, []string{a.ID}) {
		t.Errorf("%+v", last)
	}
	token := m.Token.Reveal()
	var header, claims map[string]any
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			t.Fatal(token)
		}
	}
	if header["alg"] != "ES256" || header["typ"] != "txtkn+jwt" || claims["sub"] != subject || claims["txid"] != m.ID || claims["jti"] == "" ||
		claims["iss"] != "https://gw.example.com/" || claims["aud"] != claims["iss"] || len(claims) != 7 || len(token) > 1200 {
		t.Errorf("%v %v", header, claims)
	}
	got, err := g.transactions.Read(t.Context(), m.Token)
	if err != nil || got.Challenge != m.ID || got.Subject != subject || !got.ExpiresAt.Equal(m.ExpiresAt.Add(oob.Window)) {
		t.Errorf("%+v %v", got, err)
	}
	elsewhere := g.transactions
	elsewhere.Issuer = "https://other.example/"
	if _, err := elsewhere.Read(t.Context(), m.Token); !errors.Is(err, fault.BadDeviceToken) {
		t.Error(err)
	}
	access, err := g.transactions.Keys.Sign(signer.ES256, "at+jwt", claims)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.transactions.Read(t.Context(), secret.New(access)); !errors.Is(err, fault.BadDeviceToken) {
		t.Errorf("an access token: %v", err)
	}
}

// TestBinding: the client's own, else the gateway's; and after a denial, or too many pushes
// without an answer, a tap alone is not enough (14.1, 14.3).
func TestBinding(t *testing.T) {
	for name, tt := range map[string]struct {
		gateway, client record.Binding
		denied          bool
		unanswered      int
		want            record.Binding
	}{
		"plain":                   {record.BindingPlain, "", false, 0, record.BindingPlain},
		"the gateway's":           {record.BindingToPage, "", false, 0, record.BindingToPage},
		"the client's":            {record.BindingToPage, record.BindingPlain, false, 0, record.BindingPlain},
		"to the phone":            {record.BindingPlain, record.BindingToPhone, false, 0, record.BindingToPhone},
		"after a denial":          {record.BindingPlain, record.BindingPlain, true, 0, record.BindingToPage},
		"to the phone, denied":    {record.BindingPlain, record.BindingToPhone, true, 0, record.BindingToPhone},
		"twice without an answer": {record.BindingPlain, "", false, 2, record.BindingPlain},
		"three times":             {record.BindingPlain, "", false, 3, record.BindingToPage},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, tt.gateway)
			a := g.enrolled()
			for range tt.unanswered {
				if _, err := g.ask(a, tt.client, "192.0.2.1"); err != nil {
					t.Fatal(err)
				}
				g.clock.Advance(11 * time.Minute)
			}
			if tt.denied {
				if _, err := g.ask(a, tt.client, "192.0.2.1"); err != nil {
					t.Fatal(err)
				}
				c, _, err := g.challenges.Challenge(t.Context(), g.sent[0].ID)
				if err = errors.Join(err, g.store.Answer(t.Context(), oob.Answer{Challenge: c})); err != nil {
					t.Fatal(err)
				}
			}
			answer, err := g.ask(a, tt.client, "192.0.2.1")
			if err != nil {
				t.Fatal(err)
			}
			m := g.sent[len(g.sent)-1]
			c, _, err := g.challenges.Challenge(t.Context(), m.ID)
			if err != nil || c.Binding != tt.want || !c.Answered {
				t.Errorf("%+v %v", c, err)
			}
			method := map[record.Binding]any{record.BindingPlain: nil, record.BindingToPage: "prompt", record.BindingToPhone: "display"}
			if answer["binding_method"] != method[tt.want] || (m.Consent != "") != (tt.want == record.BindingToPage) ||
				m.Enter != (tt.want == record.BindingToPhone) {
				t.Errorf("%v %q", answer, m.Consent)
			}
		})
	}
}

// TestAdmission: another login of the same client and address takes the place of the one
// before; from elsewhere it has to wait.
func TestAdmission(t *testing.T) {
	g := newGateway(t, record.BindingPlain)
	a := g.enrolled()
	if _, err := g.ask(a, "", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	_, err := g.ask(a, "", "198.51.100.9")
	var d *fault.Details
	if !errors.As(err, &d) || d.Kind != fault.TooManyMessages || d.RetryAfter != 10*time.Minute || len(g.sent) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := g.ask(a, "", "192.0.2.1"); err != nil || len(g.sent) != 2 {
		t.Fatal(err)
	}
	if _, state, err := g.challenges.Challenge(t.Context(), g.sent[0].ID); err != nil || state != oob.Superseded {
		t.Errorf("%s %v", state, err)
	}
	g.store.Down = errors.New("no connection")
	if _, err := g.ask(a, "", "192.0.2.1"); !errors.Is(err, fault.Unavailable) || len(g.sent) != 2 {
		t.Error(err)
	}
}

// TestDelivery: what services say decides whether it is tried again, and whether the device
// can be reached at all.
func TestDelivery(t *testing.T) {
	busy := &fault.Details{Kind: fault.Unavailable, Err: errors.New("503")}
	later := &fault.Details{Kind: fault.Unavailable, RetryAfter: time.Minute}
	final := &fault.Details{Kind: fault.Undeliverable, Err: errors.New("400")}
	gone := &fault.Details{Kind: fault.Undeliverable, Err: push.ErrEndpointGone}
	for name, tt := range map[string]struct {
		fails []error
		tries int
		want  error
	}{
		"busy once":    {[]error{busy}, 2, nil},
		"busy twice":   {[]error{busy, busy, busy}, 2, fault.Unavailable},
		"later":        {[]error{later}, 1, fault.Unavailable},
		"final":        {[]error{final}, 1, fault.Undeliverable},
		"gone":         {[]error{gone}, 1, fault.Undeliverable},
		"busy, gone":   {[]error{busy, gone}, 2, fault.Undeliverable},
		"no real kind": {[]error{errors.New("?")}, 1, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, record.BindingPlain)
			a := g.enrolled()
			g.fails = tt.fails
			if _, err := g.ask(a, "", "192.0.2.1"); !errors.Is(err, tt.want) || len(g.sent) != tt.tries {
				t.Errorf("%v after %d", err, len(g.sent))
			}
			d, err := g.store.Device(t.Context(), push.DeviceOf(a.ID))
			wasGone := errors.Is(tt.fails[len(tt.fails)-1], push.ErrEndpointGone)
			if err != nil || d.EndpointGone.IsZero() == wasGone {
				t.Errorf("%+v %v", d, err)
			}
			if tt.want != nil && !strings.Contains(g.log.String(), "a push was not delivered") || strings.Contains(g.log.String(), "registration") {
				t.Error(g.log.String())
			}
			if !wasGone {
				if _, err := g.ask(a, "", "198.51.100.9"); tt.want != nil && errors.Is(err, fault.TooManyMessages) {
					t.Errorf("nobody was asked, and who comes from elsewhere has to wait: %v", err)
				}
				return
			}
			if e := g.store.Events(); e[len(e)-1].Type != audit.DeviceGone {
				t.Errorf("%+v", e)
			}
			sent := len(g.sent)
			if _, err := g.ask(a, "", "198.51.100.9"); !errors.Is(err, fault.Undeliverable) || len(g.sent) != sent {
				t.Errorf("%v", err)
			}
		})
	}
	g := newGateway(t, record.BindingPlain)
	if _, err := g.ask(g.associate().Authenticators[0], "", ""); !errors.Is(err, fault.NoAuthenticator) {
		t.Errorf("without a device: %v", err)
	}
}
