package phone

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

// answerLimit is how much of a service's answer is read. What counts is short.
const answerLimit = 64 << 10

// newClient calls one service. It goes where it is told, and no redirect leads it on: that
// would take a code to somebody else.
func newClient() *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Client{
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			Protocols:       protocols,
			// Without pings a connection that a firewall forgot takes messages for minutes.
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: time.Second},
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: answerLimit,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// call sends a request and returns the body of an answer that accepts it. The time that it
// may take is that of its context. No failure quotes what was sent, nor what came back: that
// may be the same.
func call(client *http.Client, r *http.Request, now time.Time) ([]byte, error) {
	response, err := client.Do(r)
	if err != nil {
		return nil, unavailable("the service "+why(err), 0)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, unavailable("the service stopped answering: it "+why(err), 0)
	}
	return body, verdict(response.StatusCode, retryAfter(response.Header.Get("Retry-After"), now))
}

// verdict is what a status means for the message.
func verdict(status int, after time.Duration) error {
	what := fmt.Sprintf("the service answered %d", status)
	switch {
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return nil
	case status < http.StatusBadRequest:
		return unavailable(what+", and redirects are not followed", 0)
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return unavailable(what, after)
	default:
		return undeliverable(what)
	}
}

// undeliverable is a failure that trying again does not mend.
func undeliverable(what string) error {
	return &fault.Details{Kind: fault.Undeliverable, Err: errors.New(what)}
}

// unavailable is a failure that trying again may mend.
func unavailable(what string, after time.Duration) error {
	return &fault.Details{Kind: fault.Unavailable, RetryAfter: after, Err: errors.New(what)}
}

// why names a failure of the network. The library's texts are not used: some quote URLs,
// and some what a server sent.
func why(err error) string {
	var name *net.DNSError
	var number syscall.Errno
	var certificate *tls.CertificateVerificationError
	var host x509.HostnameError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "was not waited for"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "did not answer in time"
	case errors.As(err, &name):
		return "has a name that cannot be resolved"
	case errors.As(err, &certificate), errors.As(err, &host):
		return "has a certificate that is not to be trusted"
	case errors.As(err, &number):
		return "cannot be reached: " + number.Error()
	default:
		return "does not speak HTTP, or broke off"
	}
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
