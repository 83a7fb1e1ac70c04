// Package phone is the phone of somebody who logs in: it enrolls at a gateway, reads the
// pushes that come, and answers them, as apps built with the public Guardian SDKs do, each
// with its own ways and its own strictness (spec guardian-devices).
//
// It is a client and knows nothing of the gateway. The command sallyport device is one
// such phone; end-to-end tests are others.
package phone

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

// The paths of the contract, below the base URL.
const (
	enrollPath   = "/api/enroll"
	accountsPath = "/api/device-accounts"
	resolvePath  = "/api/resolve-transaction"
)

// answerLimit bounds what is read of an answer.
const answerLimit = 64 << 10

// Options are what a phone is made from; all are needed.
type Options struct {
	Profile Profile
	Client  *http.Client
	Now     func() time.Time
	Random  io.Reader // of identifiers; keys take their chance from the system
}

// A Phone is an app of one profile. It holds no account: those are the caller's.
type Phone struct {
	app     app
	profile Profile
	client  http.Client
	now     func() time.Time
	random  io.Reader
}

// New makes a phone.
func New(o Options) (*Phone, error) {
	a, ok := apps[o.Profile]
	if !ok {
		return nil, fmt.Errorf("there is no profile %q; take one of %q", o.Profile, Profiles())
	}
	p := &Phone{app: a, profile: o.Profile, client: *o.Client, now: o.Now, random: o.Random}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // what was signed names the first URL (section 2.2)
	}
	return p, nil
}

// An Enrollment is what a phone enrolls with.
type Enrollment struct {
	URL    string // of the gateway, the only one that the app knows
	Ticket secret.Text
	Name   string
	Push   PushCredentials
	Key    Key // nothing for a new one; the same again for an answer that was lost (section 5)
}

// Enroll makes a key and an account with it; section 5.
func (p *Phone) Enroll(ctx context.Context, e Enrollment) (Account, error) {
	base, err := p.base(e.URL)
	if err != nil {
		return Account{}, err
	}
	a := Account{Profile: p.profile, URL: e.URL, Name: e.Name, Push: e.Push, Key: e.Key}
	if a.Identifier, err = p.identifier(); err != nil {
		return Account{}, err
	}
	if a.Key.signer == nil {
		if a.Key, err = NewKey(p.profile); err != nil {
			return Account{}, fmt.Errorf("make a key: %w", err)
		}
	}
	public, err := a.Key.public()
	if err != nil {
		return Account{}, err
	}
	body := object{{"identifier", a.Identifier}, {"name", a.Name}, {"push_credentials", a.Push.object()}, {"public_key", public}}
	got, err := p.call(ctx, call{method: http.MethodPost, url: base + enrollPath, authorization: `Ticket id="` + e.Ticket.Reveal() + `"`, body: body})
	if err != nil {
		return Account{}, fmt.Errorf("enroll: %w", err)
	}
	answered, err := p.app.reads.enrollment(got)
	if err != nil {
		return Account{}, fmt.Errorf("enroll: the app of profile %s cannot read the answer: %w", p.profile, err)
	}
	a.ID, a.Issuer, a.UserID = answered.id, answered.issuer, answered.userID
	a.Token, a.TOTP = secret.New(answered.token), answered.totp
	return a, nil
}

// Consent reads what a login asks for. It is nil when the push names none, and for an
// Android app when it is gone: that app shows its buttons without it, Swift's does not
// (section 9).
func (p *Phone) Consent(ctx context.Context, a Account, n Notification) (*Consent, error) {
	if n.Link == "" {
		return nil, nil
	}
	base, err := p.base(a.URL)
	if err != nil {
		return nil, err
	}
	at, err := consentURL(base, n.Link)
	if err != nil {
		return nil, err
	}
	proof, err := p.proof(a, n, at)
	if err != nil {
		return nil, err
	}
	got, err := p.call(ctx, call{method: http.MethodGet, url: at, authorization: "MFA-DPoP " + n.Transaction.Reveal(), proof: proof})
	var refused *Refusal
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && p.profile == Android {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the consent: %w", err)
	}
	var m members
	if err := json.Unmarshal(got.body, &m); err != nil {
		return nil, fmt.Errorf("read the consent: it is not JSON: %w", err)
	}
	c, err := p.app.reads.consent(m)
	if err != nil {
		return nil, fmt.Errorf("the app of profile %s cannot read the consent: %w", p.profile, err)
	}
	return c, nil
}

// Allow lets the login go on; with the code that its page shows, where one is asked for.
func (p *Phone) Allow(ctx context.Context, a Account, n Notification, code secret.Text) error {
	if !code.Empty() && !p.app.codes {
		return fmt.Errorf("the app of profile %s sends no codes, only that of profile %s does", p.profile, Web)
	}
	return p.resolve(ctx, a, n, decision{accepted: true, code: code})
}

// Reject ends the login; the reason may be empty. "hacked" says: it was not me.
func (p *Phone) Reject(ctx context.Context, a Account, n Notification, reason string) error {
	return p.resolve(ctx, a, n, decision{reason: reason})
}

// resolve answers a push; section 8.
func (p *Phone) resolve(ctx context.Context, a Account, n Notification, how decision) error {
	if n.Account != a.ID {
		return fmt.Errorf("the push is for the account %s, and this is %s", n.Account, a.ID)
	}
	base, err := p.base(a.URL)
	if err != nil {
		return err
	}
	response, err := p.response(a, n, how)
	if err != nil {
		return err
	}
	_, err = p.call(ctx, call{
		method: http.MethodPost, url: base + resolvePath, authorization: "Bearer " + n.Transaction.Reveal(),
		body: object{{"challenge_response", response.Reveal()}},
	})
	if err != nil {
		return fmt.Errorf("answer the login: %w", err)
	}
	return nil
}

// A Change is what an account is given anew; nil stays as it is.
type Change struct {
	Identifier, Name *string
	Push             *PushCredentials
}

// Update changes an account, and returns it as it is then; section 6.
func (p *Phone) Update(ctx context.Context, a Account, c Change) (Account, error) {
	body := object{}
	if c.Identifier != nil {
		body = append(body, member{"identifier", *c.Identifier})
		a.Identifier = *c.Identifier
	}
	if c.Name != nil {
		body = append(body, member{"name", *c.Name})
		a.Name = *c.Name
	}
	if c.Push != nil {
		body = append(body, member{"push_credentials", c.Push.object()})
		a.Push = *c.Push
	}
	got, err := p.account(ctx, http.MethodPatch, a, body)
	if err != nil {
		return Account{}, fmt.Errorf("update the account: %w", err)
	}
	var now members
	if err := json.Unmarshal(got.body, &now); err != nil {
		return Account{}, fmt.Errorf("update the account: the answer is not JSON: %w", err)
	}
	var push members
	if !now.nothing("push_credentials") {
		var unused [2]string
		if json.Unmarshal(now["push_credentials"], &push) != nil || push.texts(map[string]*string{"service": &unused[0], "token": &unused[1]}) != nil {
			return Account{}, errors.New("update the account: push_credentials must have service and token, both strings")
		}
	}
	return a, nil
}

// Delete ends an account; one that is gone already is as good.
func (p *Phone) Delete(ctx context.Context, a Account) error {
	_, err := p.account(ctx, http.MethodDelete, a, nil)
	var refused *Refusal
	if errors.As(err, &refused) && refused.Gone() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the account: %w", err)
	}
	return nil
}

func (p *Phone) account(ctx context.Context, method string, a Account, body object) (answer, error) {
	base, err := p.base(a.URL)
	if err != nil {
		return answer{}, err
	}
	bearer, err := p.bearer(a, base)
	if err != nil {
		return answer{}, err
	}
	return p.call(ctx, call{method: method, url: base + accountsPath + "/" + url.PathEscape(a.ID), authorization: "Bearer " + bearer.Reveal(), body: body})
}

// A call is a request to the gateway.
type call struct {
	method, url   string
	authorization string
	proof         secret.Text // of possession, where one is asked for
	body          object      // nil for none
}

func (p *Phone) call(ctx context.Context, c call) (answer, error) {
	var body io.Reader
	if c.body != nil {
		text, err := p.app.write(c.body)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, c.method, c.url, body)
	if err != nil {
		return answer{}, err
	}
	for name, value := range p.app.headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Authorization", c.authorization)
	if c.body != nil {
		r.Header.Set("Content-Type", p.app.typed)
	}
	if !c.proof.Empty() {
		r.Header["MFA-DPoP"] = []string{c.proof.Reveal()}
	}
	got, err := p.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, answerLimit))
	if err != nil {
		return answer{}, err
	}
	a := answer{got.StatusCode, got.Header.Get("Content-Type"), text}
	return a, p.app.reads.check(a)
}

// base is the URL that the app calls below.
func (p *Phone) base(typed string) (string, error) {
	u, err := url.Parse(typed)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("%q is no URL of a gateway, as in https://login.example.com", typed)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", fmt.Errorf("%s: phones call by https alone; http is for this machine", typed)
	}
	return p.app.base(u), nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// identifier is what the app calls its device.
func (p *Phone) identifier() (string, error) {
	if p.app.algorithm != es256 && !p.app.capitals {
		raw := make([]byte, 8) // an ANDROID_ID
		_, err := io.ReadFull(p.random, raw)
		return hex.EncodeToString(raw), err
	}
	return p.uuid()
}

// uuid is a random one, in the letters that the app writes.
func (p *Phone) uuid() (string, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(p.random, raw); err != nil {
		return "", fmt.Errorf("make a UUID: %w", err)
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80 // version 4, RFC 9562
	text := fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
	if p.app.capitals {
		text = strings.ToUpper(text)
	}
	return text, nil
}
