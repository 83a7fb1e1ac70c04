package server

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
)

// other stands for whatever a client sent that the gateway does not serve, so that
// nobody can make series of metrics, or write into the log.
const other = "other"

// contract begins the grant types that the contract invented.
const contract = "http://auth0.com/oauth/grant-type/"

// A Request is what operators see of a request. Each field has few values or was made
// here; the client is one that is registered.
type Request struct {
	ID      string // random
	Method  string
	Route   string // as the server knows it, "none" for an unknown path
	Address string // the end user's

	Grant   string // at the token endpoint: a grant type without its prefix, or "other"
	Step    string // of a second factor: "associate", "challenge", "verify", or empty
	Factor  string // the type of authenticator that it is about, or "other"
	Channel string // the channel that it asks for, or "other"
	Client  string // that the request names and that exists; it need not have proved itself
	Waits   bool   // a poll that asks to wait for its answer: how long it takes is the client's choice

	Status int
	Kind   fault.Kind // empty for success
	Took   time.Duration
}

// An Observer watches requests: it counts them, or traces them.
type Observer interface {
	// Begin is told of a request when nothing but ID, Method, Route and Address is known
	// of it, and returns the context to serve it under and what is told how it ended.
	// traceparent is what a trusted proxy sent in that header (W3C Trace Context, 3.2).
	Begin(ctx context.Context, r Request, traceparent string) (context.Context, func(Request))
}

type requestKey struct{}

// seen is what is known of the request of a context.
func seen(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return r
	}
	return &Request{}
}

// Known notes that the client of a request exists. Whoever looks it up calls this, for
// an id that nobody has is any text.
func Known(ctx context.Context, client string) { seen(ctx).Client = client }

// begin tells the observer of a request. Who is not a trusted proxy chooses neither
// which requests are traced nor what they are part of.
func (s *Server) begin(r *http.Request, route string) (context.Context, *Request, func(Request)) {
	q := &Request{ID: s.newID(), Method: method(r), Route: route, Address: s.address(r)}
	traceparent := ""
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && s.trusted(peer.Addr().Unmap()) {
		traceparent = r.Header.Get("Traceparent")
	}
	ctx, ended := s.Observer.Begin(context.WithValue(r.Context(), requestKey{}, q), *q, traceparent)
	return ctx, q, ended
}

// newID makes the id of a request. Without chance nobody logs in, which has its own
// failure.
func (s *Server) newID() string {
	var id [16]byte
	if _, err := io.ReadFull(s.Random, id[:]); err != nil {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// grantWord is the name of a grant type for operators.
func (s *Server) grantWord(said string) string {
	if said == "" {
		return ""
	}
	for _, served := range s.Provider.GrantTypes() {
		if word := strings.TrimPrefix(served, contract); said == served || said == word {
			return word
		}
	}
	return other
}

// factorWord is the type of authenticator that a request is about: the first of those
// that it names.
func (s *Server) factorWord(named []string) string {
	if len(named) == 0 {
		return ""
	}
	for _, f := range s.Verifier.Factors {
		if string(f.Type()) == named[0] {
			return named[0]
		}
	}
	return other
}

// channels are all that the contract knows (Auth0 MFA API, 2.2).
var channels = []string{"auth0", "email", "sms", "voice"}

// channelWord is the first channel that a request names.
func channelWord(named []string) string {
	switch {
	case len(named) == 0:
		return ""
	case slices.Contains(channels, named[0]):
		return named[0]
	default:
		return other
	}
}

// method is that of the request if it is one of HTTP's own; any word can stand there.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return other
	}
}

// line is the one line of the log for a request.
func (s *Server) line(ctx context.Context, r Request) {
	s.Log.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("id", r.ID), slog.String("method", r.Method), slog.String("route", r.Route),
		slog.Int("status", r.Status), slog.String("kind", r.Kind.Error()), slog.String("grant", r.Grant),
		slog.String("client", r.Client), slog.String("address", r.Address), slog.Duration("took", r.Took))
}

// A statusWriter remembers the status that was sent.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// Unwrap lets http.ResponseController find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
