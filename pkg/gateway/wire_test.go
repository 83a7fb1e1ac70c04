package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// patience is how long a test waits for a gateway that has to end something by itself.
const patience = 20 * time.Second

// spoken is what came back over a connection.
type spoken struct {
	status []int
	body   string // of the last answer
	ended  bool   // by the gateway
}

// speak sends bytes over a connection of their own and reads the answers; half ends the
// sending side, as who hangs up in the middle does. A connection that must end is waited
// for; another answer would follow at once.
func speak(t *testing.T, w *gatewaytest.World, text string, half bool) spoken {
	t.Helper()
	c := dial(t, w)
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if tcp, ok := c.(*net.TCPConn); ok && half {
		_ = tcp.CloseWrite()
	}
	next := 300 * time.Millisecond
	if strings.Contains(text, "chunked") {
		next = patience
	}
	return listen(c, next)
}

func dial(t *testing.T, w *gatewaytest.World) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", w.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// listen reads answers until the gateway ends the connection, or the next one is not
// there in time.
func listen(c net.Conn, next time.Duration) spoken {
	var s spoken
	in := bufio.NewReader(c)
	for wait := patience; ; wait = next {
		_ = c.SetReadDeadline(time.Now().Add(wait))
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			s.ended = !errors.Is(err, os.ErrDeadlineExceeded)
			return s
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		s.status, s.body = append(s.status, res.StatusCode), string(body)
	}
}

// post is a request of HTTP/1.1 whose head has further lines.
func post(body string, lines ...string) string {
	return "POST /oauth/token HTTP/1.1\r\nHost: login.example.test\r\nContent-Type: " + formBody + "\r\n" + strings.Join(append(lines, "", body), "\r\n")
}

func length(body string) string { return fmt.Sprintf("Content-Length: %d", len(body)) }

// Section 7.6: what the HTTP layer itself refuses, and what it lets pass. It is the same
// whatever the stores are, in all tests of this file.
func TestWire(t *testing.T) {
	t.Parallel()
	w := gatewaytest.New(t, gatewaytest.SQLite())
	const chunked, host = "Transfer-Encoding: chunked", "Host: login.example.test\r\n"
	whole := post(loginForm, length(loginForm))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(loginForm), loginForm)
	get := func(target, lines string) string { return "GET " + target + " HTTP/1.1\r\n" + lines + "\r\n" }
	for _, c := range []struct {
		row, name, text string
		status          []int
	}{
		{"-", "a login", whole, []int{200}},
		{"-", "a login in chunks", post(chunk, chunked), []int{200}},
		{"B-60", "two lengths, and a request behind", post("0\r\n\r\n"+whole, "Content-Length: 6", chunked), []int{400}},
		{"B-60", "the other way round", post("0\r\n\r\n"+whole, chunked, "Content-Length: 6"), []int{400}},
		{"B-60", "chunks, and a request behind", post(chunk+whole, chunked), []int{200}},
		{"B-61", "two lengths that differ", post(loginForm, length(loginForm), "Content-Length: 0"), []int{400}},
		{"B-61", "lengths that differ in one line", post(loginForm, "Content-Length: 5, 6"), []int{400}},
		{"B-61", "a length that is none", post(loginForm, "Content-Length: +5"), []int{400}},
		{"B-61", "a length below zero", post(loginForm, "Content-Length: -1"), []int{400}},
		{"B-62", "two lengths that agree", post(loginForm, length(loginForm), length(loginForm)), []int{200}},
		{"B-63", "identity", post(loginForm, "Transfer-Encoding: identity"), []int{501}},
		{"B-63", "chunked twice", post(chunk, "Transfer-Encoding: chunked, chunked"), []int{501}},
		{"B-63", "chunked in two lines", post(chunk, chunked, chunked), []int{501}},
		{"B-63", "gzip, chunked", post(chunk, "Transfer-Encoding: gzip, chunked"), []int{501}},
		{"B-64", "a space before the colon", post(loginForm, "Content-Length : 5"), []int{400}},
		{"B-65", "a bare line feed in a chunk", post(strings.Replace(chunk, "\r\n", "\n", 1), chunked), []int{400}},
		{"B-65", "a chunk of no length", post("zz\r\n\r\n", chunked), []int{400}},
		{"B-65", "a chunk of more than there can be", post("fffffffffffffffff\r\n\r\n", chunked), []int{400}},
		{"B-66", "a folded length", post(loginForm, "Content-Length: 1\r\n 0"), []int{400}},
		{"B-66", "folded chunks", post(chunk, "Transfer-Encoding: chun\r\n ked"), []int{501}},
		{"B-66", "folded where it means nothing", post(loginForm, length(loginForm), "X-Folded: a\r\n b"), []int{200}},
		{"B-68", "CONNECT", "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", []int{404}},
		{"B-68", "CONNECT of a path", "CONNECT /oauth/token HTTP/1.1\r\n" + host + "\r\n", []int{405}},
		{"B-68", "OPTIONS of everything", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		{"B-68", "a method that is none", "PO ST /oauth/token HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"B-70", "no Host", get("/userinfo", ""), []int{400}},
		{"B-70", "two Hosts", get("/userinfo", host+"Host: evil.test\r\n"), []int{400}},
		{"B-70", "a Host that is none", get("/userinfo", "Host: a b\r\n"), []int{400}},
		{"B-70", "NUL in a header", get("/userinfo", host+"X: a\x00b\r\n"), []int{400}},
		{"B-70", "a bare CR in a header", get("/userinfo", host+"X: a\rb\r\n"), []int{400}},
		{"B-70", "two credentials", post(loginForm, length(loginForm), "Authorization: Bearer x", "Authorization: Basic c3BhOg=="), []int{400}},
		{"B-70", "two bearers", get("/userinfo", host+"Authorization: Bearer x\r\nAuthorization: Bearer y\r\n"), []int{400}},
		{"B-09", "two codings, the first of them empty", post(loginForm, length(loginForm), "Content-Encoding:", "Content-Encoding: gzip"), []int{400}},
		{"B-71", "two requests at once", get("/userinfo", host) + get("/userinfo", host), []int{401, 401}},
		{"B-71", "an expectation", post(loginForm, length(loginForm), "Expect: 100-continue"), []int{100, 200}},
		{"B-71", "an unknown expectation", post(loginForm, length(loginForm), "Expect: x"), []int{417}},
		{"B-71", "half a body and the end", post("grant_type", "Content-Length: 100", "Connection: close"), []int{400}},
		{"B-72", "a head of 64 KiB", get("/userinfo", host+"X: "+strings.Repeat("x", 64<<10)+"\r\n"), []int{431}},
		{"B-72", "2,000 headers", get("/userinfo", host+strings.Repeat("X: xxxxxxxxxxxxxxx\r\n", 2000)), []int{431}},
		{"B-72", "a path of 64 KiB", get("/"+strings.Repeat("x", 64<<10), host), []int{431}},
		{"B-74", "a bad escape", get("/mfa/authenticators/%zz", host), []int{400}},
		{"B-74", "a bar that turns an escaped slash", "DELETE /mfa%2fauthenticators/a|b HTTP/1.1\r\n" + host + "\r\n", []int{404}},
		{"B-74", "a bar in an id", "DELETE /mfa/authenticators/totp|dev_0 HTTP/1.1\r\n" + host + "\r\n", []int{401}},
		{"B-74", "no slash", get("userinfo", host), []int{400}},
		{"B-74", "a NUL", get("/userinfo\x00", host), []int{400}},
		{"-", "HTTP/0.9", "GET /userinfo\r\n", []int{400}},
		{"-", "HTTP/1.0", "GET /userinfo HTTP/1.0\r\n\r\n", []int{401}},
		{"-", "HTTP/3.0", "GET /userinfo HTTP/3.0\r\n\r\n", []int{505}},
		{"-", "HTTP/2 in the clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}},
	} {
		t.Run(c.row+" "+c.name, func(t *testing.T) {
			s := speak(t, w, c.text, strings.Contains(c.name, "the end"))
			if fmt.Sprint(s.status) != fmt.Sprint(c.status) {
				t.Errorf("got %v %s, want %v", s.status, s.body, c.status)
			}
			if strings.Contains(c.text, "chunked") && !s.ended {
				t.Error("the connection is open after a body in chunks")
			}
		})
	}
	// B-67: the target names another host; no answer is made of it.
	s := speak(t, w, get("http://evil.test/.well-known/openid-configuration", "Host: evil.test\r\n"), false)
	if len(s.status) != 1 || s.status[0] != http.StatusOK || strings.Contains(s.body, "evil") || !strings.Contains(s.body, w.URL) {
		t.Errorf("the host of the target is in the answer: %d %s", s.status, s.body)
	}
}

// B-72: who sends too slowly, stops, or never ends, is let go of and gets no further. All
// wait at the same time.
func TestSlow(t *testing.T) {
	t.Parallel()
	w := gatewaytest.New(t, gatewaytest.SQLite())
	const chunked = "Transfer-Encoding: chunked"
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		text   string
		status []int
	}{
		"nothing":            {"", nil},
		"half a head":        {"POST /oauth/token HTTP/1.1\r\nHost: x\r\nX-", []int{400}},
		"TLS":                {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", []int{400}},
		"half a body":        {post("grant_type=", "Content-Length: 100"), []int{408}},
		"half a chunk":       {post("64\r\ngrant_type=", chunked), []int{408}},
		"not one chunk":      {post("", chunked), []int{408}},
		"chunks without end": {post(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 40), chunked), []int{413}},
		"half a JSON":        {strings.Replace(post("{", "Content-Length: 100"), formBody, jsonBody, 1), []int{408}},
		"after a request":    {"GET /mfa/authenticators HTTP/1.1\r\nHost: x\r\n\r\nGET /", []int{401, 400}},
	} {
		conn := dial(t, w)
		all.Go(func() {
			if _, err := io.WriteString(conn, c.text); err != nil {
				t.Error(err)
			}
			if s := listen(conn, patience); !s.ended || fmt.Sprint(s.status) != fmt.Sprint(c.status) {
				t.Errorf("%s: got %v %s, ended %v; want %v", name, s.status, s.body, s.ended, c.status)
			}
		})
	}
	all.Wait()
}

// frame is one of HTTP/2 (RFC 9113, 4.1).
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[5:], stream)
	return append(head, payload...)
}

// The frames that the tests need.
const (
	frameHeaders, frameReset, frameSettings, framePing, frameGoAway, frameContinuation = 1, 3, 4, 6, 7, 9

	endStream, endHeaders = 1, 4
)

// openH2 begins a connection of HTTP/2 and returns the settings of the gateway.
func openH2(t *testing.T, w *gatewaytest.World) (net.Conn, map[uint16]uint32) {
	t.Helper()
	c, err := tls.Dial("tcp", w.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, nil)...)); err != nil {
		t.Fatal(err)
	}
	kind, payload := readFrame(c)
	settings := map[uint16]uint32{}
	for ; kind == frameSettings && len(payload) >= 6; payload = payload[6:] {
		settings[binary.BigEndian.Uint16(payload)] = binary.BigEndian.Uint32(payload[2:])
	}
	return c, settings
}

// readFrame returns the type and the payload of the next frame; 255 at the end.
func readFrame(c net.Conn) (byte, []byte) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		return 255, nil
	}
	payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, payload); err != nil {
		return 255, nil
	}
	return head[3], payload
}

// B-71: floods of HTTP/2 end their own connection and nothing else.
func TestFloodsOfHTTP2(t *testing.T) {
	ca := newAuthority(t)
	t.Parallel()
	w := gatewaytest.New(t, gatewaytest.SQLite(), fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key))
	// GET https://x/ in HPACK's static table (RFC 7541, appendix A).
	ask := []byte{0x82, 0x87, 0x84, 0x41, 1, 'x'}
	_, settings := openH2(t, w)
	const maxConcurrentStreams, maxFrameSize, maxHeaderListSize = 3, 5, 6
	if settings[maxConcurrentStreams] != 64 || settings[maxFrameSize] != 16<<10 && settings[maxFrameSize] != 0 || settings[maxHeaderListSize] > 32<<10 {
		t.Errorf("settings %v", settings)
	}
	huge := append(bytes.Clone(ask), 0x40, 1, 'y', 0x7f, 0x81, 0xff, 0x7f) // a value of 2 MiB is announced
	for name, flood := range map[string]func(n uint32) []byte{
		"streams that are reset": func(n uint32) []byte {
			return append(frame(frameHeaders, endHeaders|endStream, 2*n+1, ask), frame(frameReset, 0, 2*n+1, []byte{0, 0, 0, 8})...)
		},
		"a head without end": func(n uint32) []byte {
			if n == 0 {
				return frame(frameHeaders, endStream, 1, ask)
			}
			return frame(frameContinuation, 0, 1, bytes.Repeat([]byte{0x40, 1, 'y', 1, 'z'}, 200))
		},
		"a head that is too large": func(n uint32) []byte { return frame(frameHeaders, endHeaders|endStream, 2*n+1, huge) },
		"frames that are too large": func(uint32) []byte {
			return frame(framePing, 0, 0, make([]byte, 1<<17))
		},
		"settings": func(uint32) []byte { return frame(frameSettings, 0, 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := openH2(t, w)
			ended := make(chan bool, 1)
			go func() {
				kind, _ := readFrame(c)
				for kind != 255 && kind != frameGoAway {
					kind, _ = readFrame(c)
				}
				ended <- true
			}()
			for n := range uint32(20_000) {
				if _, err := c.Write(flood(n)); err != nil {
					break
				}
			}
			_ = c.(*tls.Conn).CloseWrite()
			<-ended
		})
	}
	w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusOK, "")
	if strings.Contains(w.Log.String(), "panic") {
		t.Error("a flood made a panic")
	}
}
