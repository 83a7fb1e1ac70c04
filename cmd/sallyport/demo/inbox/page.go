package inbox

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/pkg/server"
)

// The paths below the URL.
const (
	webhookPath = "webhook"
	latestPath  = "latest/"
)

//go:embed page
var page embed.FS

// What a browser may do with the page: run and load what comes from here, and nothing
// that a message could bring along (CSP 3; Trusted Types).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// What it may do with the HTML of a mail: show it. It has no scripts, no links that lead
// anywhere, no origin, and loads nothing.
const mailPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// pages serves the page, its messages, and the webhook.
func (b *Inbox) pages() http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]string{"/{$}": "page/index.html", "/style.css": "page/style.css", "/script.js": "page/script.js", "/icon.svg": "page/icon.svg"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, file) })
	}
	mux.HandleFunc("GET /events", b.events)
	mux.HandleFunc("GET /"+latestPath+"{channel}", b.latest)
	mux.HandleFunc("GET /mails/{id}", b.mail)
	mux.HandleFunc("POST /"+webhookPath, b.webhook)
	return here(mux)
}

// here answers only who asks for this machine: a page of another site that has its own
// name lead here (DNS rebinding) gets nothing.
func here(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy": pagePolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			w.Header().Set(name, value)
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !server.Loopback(host) {
			http.Error(w, "the inbox is for this machine alone", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// events tells a page what is kept, and then what arrives (server-sent events).
func (b *Inbox) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	name, told := "kept", 0
	for {
		messages, all, arrived := b.after(told)
		if err := tell(w, name, messages); err != nil {
			return
		}
		name, told = "arrived", all
		select {
		case <-arrived:
		case <-r.Context().Done():
			return
		}
	}
}

// tell sends an event. JSON has no line ends, which would end it early.
func tell(w http.ResponseWriter, name string, messages []Message) error {
	text, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, text)
	return http.NewResponseController(w).Flush()
}

// latest is for shells.
func (b *Inbox) latest(w http.ResponseWriter, r *http.Request) {
	channel := r.PathValue("channel")
	m, ok := b.find(func(m Message) bool { return m.Channel == channel && m.Code != "" })
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(m) // whoever went away gets nothing
}

// mail shows the HTML of a mail, which somebody else wrote.
func (b *Inbox) mail(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	m, ok := b.find(func(m Message) bool { return m.ID == id && m.HTML })
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, m.markup)
}

// serve serves until ctx ends, and closes the listeners.
func (b *Inbox) serve(ctx context.Context, web, mails net.Listener) error {
	const headers, grace = 5 * time.Second, 2 * time.Second
	s := &http.Server{
		Handler: b.pages(), ReadHeaderTimeout: headers,
		BaseContext: func(net.Listener) context.Context { return ctx }, // pages that wait do not hold the end up
	}
	post := b.postbox()
	served := make(chan error, 2)
	go func() { served <- s.Serve(web) }()
	go func() { served <- post.Serve(mails) }()
	var failed error
	select {
	case failed = <-served:
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if s.Shutdown(ending) != nil {
		failed = errors.Join(failed, s.Close()) // whoever is left hangs
	}
	failed = errors.Join(failed, post.Close())
	if err := mails.Close(); !errors.Is(err, net.ErrClosed) { // it ended before it began to serve
		failed = errors.Join(failed, err)
	}
	return failed
}
