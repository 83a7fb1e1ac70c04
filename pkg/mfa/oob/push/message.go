package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/pkg/secret"
)

// A Message is what a device is told of a login (Guardian, section 7).
type Message struct {
	ID        string      // the transaction's: a newer push of it replaces the older one
	Token     secret.Text // what the device answers with, opaque to it
	Device    string      // the enrollment that it is for
	Challenge string
	At        time.Time // when the login started
	ExpiresAt time.Time // the services drop what could not be delivered by then
	Service   string    // base URL that the device knows the gateway by
	Browser   Software
	OS        Software
	Location  Place
	Consent   string // of a rich consent; empty for none
	Enter     bool   // the device has to send the code that the page shows
	Issuer    string // these three are for people to read
	Account   string
	Client    string
}

// Software is a program that a login comes from; one without a name is not told.
type Software struct{ Name, Version string }

// A Place is where a login comes from, as far as that is known. Its coordinates are
// decimal degrees; they are told together or not at all.
type Place struct{ Name, Latitude, Longitude string }

const (
	sizeLimit  = 4096 // bytes, of both services
	tokenLimit = 1200 // bytes
	textLimit  = 100  // characters of each text that strangers choose

	// The SDKs' parsers take three decimals and the letter Z and nothing else: other
	// forms are dropped, or read as another hour.
	dateForm = "2006-01-02T15:04:05.000Z"

	// The SDK for iOS ignores a push of another category.
	category = "com.auth0.notification.authentication"
)

// required are the members without which neither SDK sees a push of its own.
type required struct {
	Token     string `json:"txtkn"`
	Device    string `json:"dai"`
	Challenge string `json:"c"`
	At        string `json:"d"`
	Host      string `json:"sh"`
}

type source struct {
	Browser *software `json:"b,omitempty"`
	OS      *software `json:"os,omitempty"`
}

type software struct {
	Name    string `json:"n"`
	Version string `json:"v,omitempty"`
}

type location struct {
	Name      string `json:"n,omitempty"`
	Latitude  string `json:"lat,omitempty"`
	Longitude string `json:"long,omitempty"`
}

// forFCM is the request for Firebase Cloud Messaging: data alone, because a notification
// block would keep the app from being woken. All of it are strings, JSON inside of them.
func (m Message) forFCM(device secret.Text, now time.Time) ([]byte, error) {
	type android struct {
		Priority string `json:"priority"`
		TTL      string `json:"ttl"`
	}
	type content struct {
		required
		Source   string `json:"s"` // always, {} at least: the SDK logs an exception without it
		Location string `json:"l,omitempty"`
		Consent  string `json:"txlnkid,omitempty"`
		Client   string `json:"gw_client,omitempty"`
		Bind     string `json:"gw_bind,omitempty"`
	}
	type message struct {
		Token   string  `json:"token"`
		Android android `json:"android"`
		Content content `json:"data"`
	}
	who, err := m.required()
	if err != nil {
		return nil, err
	}
	life := max(m.ExpiresAt.Sub(now), 0) / time.Second
	return fit(func(limit int) any {
		c := content{required: who, Source: string(encode(m.source(limit))), Consent: m.Consent, Client: clip(m.Client, limit), Bind: m.bind()}
		if l := m.location(limit); l != (location{}) {
			c.Location = string(encode(l))
		}
		return map[string]message{"message": {
			Token:   device.Reveal(),
			Android: android{Priority: "HIGH", TTL: strconv.FormatInt(int64(life), 10) + "s"},
			Content: c,
		}}
	})
}

// forAPNs is the request for the Apple Push Notification service.
func (m Message) forAPNs() ([]byte, error) {
	type alert struct {
		Title  string `json:"title,omitempty"`
		Client string `json:"subtitle,omitempty"`
		Body   string `json:"body"`
	}
	type aps struct {
		Alert    alert  `json:"alert"`
		Category string `json:"category"`
		Sound    string `json:"sound"`
	}
	type mfa struct {
		required
		Source   source   `json:"s,omitzero"`
		Location location `json:"l,omitzero"`
		Consent  string   `json:"txlnkid,omitempty"`
		Bind     string   `json:"gw_bind,omitempty"`
	}
	type payload struct {
		APS aps `json:"aps"`
		MFA mfa `json:"mfa"`
	}
	who, err := m.required()
	if err != nil {
		return nil, err
	}
	return fit(func(limit int) any {
		body := "Sign-in request"
		if account := clip(m.Account, limit); account != "" {
			body += " for " + account
		}
		return payload{
			APS: aps{Alert: alert{clip(m.Issuer, limit), clip(m.Client, limit), body}, Category: category, Sound: "default"},
			MFA: mfa{required: who, Source: m.source(limit), Location: m.location(limit), Consent: m.Consent, Bind: m.bind()},
		}
	})
}

// bind says how the answer is bound, to apps that know of it; the SDKs leave it out.
func (m Message) bind() string {
	if m.Enter {
		return "enter"
	}
	return ""
}

// required are the required members, or what is wrong with them. A device would ignore
// such a push without a word.
func (m Message) required() (required, error) {
	host, err := serviceHost(m.Service)
	if err != nil {
		return required{}, err
	}
	r := required{m.Token.Reveal(), m.Device, m.Challenge, m.At.UTC().Format(dateForm), host}
	switch {
	case r.Token == "" || r.Device == "" || r.Challenge == "" || m.At.IsZero():
		return required{}, refused("a push needs a token, a device, a challenge and a time", nil)
	case len(r.Token) > tokenLimit:
		return required{}, refused(fmt.Sprintf("the token of a push has %d bytes, at most %d are allowed", len(r.Token), tokenLimit), nil)
	}
	return r, nil
}

// serviceHost is what devices reach the gateway by: a host alone where that says all, a
// URL otherwise. The SDK for Android dies of a host with a port, the one for iOS takes a
// host that begins with http for a URL, and neither expects a bare IPv6 address.
func serviceHost(service string) (string, error) {
	u, err := url.Parse(service)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", refused("a push needs the URL of the gateway", nil)
	}
	name, path := u.Hostname(), strings.TrimRight(u.EscapedPath(), "/")
	standard := u.Scheme == "https" && (u.Port() == "" || u.Port() == "443")
	if standard && path == "" && !strings.Contains(name, ":") && !strings.HasPrefix(strings.ToLower(name), "http") {
		return name, nil
	}
	return u.Scheme + "://" + u.Host + path, nil
}

func (m Message) source(limit int) source {
	return source{Browser: m.Browser.clip(limit), OS: m.OS.clip(limit)}
}

func (s Software) clip(limit int) *software {
	if name := clip(s.Name, limit); name != "" {
		return &software{Name: name, Version: clip(s.Version, limit)}
	}
	return nil // the SDK for iOS drops a part without a name
}

func (m Message) location(limit int) location {
	l := location{Name: clip(m.Location.Name, limit)}
	if degrees(m.Location.Latitude) && degrees(m.Location.Longitude) {
		l.Latitude, l.Longitude = m.Location.Latitude, m.Location.Longitude
	}
	return l
}

// degrees reports whether a text is a number as both SDKs read one.
func degrees(s string) bool {
	const longest = 16
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && len(s) <= longest && strings.Trim(s, "-0123456789.") == "" && v >= -180 && v <= 180
}

// clip is a text of somebody else's as a screen may show it: so many characters of it at
// most, none of which moves or hides others.
func clip(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	for at := range s {
		if limit == 0 {
			return s[:at]
		}
		limit--
	}
	return s
}

// fit encodes what build makes of texts of so many characters, the more the better.
// Characters have up to four bytes and quotes in quotes four as well, so that a hundred
// characters are no measure yet.
func fit(build func(limit int) any) ([]byte, error) {
	for limit := textLimit; ; limit /= 2 {
		body := encode(build(limit))
		if len(body) <= sizeLimit {
			return body, nil
		}
		if limit == 0 {
			return nil, refused(fmt.Sprintf("a push has %d bytes, at most %d are allowed", len(body), sizeLimit), nil)
		}
	}
}

// encode is JSON without the escapes that only HTML needs.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(errors.Join(errors.New("push: strings that JSON cannot hold"), err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
