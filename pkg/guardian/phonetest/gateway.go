// Package phonetest is a gateway as a phone sees it, for tests of phones: it holds every
// call to the rows of spec guardian-devices and knows which app it comes from.
package phonetest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Gateway serves one account after the other. Whatever a phone does against the rows of
// its profile fails the test.
type Gateway struct {
	Server  *httptest.Server
	Profile string // of the phone that calls
	Now     func() time.Time

	t        testing.TB
	mu       sync.Mutex
	tickets  map[string]bool
	devices  map[string]*Device
	pushes   map[string]*push // by txtkn
	canned   map[string]Canned
	seen     map[string]bool // jti of proofs
	decision map[string]Decision
}

// A Device is an account as a gateway keeps it.
type Device struct {
	ID, Identifier, Name, Service, Token string
	key                                  jwk
}

// A Decision is what a phone answered.
type Decision struct {
	Accepted     bool
	Reason, Code string
}

// Canned is an answer that a test gives instead of the gateway's.
type Canned struct {
	Status     int
	Type, Body string
}

type push struct{ device, challenge, link string }

// New makes a gateway, with TLS.
func New(t testing.TB, profile string) *Gateway {
	t.Helper()
	g := newGateway(t, profile)
	g.Server = httptest.NewTLSServer(g)
	t.Cleanup(g.Server.Close)
	return g
}

// NewPlain makes a gateway without TLS, for a phone that brings its own HTTP client.
func NewPlain(t testing.TB, profile string) *Gateway {
	t.Helper()
	g := newGateway(t, profile)
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Server.Close)
	return g
}

func newGateway(t testing.TB, profile string) *Gateway {
	return &Gateway{
		Profile: profile, Now: time.Now, t: t, tickets: map[string]bool{}, devices: map[string]*Device{}, pushes: map[string]*push{},
		canned: map[string]Canned{}, seen: map[string]bool{}, decision: map[string]Decision{},
	}
}

// URL is the gateway's.
func (g *Gateway) URL() string { return g.Server.URL }

// Barcode makes a ticket, and the URI that a page shows for it.
func (g *Gateway) Barcode() (uri, ticket string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ticket = rand.Text() + rand.Text()
	g.tickets[ticket] = true
	return "otpauth://totp/Acme:ann%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&enrollment_tx_id=" + ticket +
		"&issuer=Acme&id=dev_Q3x9L2mZ7aVb0Kc1&base_url=https%3A%2F%2Felsewhere.example%2Fappliance-mfa&algorithm=sha1&digits=6&counter=0&period=30", ticket
}

// Device is an account that enrolled.
func (g *Gateway) Device(id string) (Device, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, ok := g.devices[id]
	if !ok {
		return Device{}, false
	}
	return *d, true
}

// Devices is how many accounts there are.
func (g *Gateway) Devices() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.devices)
}

// Push begins a login of an account and returns the data of its push, as FCM carries it.
func (g *Gateway) Push(device string) map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	token, p := "txtkn."+rand.Text(), &push{device: device, challenge: "chl_" + rand.Text(), link: "cns_" + rand.Text()}
	g.pushes[token] = p
	return map[string]string{
		"txtkn": token, "dai": device, "c": p.challenge, "d": g.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "sh": "gw.example.com",
		"s":       `{"b":{"n":"Chrome","v":"143.0"},"os":{"n":"Windows","v":"11"}}`,
		"l":       `{"n":"Lyon, FR - 203.0.113.7","lat":"45.76","long":"4.84"}`,
		"txlnkid": p.link, "gw_client": "Shop",
	}
}

// Alert is a push as APNs carries it.
func Alert(data map[string]string) []byte {
	mfa := map[string]any{}
	for name, value := range data {
		if name == "gw_client" {
			continue // the alert has it
		}
		mfa[name] = value
		if name == "s" || name == "l" {
			mfa[name] = json.RawMessage(value)
		}
	}
	text, err := json.Marshal(map[string]any{
		"aps": map[string]any{"alert": map[string]string{"title": "Acme", "subtitle": data["gw_client"]}, "category": "com.auth0.notification.authentication"}, "mfa": mfa,
	})
	if err != nil {
		panic(err) // texts can be encoded
	}
	return text
}

// Decision is what was answered to a challenge.
func (g *Gateway) Decision(challenge string) (Decision, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d, ok := g.decision[challenge]
	return d, ok
}

// Answer gives all calls whose path ends so an answer of the test's.
func (g *Gateway) Answer(end string, c Canned) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.canned[end] = c
}

// Refused is the error body of section 3.3.
func Refused(status int, code string) Canned {
	return Canned{status, "application/json", fmt.Sprintf(
		`{"statusCode":%d,"error":"%s","message":"m","description":"d","errorCode":%q}`, status, http.StatusText(status), code)}
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	g.headers(r, body)
	c, ok := g.cannedFor(r.URL.Path)
	if !ok {
		c = g.route(r, body)
	}
	if c.Status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	if c.Type != "" {
		w.Header().Set("Content-Type", c.Type)
	}
	w.WriteHeader(c.Status)
	_, _ = io.WriteString(w, c.Body)
}

func (g *Gateway) cannedFor(path string) (Canned, bool) {
	for end, c := range g.canned {
		if strings.HasSuffix(path, end) {
			return c, true
		}
	}
	return Canned{}, false
}

func (g *Gateway) route(r *http.Request, body []byte) Canned {
	below, api := "", apps[g.Profile].prefix+"/api"
	if rest, ok := strings.CutPrefix(r.URL.Path, api); ok {
		below = rest
	}
	switch {
	case r.Method == http.MethodPost && below == "/enroll":
		return g.enroll(r, body)
	case r.Method == http.MethodPost && below == "/resolve-transaction":
		return g.resolve(r, body)
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/rich-consents/"):
		return g.consent(r)
	case strings.HasPrefix(below, "/device-accounts/"):
		return g.account(r, body)
	}
	g.t.Errorf("%s %s is no call of the profile %s", r.Method, r.URL.Path, g.Profile)
	return Refused(http.StatusNotFound, "not_found")
}

// headers are those of section 3.1.
func (g *Gateway) headers(r *http.Request, body []byte) {
	a := apps[g.Profile]
	for name, want := range map[string]string{"User-Agent": a.agent, "Accept-Language": a.language, "Accept": a.accept, "Auth0-Client": a.client} {
		if got := r.Header.Get(name); !regexp.MustCompile("^" + want + "$").MatchString(got) {
			g.t.Errorf("%s: %q, want %s", name, got, want)
		}
	}
	want := a.typed
	if len(body) == 0 {
		want = ""
	}
	if got := r.Header.Get("Content-Type"); got != want {
		g.t.Errorf("%s %s: Content-Type %q, want %q", r.Method, r.URL.Path, got, want)
	}
	if a.slashes && strings.Contains(strings.ReplaceAll(string(body), `\/`, ""), "/") {
		g.t.Errorf("a slash is not escaped, which Swift's encoder does: %s", body)
	}
	if a.gson && strings.ContainsAny(string(body), "='<>&") {
		g.t.Errorf("a character is not escaped that Gson escapes: %s", body)
	}
}

var android, uuid = regexp.MustCompile("^[0-9a-f]{16}$"), regexp.MustCompile("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")

// enroll is section 5.
func (g *Gateway) enroll(r *http.Request, body []byte) Canned {
	ticket := strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Authorization"), `Ticket id="`), `"`)
	if !g.tickets[ticket] {
		return Refused(http.StatusNotFound, "enrollment_transaction_not_found")
	}
	delete(g.tickets, ticket)
	var e struct {
		Identifier string `json:"identifier"`
		Name       string `json:"name"`
		Push       struct {
			Service string `json:"service"`
			Token   string `json:"token"`
		} `json:"push_credentials"`
		Key map[string]string `json:"public_key"`
	}
	g.read(body, &e)
	a := apps[g.Profile]
	if !a.identifier(e.Identifier) {
		g.t.Errorf("identifier %q", e.Identifier)
	}
	key := jwkOf(e.Key)
	if problem := key.check(a.ec); problem != "" {
		g.t.Errorf("public_key: %s: %v", problem, e.Key)
	}
	id := "dev_" + rand.Text()[:16]
	g.devices[id] = &Device{ID: id, Identifier: e.Identifier, Name: e.Name, Service: e.Push.Service, Token: e.Push.Token, key: key}
	return Canned{http.StatusCreated, "application/json; charset=utf-8", fmt.Sprintf(`{"id":%q,"url":"https://elsewhere.example","issuer":"Acme",
		"user_id":"auth0|u1","token":"opaque-%s","totp":{"secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP","algorithm":"sha1","digits":6,"period":30}}`, id, id)}
}

func (g *Gateway) read(body []byte, into any) {
	out := json.NewDecoder(strings.NewReader(string(body)))
	out.DisallowUnknownFields()
	if err := out.Decode(into); err != nil {
		g.t.Errorf("%s: %v", body, err)
	}
}

// account is section 6.
func (g *Gateway) account(r *http.Request, body []byte) Canned {
	id, err := url.PathUnescape(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	d := g.devices[id]
	if err != nil || d == nil {
		return Refused(http.StatusNotFound, "enrollment_not_found")
	}
	g.bearer(r, d)
	if r.Method == http.MethodDelete {
		delete(g.devices, id)
		return Canned{Status: http.StatusNoContent}
	}
	var change struct {
		Identifier *string `json:"identifier"`
		Name       *string `json:"name"`
		Push       *struct {
			Service string `json:"service"`
			Token   string `json:"token"`
		} `json:"push_credentials"`
	}
	g.read(body, &change)
	if change.Identifier != nil {
		d.Identifier = *change.Identifier
	}
	if change.Name != nil {
		d.Name = *change.Name
	}
	if change.Push != nil {
		d.Service, d.Token = change.Push.Service, change.Push.Token
	}
	return Canned{http.StatusOK, "application/json", fmt.Sprintf(`{"id":%q,"identifier":%q,"name":%q,"push_credentials":{"service":%q,"token":%q}}`,
		id, d.Identifier, d.Name, d.Service, d.Token)}
}
