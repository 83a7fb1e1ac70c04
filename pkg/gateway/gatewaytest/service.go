package gatewaytest

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/pkg/guardian/provider"
)

// A service is a push service that can fail.
type service struct {
	provider *provider.Provider
	fails    atomic.Pointer[http.HandlerFunc]
}

// serveService serves on l until the test ends. Handlers that hang are let go then.
func serveService(t testing.TB, p *provider.Provider, l net.Listener) *service {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	s := &service{provider: p}
	server := &http.Server{Handler: s, Protocols: &http.Protocols{}, BaseContext: func(net.Listener) context.Context { return ctx }}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		end()
		_ = server.Close()
		<-ended
	})
	return s
}

// ServeHTTP implements http.Handler. What is not a message is always answered.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if message := strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/3/"); message {
		if fails := s.fails.Load(); fails != nil {
			(*fails)(w, r)
			return
		}
	}
	s.provider.ServeHTTP(w, r)
}

// FailPushes has a handler answer in the place of the push services; nil ends that.
func (w *World) FailPushes(with http.HandlerFunc) {
	if with == nil {
		w.service.fails.Store(nil)
		return
	}
	w.service.fails.Store(&with)
}
