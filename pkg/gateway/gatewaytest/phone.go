package gatewaytest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/guardian/provider"
	"github.com/sallyport/sallyport/pkg/secret"
)

// GrantOOB is the grant type that a poll has.
const GrantOOB = "http://auth0.com/oauth/grant-type/mfa-oob"

// EachWithPhones is Each for worlds that send pushes.
func EachWithPhones(t *testing.T, test func(t *testing.T, w *World), lines ...string) {
	t.Helper()
	t.Parallel()
	for _, s := range []Setting{SQLite(), PostgreSQL()} {
		s.Phones = true
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			test(t, New(t, s, lines...))
		})
	}
}

// serveProvider starts the push services and returns the line that has the gateways call
// them. It goes by the time of day, as the library does that gets tokens from it.
func (w *World) serveProvider(t testing.TB) string {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	keys, err := provider.NewKeys(nil, nil)
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	url, dir := "http://"+l.Addr().String(), t.TempDir()
	account, err := keys.ServiceAccount(url)
	must(err)
	key, err := keys.APNsKey()
	must(err)
	must(os.WriteFile(filepath.Join(dir, "fcm.json"), account, 0o600))
	must(os.WriteFile(filepath.Join(dir, "apns.p8"), key, 0o600))
	w.Provider = provider.New(url, keys, time.Now)
	w.service = serveService(t, w.Provider, l)
	return fmt.Sprintf("delivery: {push: {fcm: {credentials_file: %q, endpoint: %q}, apns: {key_file: %q, key_id: ABC123DEFG, team_id: DEF123GHIJ, topic: com.example.guardian, endpoint: %q}}}",
		filepath.Join(dir, "fcm.json"), url, filepath.Join(dir, "apns.p8"), url)
}

// toNodes takes what a phone sends to the public URL to the gateways in turn.
type toNodes struct{ w *World }

// RoundTrip implements http.RoundTripper.
func (n toNodes) RoundTrip(r *http.Request) (*http.Response, error) {
	node := n.w.nodes[int(n.w.turn.Add(1))%len(n.w.nodes)]
	r = r.Clone(r.Context())
	if r.URL.Scheme = "http"; node.secure {
		r.URL.Scheme = "https"
	}
	r.URL.Host = node.public
	return n.w.http.Transport.RoundTrip(r)
}

// A Phone is somebody's phone with an app of a profile.
type Phone struct {
	App     *phone.Phone
	Account phone.Account
	world   *World
	profile phone.Profile
}

// NewPhone makes a phone that has no account yet.
func (w *World) NewPhone(t testing.TB, p phone.Profile) *Phone {
	t.Helper()
	return w.newPhone(t, p, w.Clock.Now)
}

func (w *World) newPhone(t testing.TB, p phone.Profile, now func() time.Time) *Phone {
	t.Helper()
	app, err := phone.New(phone.Options{Profile: p, Client: &http.Client{Transport: toNodes{w}, Timeout: 10 * time.Second}, Now: now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return &Phone{App: app, world: w, profile: p}
}

// At is the same phone where it reaches other gateways of its world, or has another clock.
func (p *Phone) At(t testing.TB, w *World, now func() time.Time) *Phone {
	t.Helper()
	other := w.newPhone(t, p.profile, now)
	other.Account = p.Account
	return other
}

// Scan enrolls the phone with a barcode_uri.
func (p *Phone) Scan(t testing.TB, barcode string) {
	t.Helper()
	ticket, err := p.App.Scan(barcode)
	if err != nil {
		t.Fatal(err)
	}
	push := phone.PushCredentials{Service: provider.FCM, Token: secret.New(rand.Text())}
	if p.profile.Service() == provider.APNs {
		push = phone.PushCredentials{Service: provider.APNs, Token: secret.New(fmt.Sprintf("%X", rand.Text()))}
	}
	p.Account, err = p.App.Enroll(t.Context(), phone.Enrollment{URL: p.world.URL, Ticket: ticket, Name: "Mira's phone", Push: push})
	if err != nil {
		t.Fatal(err)
	}
}

// Next is the next push that comes.
func (p *Phone) Next(t testing.TB) phone.Notification {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	sent, err := p.world.Provider.Next(ctx, p.Account.Push.Token.Reveal())
	if err != nil {
		t.Fatalf("no push came: %v", err)
	}
	var n *phone.Notification
	if sent.Service == provider.APNs {
		n, err = p.App.FromAPNs(sent.Payload)
	} else {
		var data map[string]string
		if err = json.Unmarshal(sent.Payload, &data); err == nil {
			n, err = p.App.FromFCM(data)
		}
	}
	if err != nil || n == nil {
		t.Fatalf("the app does not take %s: %v", sent.Payload, err)
	}
	return *n
}

// None fails the test if a push has come.
func (p *Phone) None(t testing.TB) {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if sent, err := p.world.Provider.Next(over, p.Account.Push.Token.Reveal()); err == nil {
		t.Errorf("a push came: %s", sent.Payload)
	}
}

// Approve answers a push with yes, which must be taken.
func (p *Phone) Approve(t testing.TB, n phone.Notification) {
	t.Helper()
	if err := p.App.Allow(t.Context(), p.Account, n, secret.Text{}); err != nil {
		t.Fatal(err)
	}
}

// Deny answers a push with no, which must be taken.
func (p *Phone) Deny(t testing.TB, n phone.Notification, reason string) {
	t.Helper()
	if err := p.App.Reject(t.Context(), p.Account, n, reason); err != nil {
		t.Fatal(err)
	}
}

// EnrollPhone logs in as a user without a factor at "web" and enrolls a phone.
func (w *World) EnrollPhone(t testing.TB, username string, profile phone.Profile) *Phone {
	t.Helper()
	web := As("web")
	first := w.Token(t, append(web, "grant_type", "password", "username", username, "password", Password, "scope", "openid")...).
		Want(t, http.StatusForbidden, "mfa_required")
	made := w.AssociatePush(t, first.Text("mfa_token"))
	p := w.NewPhone(t, profile)
	p.Scan(t, made.Text("barcode_uri"))
	w.Token(t, append(web, "grant_type", GrantOOB, "mfa_token", first.Text("mfa_token"), "oob_code", made.Text("oob_code"))...).Want(t, http.StatusOK, "")
	return p
}

// AssociatePush asks to enroll a phone.
func (w *World) AssociatePush(t testing.TB, token string) Reply {
	t.Helper()
	return w.Associate(t, token, map[string]any{"authenticator_types": []string{"oob"}, "oob_channels": []string{"auth0"}}).Want(t, http.StatusOK, "")
}

// Push is a login at "spa" that has been challenged.
type Push struct{ MFAToken, OOBCode string }

// AskPhone logs in at "spa" and has the phone asked.
func (w *World) AskPhone(t testing.TB, username string) Push {
	t.Helper()
	token := w.Login(t, username, Password).Want(t, http.StatusForbidden, "mfa_required").Text("mfa_token")
	c := w.Challenge(t, token, "challenge_type", "oob").Want(t, http.StatusOK, "")
	return Push{token, c.Text("oob_code")}
}

// Poll polls once as "spa".
func (w *World) Poll(t testing.TB, p Push, more ...string) Reply {
	t.Helper()
	return w.Token(t, append([]string{"grant_type", GrantOOB, "client_id", "spa", "mfa_token", p.MFAToken, "oob_code", p.OOBCode}, more...)...)
}
