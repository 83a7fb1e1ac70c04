package email_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/secret"
)

func TestMain(m *testing.M) {
	mailtest.Main()
	m.Run()
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

var rules = email.Rules{Codes: true, PerUser: 20, PerMailbox: 20, PerGateway: 3000}

func texts(t testing.TB, c wording.Config) *wording.Texts {
	t.Helper()
	if c.Locale == "" {
		c.Locale = "en"
	}
	all, err := wording.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// at is a server on this machine.
func at(s *mailtest.Server) email.Server {
	return email.Server{Host: s.Host, Port: s.Port, TLS: "none"}
}

// config sends to the servers, the first one first.
func config(servers ...email.Server) email.Config {
	return email.Config{Driver: "smtp", From: "Example <no-reply@example.test>", Server: servers[0], Fallback: servers[1:]}
}

// carrier is the channel with these servers.
func carrier(t testing.TB, servers ...email.Server) oob.Carrier {
	t.Helper()
	c, err := email.New(config(servers...), rules, texts(t, wording.Config{}), clock)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// message is one for Alice.
func message() oob.Message {
	return oob.Message{
		ID: "Vt3x_9-a", To: secret.New("alice@mail.example.test"), Code: secret.New("012345"), Service: "Example",
		Host: "app.example.com", Client: "spa", ExpiresIn: 5 * time.Minute,
	}
}
