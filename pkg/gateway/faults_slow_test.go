package gateway_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// thousands of clients send a byte now and then: half of them never end their
// header, half never their body. They are cut off, and nobody else notices.
func TestFaultX52(t *testing.T) {
	f := fault(t, "X-52", "5,000 slow clients", false)
	w := gatewaytest.New(t, crowded(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	const clients = 5000
	addresses := []string{w.Apart()[0].Address(), w.Apart()[1].Address()}
	var slow sync.WaitGroup
	longest := make([]time.Duration, clients)
	began := time.Now()
	for i := range clients {
		begin := "POST /oauth/token HTTP/1.1\r\nHost: x\r\nX-Slow: "
		if i%4 >= 2 {
			begin = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n"
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addresses[i%2])
		if err != nil {
			t.Fatal(err)
		}
		slow.Go(func() { longest[i] = drip(conn, begin) })
	}
	f.saw("all connected after %.1f s", time.Since(began).Seconds())
	mark := c.mark()
	c.wants(t, c.rounds(t, 2), "beside slow clients")
	_, slowest := c.suffer(t, mark)
	slow.Wait()
	last := time.Duration(0)
	for _, l := range longest {
		last = max(last, l)
	}
	if last > 15*time.Second {
		t.Errorf("a slow client was served for %v", last)
	}
	f.saw("the last one cut off after %.1f s; slowest answer to others %.1f s", last.Seconds(), slowest.Seconds())
	f.sound(t, c)
}

// drip sends a byte every two seconds until the other side has had enough, and returns how
// long that took.
func drip(conn net.Conn, begin string) time.Duration {
	defer func() { _ = conn.Close() }()
	began := time.Now()
	if _, err := fmt.Fprint(conn, begin); err != nil {
		return time.Since(began)
	}
	answer := make([]byte, 512)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		for { // an answer may come before the end
			_, err := conn.Read(answer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return time.Since(began)
			}
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			return time.Since(began)
		}
	}
}
