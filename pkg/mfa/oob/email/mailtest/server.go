package mailtest

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// sizeLimit is more than any mail of a gateway takes.
const sizeLimit = 1 << 20

// Options are what a server is made from.
type Options struct {
	TLS      *tls.Config // offered as STARTTLS; nil: there is none
	Implicit bool        // the connection begins with TLS
	Username string      // who may send; empty: everybody may
	Password string
}

// The places of a conversation where a [Trouble] may be.
const (
	AtGreeting  = "greeting"
	AtSender    = "mail"
	AtRecipient = "rcpt"
	AtMessage   = "data" // after its last byte
)

// A Trouble is a place at which a server does not do what it should.
type Trouble struct {
	At   string `json:"at"`
	Code int    `json:"code"` // what it answers there; 0: nothing, until the client is gone
}

// postbox is a mail server that delivers nothing to anybody: it keeps what it takes.
type postbox struct {
	o      Options
	keep   func(Mail) // gets each mail before the server says that it was taken
	server *smtp.Server
	ended  context.Context
	end    context.CancelFunc

	mu      sync.Mutex
	trouble Trouble
}

func newPostbox(o Options, keep func(Mail)) *postbox {
	s := &postbox{o: o, keep: keep}
	s.ended, s.end = context.WithCancel(context.Background())
	s.server = smtp.NewServer(smtp.BackendFunc(s.session))
	s.server.Domain = "mail.example.test"
	s.server.MaxMessageBytes = sizeLimit
	s.server.ReadTimeout, s.server.WriteTimeout = time.Minute, time.Minute
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.AllowInsecureAuth = o.TLS == nil
	if !o.Implicit {
		s.server.TLSConfig = o.TLS
	}
	return s
}

// serve takes mail on l until the server is closed.
func (s *postbox) serve(l net.Listener) error {
	l = greeter{l, s}
	if s.o.Implicit {
		l = tls.NewListener(l, s.o.TLS)
	}
	err := s.server.Serve(l)
	if s.ended.Err() != nil {
		return nil
	}
	return err
}

// close ends it, and every conversation.
func (s *postbox) close() error {
	s.end()
	return s.server.Close()
}

// has gives the server a trouble, in the place of another one; the zero one is none.
func (s *postbox) has(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

// at is what happens at a place: an answer that refuses, nothing for a while, or nil.
func (s *postbox) at(place string) error {
	s.mu.Lock()
	t := s.trouble
	s.mu.Unlock()
	switch {
	case t.At != place:
		return nil
	case t.Code == 0:
		<-s.ended.Done()
		return io.EOF
	default:
		// What real servers say repeats the address, and more.
		return &smtp.SMTPError{Code: t.Code, EnhancedCode: smtp.EnhancedCode{t.Code / 100, 1, 1}, Message: "trouble with <" + place + "@example.test> 123456"}
	}
}

// greeter is a listener whose connections may stay without a greeting.
type greeter struct {
	net.Listener
	server *postbox
}

// Accept implements net.Listener.
func (g greeter) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &greeting{Conn: c, server: g.server}, nil
}

// greeting is a connection that is silent while its server has trouble with greeting.
type greeting struct {
	net.Conn
	server *postbox
}

// Write implements net.Conn.
func (g *greeting) Write(p []byte) (int, error) {
	switch err := g.server.at(AtGreeting).(type) { //nolint:errorlint // the server's own
	case nil:
		return g.Conn.Write(p)
	case *smtp.SMTPError:
		_, _ = g.Conn.Write([]byte("554 5.3.2 come back later\r\n"))
		return 0, err
	default:
		return 0, err
	}
}

func (s *postbox) session(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	return &session{server: s, secure: secure}, nil
}

// session is a conversation with a client.
type session struct {
	server *postbox
	secure bool
	user   string
	from   string
	to     []string
}

var _ smtp.AuthSession = (*session)(nil)

// AuthMechanisms implements smtp.AuthSession.
func (c *session) AuthMechanisms() []string {
	if c.server.o.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		o := c.server.o
		if username != o.Username || subtle.ConstantTimeCompare([]byte(password), []byte(o.Password)) != 1 {
			return smtp.ErrAuthFailed
		}
		c.user = username
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if c.server.o.Username != "" && c.user == "" {
		return smtp.ErrAuthRequired
	}
	c.from = from
	return c.server.at(AtSender)
}

// Rcpt implements smtp.Session.
func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = append(c.to, to)
	return c.server.at(AtRecipient)
}

// Data implements smtp.Session.
func (c *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := c.server.at(AtMessage); err != nil {
		return err
	}
	m, err := Read(text)
	if err != nil {
		return errors.Join(&smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "that is no mail"}, err)
	}
	m.From, m.To, m.TLS, m.User = c.from, c.to, c.secure, c.user
	c.server.keep(m)
	return nil
}

// Reset implements smtp.Session.
func (c *session) Reset() { c.from, c.to = "", nil }

// Logout implements smtp.Session.
func (c *session) Logout() error { return nil }
