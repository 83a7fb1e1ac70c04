package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// The services, by the names that devices enroll with.
const (
	GCM  = "GCM" // Firebase Cloud Messaging, under the name that it once had
	APNS = "APNS"
)

// A Sender hands messages to a service. It tries once: who calls it may try again after
// [fault.Unavailable], not after [fault.Undeliverable].
type Sender interface {
	Send(ctx context.Context, e oob.Endpoint, m Message) error
}

// ErrEndpointGone says that the service has no such device any more. It is to be disabled,
// unless it took another token while the message was under way.
var ErrEndpointGone = errors.New("the device does not take messages any more")

// ErrMisconfigured says that the service refuses the gateway, for every device or for
// those of another app. The devices are not to blame: the operator has to look.
var ErrMisconfigured = errors.New("the push service refuses the gateway's credentials or settings")

// patience bounds a Send from its first to its last byte. A client waits for it.
const patience = 5 * time.Second

// answerLimit is how much of a service's answer is read. What counts is short.
const answerLimit = 64 << 10

// Senders are the services that the gateway has credentials for, by name. A device that
// names another one cannot be enrolled.
type Senders map[string]Sender

// New makes the senders of what is configured, none of an empty Config.
func New(c Config, now func() time.Time) (Senders, error) {
	all := Senders{}
	if c.FCM != nil {
		f, err := newFCM(*c.FCM, now)
		if err != nil {
			return nil, fmt.Errorf("fcm: %w", err)
		}
		all[GCM] = f
	}
	if c.APNs != nil {
		a, err := newAPNs(*c.APNs, now)
		if err != nil {
			return nil, fmt.Errorf("apns: %w", err)
		}
		all[APNS] = a
	}
	return all, nil
}

var _ Sender = Senders(nil)

// Send implements [Sender].
func (s Senders) Send(ctx context.Context, e oob.Endpoint, m Message) error {
	sender, ok := s[e.Service]
	if !ok {
		return refused(fmt.Sprintf("there are no credentials for the push service %q", e.Service), ErrMisconfigured)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return sender.Send(ctx, e, m)
}

// A verdict is what a service's answer means for the message.
type verdict int

const (
	final         verdict = iota // this message, and nothing else is known
	later                        // the same message may be taken another time
	gone                         // ErrEndpointGone
	misconfigured                // ErrMisconfigured
)

// refused is a failure that trying again does not mend, because of what is wrong beside
// the message; nil: nothing.
func refused(what string, because error) error {
	err := errors.New(what)
	if because != nil {
		err = fmt.Errorf("%s: %w", what, because)
	}
	return &fault.Details{Kind: fault.Undeliverable, Err: err}
}

// unavailable is a failure that trying again may mend.
func unavailable(what string, after time.Duration) error {
	return &fault.Details{Kind: fault.Unavailable, RetryAfter: after, Err: errors.New(what)}
}

// An answer is what a service said.
type answer struct {
	status     int
	retryAfter time.Duration
	body       []byte
}

// err is what the answer means, by the service's own word for it, or by its status where
// the word is new. A 404 of a wrong address must not cost people their devices: only a
// word says that one is gone.
func (a answer) err(service, word string, verdicts map[string]verdict) error {
	v, ok := verdicts[word]
	switch {
	case ok:
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status >= http.StatusInternalServerError:
		v = later
	case a.status < http.StatusBadRequest, a.status == http.StatusUnauthorized, a.status == http.StatusForbidden, a.status == http.StatusNotFound:
		v = misconfigured
	}
	what := fmt.Sprintf("%s answered %d %s", service, a.status, printable(word))
	switch v {
	case later:
		return unavailable(what, a.retryAfter)
	case gone:
		return refused(what, ErrEndpointGone)
	case misconfigured:
		return refused(what, ErrMisconfigured)
	default:
		return refused(what, nil)
	}
}

// printable is a word of a service's if it is one. Anything else may be text that the
// gateway sent there.
func printable(word string) string {
	const longest = 64
	odd := func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }
	if word == "" || len(word) > longest || strings.ContainsFunc(word, odd) {
		return "without a known word"
	}
	return word
}

// newClient calls one service. It goes where it is told, and no redirect leads it on.
func newClient(protocols *http.Protocols) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			DialContext:     (&net.Dialer{Timeout: patience}).DialContext,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			Protocols:       protocols,
			// Without pings a connection that a firewall forgot takes messages for minutes.
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: patience},
			TLSHandshakeTimeout:    patience,
			IdleConnTimeout:        10 * time.Minute,
			MaxResponseHeaderBytes: answerLimit,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// call sends a request of a service's and reads the answer. The failure does not quote
// the URL: it may hold the name of a device.
func call(client *http.Client, service string, r *http.Request, now time.Time) (answer, error) {
	response, err := client.Do(r)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return answer{}, unavailable(service+" does not answer: "+err.Error(), 0)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return answer{}, unavailable(service+" stopped answering: "+err.Error(), 0)
	}
	return answer{response.StatusCode, retryAfter(response.Header.Get("Retry-After"), now), body}, nil
}

// request is a POST of JSON.
func request(ctx context.Context, address string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, refused("the address of a push service is none", ErrMisconfigured)
	}
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// retryAfter is what the header says (RFC 9110, 10.2.3), 0 if it says nothing.
func retryAfter(header string, now time.Time) time.Duration {
	const longest = time.Hour
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longest)
}
