package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa"
)

// preferredWait is how long a client would rather wait for an answer than poll for it
// (RFC 7240, 4.3); 0 if it says nothing that can be read. A preference is never refused.
func preferredWait(h http.Header) time.Duration {
	for _, field := range h.Values("Prefer") {
		for _, preference := range strings.Split(field, ",") {
			name, value, _ := strings.Cut(preference, "=")
			value, _, _ = strings.Cut(value, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			// The first one counts (RFC 7240, 2).
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
			if err != nil {
				return 0
			}
			return min(time.Duration(seconds)*time.Second, mfa.MaxWait)
		}
	}
	return 0
}

type patientKey struct{}

// patient gives a request so much more time than others have, at the connection as well.
// Once it has waited, resume leaves it the time that others have.
func patient(w http.ResponseWriter, r *http.Request, more time.Duration) (_ *http.Request, resume, end func()) {
	parent, ok := r.Context().Value(patientKey{}).(context.Context)
	if !ok {
		return r, func() {}, func() {}
	}
	c := http.NewResponseController(w)
	at := time.Now().Add(handlerDeadline + more)
	// Where a connection has no deadlines there are none to be moved.
	_ = c.SetReadDeadline(at)
	_ = c.SetWriteDeadline(at.Add(handlerDeadline))
	ctx, cancel := context.WithCancel(parent)
	late := time.AfterFunc(handlerDeadline+more, cancel)
	return r.WithContext(ctx), func() { late.Reset(handlerDeadline) }, func() { late.Stop(); cancel() }
}
