package email_test

import (
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/secret"
)

// Mail goes over TLS from the first byte, or from STARTTLS on, with a name and a password or
// without (RFC 3207, RFC 4954, RFC 8314).
func TestTransports(t *testing.T) {
	certificate, ca := mailtest.Certificate(t)
	for name, o := range map[string]mailtest.Options{
		"none": {}, "starttls": {TLS: certificate}, "implicit": {TLS: certificate, Implicit: true},
	} {
		for _, username := range []string{"", "sallyport"} {
			o.Username, o.Password = username, "p4ss word"
			s := mailtest.Start(t, o)
			server := at(s)
			server.TLS, server.CAFile, server.Username, server.Password = name, ca, username, secret.New(o.Password)
			if err := carrier(t, server).Send(t.Context(), message()); err != nil {
				t.Errorf("%s as %q: %v", name, username, err)
				continue
			}
			if got := s.Wait(t, 1)[0]; got.TLS != (name != "none") || got.User != username {
				t.Errorf("%s as %q: TLS %t, user %q", name, username, got.TLS, got.User)
			}
		}
	}
}

// A server that is not who it should be, has no STARTTLS, or does not take the password gets
// no mail, and no password over a readable line: it is the operator's to mend, and no fault
// of the address.
func TestMisconfigured(t *testing.T) {
	certificate, ca := mailtest.Certificate(t)
	_, otherCA := mailtest.Certificate(t)
	with := func(change func(*email.Server)) func(*mailtest.Server) email.Server {
		return func(s *mailtest.Server) email.Server {
			server := at(s)
			change(&server)
			return server
		}
	}
	for name, tc := range map[string]struct {
		server  mailtest.Options
		gateway func(*mailtest.Server) email.Server
	}{
		"no STARTTLS":       {mailtest.Options{}, with(func(s *email.Server) { s.TLS = "starttls" })},
		"no TLS":            {mailtest.Options{}, with(func(s *email.Server) { s.TLS = "implicit" })},
		"unknown authority": {mailtest.Options{TLS: certificate}, with(func(s *email.Server) { s.TLS = "starttls" })},
		"another authority": {mailtest.Options{TLS: certificate, Implicit: true}, with(func(s *email.Server) { s.TLS, s.CAFile = "implicit", otherCA })},
		"another name": {mailtest.Options{TLS: certificate}, with(func(s *email.Server) {
			s.Host, s.TLS, s.CAFile = "localhost", "starttls", ca
		})},
		"wrong password": {mailtest.Options{TLS: certificate, Username: "a", Password: "b"}, with(func(s *email.Server) {
			s.TLS, s.CAFile, s.Username, s.Password = "starttls", ca, "a", secret.New("wrong-012345")
		})},
		"nobody asked for one": {mailtest.Options{TLS: certificate}, with(func(s *email.Server) {
			s.TLS, s.CAFile, s.Username, s.Password = "starttls", ca, "a", secret.New("wrong-012345")
		})},
		"a password is wanted": {mailtest.Options{TLS: certificate, Username: "a", Password: "b"}, with(func(s *email.Server) {
			s.TLS, s.CAFile = "starttls", ca
		})},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailtest.Start(t, tc.server)
			err := carrier(t, tc.gateway(s)).Send(t.Context(), message())
			if fault.Of(err) != fault.Unavailable || len(s.Mails()) != 0 {
				t.Errorf("%v, %d mails", err, len(s.Mails()))
			}
			quiet(t, err)
			t.Log(err)
		})
	}
}
