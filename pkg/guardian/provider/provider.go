// Package provider plays the push services on the loopback of a machine without an account
// of theirs: a gateway sends to it as to Firebase Cloud Messaging or to the Apple Push
// Notification service, and phones in terminals come for what was sent.
package provider

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The paths of the services, and of the phones.
const (
	tokenPath = "/token"
	fcmPath   = "/v1/projects/{project}/messages:send"
	apnsPath  = "/3/device/{token}"
	InboxPath = "/inbox"
)

// bodyLimit is what the services take, 4096 bytes of message, with what stands around it.
const bodyLimit = 16 << 10

// A Provider is an http.Handler that plays the push services.
type Provider struct {
	url  string
	keys Keys
	now  func() time.Time
	box  *inbox
	mux  *http.ServeMux

	mu     sync.Mutex
	access map[string]time.Time // tokens for FCM, and their ends
}

// New makes a provider that is reached at a URL, without a slash at its end.
func New(url string, keys Keys, now func() time.Time) *Provider {
	p := &Provider{url: url, keys: keys, now: now, box: newInbox(now), mux: http.NewServeMux(), access: map[string]time.Time{}}
	p.mux.HandleFunc("POST "+tokenPath, p.grant)
	p.mux.HandleFunc("POST "+fcmPath, p.fcm)
	p.mux.HandleFunc("POST "+apnsPath, p.apns)
	p.mux.HandleFunc("POST "+InboxPath, p.inbox)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	p.mux.ServeHTTP(w, r)
}

// Serve serves on l until ctx ends: by HTTP/1.1 and, as APNs does, by HTTP/2, both without
// TLS. It closes l.
func (p *Provider) Serve(ctx context.Context, l net.Listener) error {
	const headers, grace = 5 * time.Second, 2 * time.Second
	s := &http.Server{
		Handler: p, ReadHeaderTimeout: headers, Protocols: &http.Protocols{},
		BaseContext: func(net.Listener) context.Context { return ctx }, // phones that wait do not hold the end up
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.Shutdown(ending); err != nil {
		return s.Close() // whoever is left hangs
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Next waits for a push for one of the devices until ctx ends.
func (p *Provider) Next(ctx context.Context, tokens ...string) (Push, error) {
	return p.box.next(ctx, tokens)
}

const accessLifetime = time.Hour

// grant is the token URI of the service account (RFC 7523).
func (p *Provider) grant(w http.ResponseWriter, r *http.Request) {
	var claims struct {
		Issuer   string  `json:"iss"`
		Scope    string  `json:"scope"`
		Audience string  `json:"aud"`
		Expires  float64 `json:"exp"`
	}
	now := p.now()
	switch {
	case r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
		write(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
		return
	case !p.keys.claims(r.FormValue("assertion"), rs256, &claims), claims.Issuer != accountEmail, claims.Audience != p.url+tokenPath,
		!slices.Contains(strings.Fields(claims.Scope), fcmScope), int64(claims.Expires) <= now.Unix():
		write(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	token := rand.Text()
	p.mu.Lock()
	for old, ends := range p.access {
		if !now.Before(ends) {
			delete(p.access, old)
		}
	}
	p.access[token] = now.Add(accessLifetime)
	p.mu.Unlock()
	write(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(accessLifetime.Seconds())})
}

// admitted reports whether a request for FCM has an access token.
func (p *Provider) admitted(r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ends, ok := p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	return ok && p.now().Before(ends)
}

// defaultLifetime is how long a message is kept that says nothing of it.
const defaultLifetime = 2 * time.Minute

// fcm is FCM's HTTP v1 (section 15.2).
func (p *Provider) fcm(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		Message struct {
			Token   string            `json:"token"`
			Data    map[string]string `json:"data"`
			Android struct {
				TTL      string `json:"ttl"`
				Collapse string `json:"collapse_key"`
			} `json:"android"`
		} `json:"message"`
	}
	if !p.admitted(r) {
		failFCM(w, http.StatusUnauthorized, "UNAUTHENTICATED")
		return
	}
	if r.PathValue("project") != project {
		failFCM(w, http.StatusForbidden, "SENDER_ID_MISMATCH")
		return
	}
	lifetime := defaultLifetime
	err := json.NewDecoder(r.Body).Decode(&sent)
	m := sent.Message
	if err == nil && m.Android.TTL != "" {
		lifetime, err = time.ParseDuration(m.Android.TTL)
	}
	if err != nil || m.Token == "" || len(m.Data) == 0 {
		failFCM(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	payload, err := json.Marshal(m.Data)
	if err != nil {
		failFCM(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	p.box.put(kept{Push{m.Token, FCM, payload}, m.Android.Collapse, p.now().Add(lifetime)})
	write(w, http.StatusOK, map[string]string{"name": "projects/" + project + "/messages/" + rand.Text()})
}

func failFCM(w http.ResponseWriter, status int, code string) {
	write(w, status, map[string]any{"error": map[string]any{"code": status, "status": code, "details": []any{map[string]string{
		"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code,
	}}}})
}

// apns is that of APNs (section 15.1).
func (p *Provider) apns(w http.ResponseWriter, r *http.Request) {
	var claims struct {
		IssuedAt float64 `json:"iat"`
	}
	token := r.PathValue("token")
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "bearer ")
	now := p.now()
	_, notHex := hex.DecodeString(token)
	switch {
	case !p.keys.claims(bearer, es256, &claims):
		failAPNs(w, http.StatusForbidden, "InvalidProviderToken")
		return
	case now.Unix()-int64(claims.IssuedAt) > int64(time.Hour.Seconds()):
		failAPNs(w, http.StatusForbidden, "ExpiredProviderToken")
		return
	case notHex != nil:
		failAPNs(w, http.StatusBadRequest, "BadDeviceToken")
		return
	}
	var payload json.RawMessage
	if json.NewDecoder(r.Body).Decode(&payload) != nil {
		failAPNs(w, http.StatusBadRequest, "PayloadEmpty")
		return
	}
	expires := now.Add(defaultLifetime)
	if text := r.Header.Get("apns-expiration"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			failAPNs(w, http.StatusBadRequest, "BadExpirationDate")
			return
		}
		expires = time.Unix(seconds, 0)
	}
	p.box.put(kept{Push{strings.ToUpper(token), APNs, payload}, r.Header.Get("apns-collapse-id"), expires})
	w.WriteHeader(http.StatusOK)
}

func failAPNs(w http.ResponseWriter, status int, reason string) {
	write(w, status, map[string]string{"reason": reason})
}

// longest is how long a phone may wait for a push in one request.
const longest = 30 * time.Second

// A Wait is what a phone sends to the inbox: its tokens, and how many seconds it waits. The
// answer is a [Push], or 204 when none came.
type Wait struct {
	Tokens  []string `json:"tokens"`
	Seconds int      `json:"seconds"`
}

// inbox hands a push to the phone that has the token it was sent to: whoever knows a token
// owns it, here as there.
func (p *Provider) inbox(w http.ResponseWriter, r *http.Request) {
	var wait Wait
	if err := json.NewDecoder(r.Body).Decode(&wait); err != nil || len(wait.Tokens) == 0 {
		write(w, http.StatusBadRequest, map[string]string{"error": "want tokens"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(longest, max(0, time.Duration(wait.Seconds)*time.Second)))
	defer cancel()
	push, err := p.Next(ctx, wait.Tokens...)
	switch {
	case err == nil:
		write(w, http.StatusOK, push)
	case errors.Is(err, context.DeadlineExceeded):
		w.WriteHeader(http.StatusNoContent)
	default:
		write(w, http.StatusServiceUnavailable, map[string]string{"error": "the provider ends"})
	}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever went away gets nothing
}
