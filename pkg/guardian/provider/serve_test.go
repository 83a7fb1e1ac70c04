package provider

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A provider that ends says so to the phones that wait, and does not wait for them.
func TestServeEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := New("http://"+l.Addr().String(), Keys{}, time.Now)
	entered := make(chan struct{})
	p.mux = http.NewServeMux()
	p.mux.HandleFunc("POST "+InboxPath, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		p.inbox(w, r)
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, l) }()
	said := make(chan int, 1)
	go func() {
		r, err := http.Post(p.url+InboxPath, "application/json", strings.NewReader(`{"tokens":["a"],"seconds":30}`))
		if err != nil {
			t.Error(err)
			said <- 0
			return
		}
		defer r.Body.Close()
		said <- r.StatusCode
	}()
	<-entered
	cancel()
	if got := <-said; got != http.StatusServiceUnavailable {
		t.Errorf("the phone got %d", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
