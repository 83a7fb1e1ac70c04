package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/sallyport/sallyport/pkg/fault"
)

const (
	// unhurried is how long a connection may last that nobody has bounded.
	unhurried = 10 * time.Second
	// farewell is how long a server may take to say goodbye, after it took the mail.
	farewell = 200 * time.Millisecond
	// mending is how long it takes at least until an operator has mended what is wrong.
	mending = time.Minute
)

// relay is a mail server that mail is handed to.
type relay struct {
	Server

	hello string // what the gateway calls itself
	tls   *tls.Config
}

func newRelay(s Server, hello string) (relay, error) {
	roots, err := s.authorities()
	if err != nil {
		return relay{}, fmt.Errorf("ca_file: %w", err)
	}
	return relay{Server: s, hello: hello, tls: &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: roots}}, nil
}

// take hands a mail over, in the time that ctx has. It fails as [oob.Provider] wants, with
// words that repeat nothing of what the server said: that often has the address in it, or
// the mail.
func (r relay) take(ctx context.Context, m *mail.Msg) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	var line net.Conn // all that is said goes over it
	dial := func(dialing context.Context, network, _ string) (net.Conn, error) {
		conn, err := r.dial(dialing, network)
		if err == nil {
			line = conn
			context.AfterFunc(ctx, func() { _ = conn.Close() }) // who waits for the server then waits no longer
		}
		return conn, err
	}
	client, err := mail.NewClient(r.Host, append(r.options(ctx), mail.WithDialContextFunc(dial))...)
	if err != nil {
		return misconfigured("cannot be asked with these settings")
	}
	conversation, err := client.DialToSMTPClientWithContext(ctx)
	if err == nil {
		err = client.SendWithSMTPClient(conversation, m)
	}
	if m.IsDelivered() { // the server answers for it, whatever follows
		_ = line.SetDeadline(time.Now().Add(farewell))
		_ = client.CloseWithSMTPClient(conversation)
		return nil
	}
	return verdict(ctx, err)
}

// options are the client's.
func (r relay) options(ctx context.Context) []mail.Option {
	patience := unhurried
	if until, ok := ctx.Deadline(); ok {
		patience = max(time.Until(until), time.Millisecond)
	}
	all := []mail.Option{
		mail.WithPort(int(r.Port)), mail.WithHELO(r.hello), mail.WithTimeout(patience), mail.WithTLSConfig(r.tls),
		mail.WithoutNoop(), mail.WithoutRset(), mail.WithoutSMTPUTF8(),
	}
	if r.TLS == tlsStart {
		all = append(all, mail.WithTLSPolicy(mail.TLSMandatory))
	} else {
		all = append(all, mail.WithTLSPolicy(mail.NoTLS))
	}
	if r.TLS == tlsImplicit {
		all = append(all, mail.WithSSL())
	}
	if r.Username != "" {
		all = append(all, mail.WithSMTPAuthCustom(&proof{relay: r}))
	}
	return all
}

func (r relay) dial(ctx context.Context, network string) (net.Conn, error) {
	at := net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
	if r.TLS == tlsImplicit {
		return (&tls.Dialer{Config: r.tls}).DialContext(ctx, network, at)
	}
	return new(net.Dialer).DialContext(ctx, network, at)
}

// proof authenticates the gateway by the best mechanism that the server has: none that shows
// the password over a connection that others could read.
type proof struct {
	relay  relay
	chosen smtp.Auth
}

// errNoMechanism says that a server has no way to authenticate that the gateway has too.
var errNoMechanism = errors.New("the server has no mechanism to authenticate by that is known here")

// Start implements smtp.Auth.
func (p *proof) Start(server *smtp.ServerInfo) (string, []byte, error) {
	username, password, near := p.relay.Username, p.relay.Password.Reveal(), p.relay.TLS == tlsNone && loopback(p.relay.Host)
	for _, m := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(username, password)},
		{"SCRAM-SHA-1", smtp.ScramSHA1Auth(username, password)},
		{"PLAIN", smtp.PlainAuth("", username, password, p.relay.Host, near)},
		{"LOGIN", smtp.LoginAuth(username, password, p.relay.Host, near)},
	} {
		for _, offered := range server.Auth {
			if offered == m.name {
				p.chosen = m.auth
				return p.chosen.Start(server)
			}
		}
	}
	return "", nil, errNoMechanism
}

// Next implements smtp.Auth.
func (p *proof) Next(said []byte, more bool) ([]byte, error) { return p.chosen.Next(said, more) }

// verdict is what a failure means for the mail.
func verdict(ctx context.Context, err error) error {
	var reply *textproto.Error
	var sending *mail.SendError
	var broken net.Error
	switch {
	case ctx.Err() != nil:
		return unavailable("did not answer in time")
	case errors.As(err, &sending):
		return refusal(sending)
	case errors.Is(err, errNoMechanism):
		return misconfigured(errNoMechanism.Error())
	case errors.As(err, &reply) && reply.Code >= 500:
		return misconfigured("answered " + strconv.Itoa(reply.Code) + " before the mail")
	case errors.As(err, &reply):
		return unavailable("answered " + strconv.Itoa(reply.Code) + " before the mail")
	case untrusted(err):
		return misconfigured("has a certificate that is not trusted for its name")
	case errors.As(err, &broken) && broken.Timeout():
		return unavailable("did not answer in time")
	case errors.As(err, new(*net.OpError)) || errors.As(err, new(*net.DNSError)):
		return unavailable("cannot be reached, or hung up")
	default:
		return unavailable("hung up, or does not speak SMTP as it is configured")
	}
}

func untrusted(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError))
}

// refusal is what the answer to a part of a mail means. That the recipient or the text is
// refused for good is about this mail; that the sender is, about the gateway.
func refusal(e *mail.SendError) error {
	code := e.ErrorCode()
	what, mine := "stopped answering within a mail", false
	switch e.Reason { //nolint:exhaustive // what cannot be refused
	case mail.ErrSMTPMailFrom:
		what = "refused the sender"
	case mail.ErrSMTPRcptTo:
		what, mine = "refused the recipient", true
	case mail.ErrSMTPData, mail.ErrSMTPDataClose:
		what, mine = "refused the mail", true
	}
	if code == 0 {
		return unavailable("stopped answering within a mail")
	}
	what = fmt.Sprintf("%s with %d", what, code)
	switch {
	case code < 500:
		return unavailable(what)
	case mine:
		return &fault.Details{Kind: fault.Undeliverable, Err: errors.New(what)}
	default:
		return misconfigured(what)
	}
}

// unavailable is a failure that may be over a moment later.
func unavailable(what string) error {
	return &fault.Details{Kind: fault.Unavailable, Err: errors.New(what)}
}

// misconfigured is a failure that an operator has to look at.
func misconfigured(what string) error {
	return &fault.Details{Kind: fault.Unavailable, RetryAfter: mending, Err: errors.New(what)}
}
