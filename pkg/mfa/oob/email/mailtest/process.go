// Package mailtest runs mail servers for tests: in the test's own process, or in one that
// is started for it, as a gateway's mail server is.
package mailtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A Server is a mail server, and what it took.
type Server struct {
	Host string
	Port uint16

	trouble func(Trouble)
	mu      sync.Mutex
	mails   []Mail
	more    chan struct{} // closed, and made anew, with each mail
}

// Start serves until the test ends, in its process.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{more: make(chan struct{})}
	s.at(t, l.Addr().String())
	server := newPostbox(o, s.keep)
	s.trouble = server.has
	ended := make(chan error, 1)
	go func() { ended <- server.serve(l) }()
	t.Cleanup(func() {
		_ = server.close()
		_ = l.Close() // it may not have been served yet
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("a mail server ended with %v", err)
		}
	})
	return s
}

func (s *Server) at(t testing.TB, address string) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	s.Host, s.Port = host, uint16(port)
}

func (s *Server) keep(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	close(s.more)
	s.more = make(chan struct{})
}

// Has gives the server a trouble, in the place of another one; the zero one is none.
func (s *Server) Has(trouble Trouble) { s.trouble(trouble) }

// Mails are all that were taken.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Wait waits for so many mails, and fails the test if they do not come.
func (s *Server) Wait(t testing.TB, n int) []Mail {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		all, more := append([]Mail(nil), s.mails...), s.more
		s.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("%d mails came, want %d", len(all), n)
		}
	}
}

// envServe says in a process's environment that it is to be a mail server.
const envServe = "SALLYPORT_TEST_MAIL"

// Main is for TestMain: in a process that [StartProcess] started it is a mail server, and
// ends the process; elsewhere it does nothing.
func Main() {
	if os.Getenv(envServe) == "" {
		return
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve takes troubles from in, writes where it listens and what it takes to out, and ends
// with in: so it does not outlive the tests.
func serve(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	write := func(v any) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(out).Encode(v) // who is gone needs nothing
	}
	server := newPostbox(Options{}, func(m Mail) { write(line{Mail: &m}) })
	write(line{Address: l.Addr().String()})
	go func() {
		defer server.close() //nolint:errcheck // the process ends
		for troubles := json.NewDecoder(in); ; {
			var t Trouble
			if troubles.Decode(&t) != nil {
				return
			}
			server.has(t)
			write(line{})
		}
	}()
	return server.serve(l)
}

// line is what a server process says: where it listens, a mail, or that it has the trouble.
type line struct {
	Address string `json:"address,omitempty"`
	Mail    *Mail  `json:"mail,omitempty"`
}

// StartProcess starts a mail server as a process, without TLS, that ends with the test. The
// TestMain of its binary has to call [Main].
func StartProcess(t testing.TB) *Server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env, cmd.Stderr = append(os.Environ(), envServe+"=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(bufio.NewReader(out))
	var first line
	if err := lines.Decode(&first); err != nil {
		t.Fatalf("a mail server did not start: %v", err)
	}
	s, taken, ended := &Server{more: make(chan struct{})}, make(chan struct{}), make(chan struct{})
	s.at(t, first.Address)
	go func() {
		defer close(ended)
		s.read(lines, taken)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("a mail server ended with %v", err)
		}
	})
	s.trouble = func(trouble Trouble) {
		if json.NewEncoder(in).Encode(trouble) == nil {
			<-taken
		}
	}
	return s
}

// read reads what a process says until it ends.
func (s *Server) read(lines *json.Decoder, taken chan<- struct{}) {
	defer close(taken)
	for {
		var l line
		if lines.Decode(&l) != nil {
			return
		}
		if l.Mail == nil {
			taken <- struct{}{}
			continue
		}
		s.keep(*l.Mail)
	}
}
