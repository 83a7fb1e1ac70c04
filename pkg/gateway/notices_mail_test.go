package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
)

// R32, N-BI-2: with a mail server people are told by mail, at their verified address; a server
// that is busy costs no notice. Who has no such address is told by the log, as before.
func TestR32PeopleGetMail(t *testing.T) {
	t.Parallel()
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			post := mailtest.StartProcess(t)
			w := gatewaytest.New(t, s, fmt.Sprintf("delivery: {email: {driver: smtp, host: %s, port: %d, tls: none, from: \"Example <no-reply@example.test>\"}}",
				post.Host, post.Port), "messages: {contact: security@example.test}")
			alice := w.Enroll(t, "alice")
			added := post.Wait(t, 1)[0]
			if !slices.Equal(added.To, []string{"alice@example.test"}) || added.From != "no-reply@example.test" ||
				!strings.Contains(added.Subject, "Example") || !strings.Contains(added.Text, "Example web application") ||
				!strings.Contains(added.Text, "127.0.0.1") || !strings.Contains(added.Text, "security@example.test") {
				t.Errorf("%q %s\n%s", added.To, added.Subject, added.Text)
			}

			post.Has(mailtest.Trouble{At: mailtest.AtRecipient, Code: 450})
			w.Recover(t, ask(t, w, "spa", "alice"), alice.Recovery).Want(t, http.StatusOK, "")
			eventually(t, "the log says that the server is busy", func() bool {
				return strings.Contains(w.Log.String(), `msg="background work failed" work="tell users"`)
			})
			post.Has(mailtest.Trouble{})
			w.Clock.Wind(2 * time.Minute)
			used := post.Wait(t, 2)[1]
			if !strings.Contains(used.Subject, "recovery code") || slices.Equal(used.Header["Message-Id"], added.Header["Message-Id"]) {
				t.Errorf("%s\n%s", used.Subject, used.Text)
			}

			w.Enroll(t, "carol") // her address is not verified
			eventually(t, "the log tells carol", func() bool {
				return slices.Equal(notices(w), []string{"carol authenticator.confirmed web [otp]"})
			})
			for _, m := range post.Mails() {
				for _, secret := range []string{alice.Seed, alice.Recovery} {
					if strings.Contains(m.Text+m.HTML+m.Subject, secret) {
						t.Errorf("a secret is in\n%s", m.Text)
					}
				}
			}
			if n := len(post.Mails()); n != 2 {
				t.Errorf("%d mails came", n)
			}
			if log := w.Log.String(); strings.Contains(log, "alice@") {
				t.Error("an address is in the log")
			}
		})
	}
}
