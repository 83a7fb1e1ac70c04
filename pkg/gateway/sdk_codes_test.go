package gateway_test

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/record"
)

const (
	wrongBindingCode = "Invalid binding_code."
	maskedMailbox    = "****@exam********" // everybody's at example.test
)

// A codebox is where the codes of an example arrive: at a signed webhook, and at a mail server
// that is a process.
type codebox struct {
	phones *phonetest.Webhook
	mail   *mailtest.Server
}

// eachExampleWithCodes is eachExample for worlds that send codes.
func eachExampleWithCodes(t *testing.T, folder string, test func(t *testing.T, e example, box codebox)) {
	t.Helper()
	inSettings(t, folder, func(t *testing.T, s gatewaytest.Setting, packages string) {
		var world atomic.Pointer[gatewaytest.World] // nothing is sent before there is one
		box := codebox{mail: mailtest.StartProcess(t)}
		box.phones = phonetest.NewWebhook(t, func() time.Time { return world.Load().Clock.Now() })
		service := fmt.Sprintf("{driver: webhook, url: %q, secret: %q}", box.phones.URL, box.phones.Secret)
		e := secured(t, s, packages, fmt.Sprintf("delivery: {sms: %s, voice: %s, email: {driver: smtp, host: %s, port: %d, tls: none, from: no-reply@example.test}}",
			service, service, box.mail.Host, box.mail.Port))
		world.Store(e.world)
		test(t, e, box)
	})
}

var sixDigits = regexp.MustCompile(`(?m)^ *([0-9]{6})$`)

// mailed is the code of the latest of so many mails, which went to one mailbox.
func (b codebox) mailed(t *testing.T, n int, to string) string {
	t.Helper()
	m := b.mail.Wait(t, n)[n-1]
	found := sixDigits.FindStringSubmatch(m.Text)
	if found == nil || strings.Join(m.To, " ") != to || !strings.Contains(m.HTML, found[1]) {
		t.Fatalf("to %q: %s", m.To, m.Text)
	}
	return found[1]
}

// called is the code of the next text message or call, which went to one number.
func (b codebox) called(t *testing.T, channel, to string) string {
	t.Helper()
	m := b.phones.Next(t)
	if m.Channel != channel || m.To != to || m.Client != "web" || m.ExpiresIn != 300 || m.Language != "en" {
		t.Fatalf("%+v", m)
	}
	return m.Code
}

// sent is a login of an example that waits for a code.
type sent struct {
	example

	variables []string
	oobCode   string
}

// send plays a step of codes.mjs that has a code sent.
func (e example) send(t *testing.T, step, channel string, more ...string) (sent, map[string]any) {
	t.Helper()
	said := e.play(t, "codes.mjs "+step, append(more, "SALLYPORT_CHANNEL="+channel)...)
	code := text(t, said, "oobCode")
	return sent{e, []string{"SALLYPORT_MFA_TOKEN=" + text(t, said, "mfaToken"), "SALLYPORT_OOB_CODE=" + code}, code}, said
}

// refused sends a code, and wants this answer.
func (s sent) refused(t *testing.T, code string, status float64, kind, description string) {
	t.Helper()
	exactly(t, s.play(t, "codes.mjs verify", append(s.variables, "SALLYPORT_CODE="+code)...),
		map[string]any{"status": status, "error": kind, "description": description})
}

// tokens sends a code and wants tokens of a user, for a login that was proved like this.
func (s sent) tokens(t *testing.T, code, subject, acr string, amr ...any) {
	t.Helper()
	said := s.play(t, "codes.mjs verify", append(s.variables, "SALLYPORT_CODE="+code)...)
	who := map[string]any{"iss": s.world.URL, "aud": "web", "sub": subject, "amr": append([]any{"pwd"}, amr...),
		"name": something, "preferred_username": strings.TrimPrefix(subject, "auth0|"), "updated_at": something,
		"iat": something, "exp": something, "auth_time": something, "sid": something, "at_hash": something}
	if acr != "" {
		who["acr"] = acr
	}
	exactly(t, said, map[string]any{"accessToken": something, "idToken": something, "tokenType": "bearer", "expiresAt": something,
		"scope": "openid profile", "claims": who})
}

// something stands for a value that is made anew each time.
const something = "<something>"

// exactly wants all these members, and no others.
func exactly(t *testing.T, got, want map[string]any) {
	t.Helper()
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("%v, want %v", got, want)
	}
	for name, value := range want {
		switch inner, deeper := value.(map[string]any); {
		case deeper:
			member, _ := got[name].(map[string]any)
			exactly(t, member, inner)
		case value == something && got[name] != nil && got[name] != "":
		case !reflect.DeepEqual(got[name], value):
			t.Errorf("%s: %v, want %v", name, got[name], value)
		}
	}
}

// another is a code that is wrong.
func another(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// Checks A3 and A4 with the official client for Node, by telephone: a wrong code, then the
// right one; text messages and calls to one number; each code once, and the latest alone.
func TestOfficialNodeClientTextMessages(t *testing.T) {
	eachExampleWithCodes(t, "auth-js", func(t *testing.T, e example, box codebox) {
		const number, masked, alice = "+4915112345678", "XXXXXXXXX5678", "auth0|alice"
		first, _ := e.send(t, "enroll", "sms", "SALLYPORT_PHONE_NUMBER=+49 1511 2345678")
		code := box.called(t, "sms", number)
		first.refused(t, another(code), 403, "invalid_grant", wrongBindingCode)
		first.tokens(t, code, alice, record.MultiFactor, "sms", "mfa")
		first.refused(t, code, 403, "invalid_grant", "Malformed mfa_token")

		login, said := e.send(t, "challenge", "sms")
		exactRows(t, said, row("recovery-code", "recovery-code", ""), row("sms", "oob", masked), row("voice", "oob", masked), row("email", "oob", maskedMailbox))
		code = box.called(t, "sms", number)
		stray := login
		stray.variables = append(slices.Clone(login.variables), "SALLYPORT_OOB_CODE="+first.oobCode)
		stray.refused(t, code, 400, "invalid_request", "The oob_code doesn't match the mfa_token")
		newer, _ := e.send(t, "challenge", "sms")
		latest := box.called(t, "sms", number)
		login.refused(t, code, 403, "invalid_grant", wrongBindingCode)
		if code != latest {
			newer.refused(t, code, 403, "invalid_grant", wrongBindingCode)
		}
		newer.tokens(t, latest, alice, record.MultiFactor, "sms", "mfa")
		newer.refused(t, latest, 403, "invalid_grant", "Malformed mfa_token")

		login, _ = e.send(t, "challenge", "voice")
		code = box.called(t, "voice", number)
		login.tokens(t, code, alice, record.MultiFactor, "tel", "mfa")

		login, _ = e.send(t, "challenge", "sms")
		code = box.called(t, "sms", number)
		e.world.Clock.Wind(5*time.Minute + time.Second)
		login.refused(t, code, 401, "expired_token", "oob_code is expired")
	})
}

// Check A3 with the official client for Node, by mail: with the address and without, and
// with somebody else's.
func TestOfficialNodeClientMail(t *testing.T) {
	eachExampleWithCodes(t, "auth-js", func(t *testing.T, e example, box codebox) {
		bob := []string{"SALLYPORT_USERNAME=bob", "SALLYPORT_PASSWORD=bob's imported password"}
		said := e.play(t, "codes.mjs enroll", "SALLYPORT_CHANNEL=email", "SALLYPORT_EMAIL=mallory@example.test")
		exactly(t, said, map[string]any{"status": 403.0, "error": "access_denied",
			"description": "Only the verified email address of the user can be enrolled with this token."})
		mails := 0
		for _, c := range []struct {
			name, mailbox string
			who, named    []string
		}{
			{"auth0|alice", "alice@example.test", nil, nil},
			{"auth0|bob", "bob@example.test", bob, []string{"SALLYPORT_EMAIL=Bob@example.test"}},
		} {
			own := e
			own.env = append(slices.Clone(e.env), c.who...)
			login, _ := own.send(t, "enroll", "email", c.named...)
			mails++
			code := box.mailed(t, mails, c.mailbox)
			login.refused(t, another(code), 403, "invalid_grant", wrongBindingCode)
			login.tokens(t, code, c.name, "", "email")
			mails++ // the notice of it
			box.mail.Wait(t, mails)

			login, said := own.send(t, "challenge", "email")
			exactRows(t, said, row("email", "oob", maskedMailbox), row("recovery-code", "recovery-code", ""))
			mails++
			login.tokens(t, box.mailed(t, mails, c.mailbox), c.name, "", "email")
		}
	})
}

// exactRows wants these rows in a list, in order, with ids of their kinds.
func exactRows(t *testing.T, said map[string]any, want ...map[string]any) {
	t.Helper()
	rows, _ := said["rows"].([]any)
	if len(rows) != len(want) {
		t.Fatalf("%d rows: %v", len(rows), rows)
	}
	for i := range want {
		got, _ := rows[i].(map[string]any)
		id, _ := got["id"].(string)
		prefix, _, _ := strings.Cut(id, "|")
		got["id"] = prefix
		exactly(t, got, want[i])
	}
}

// row is what the library makes of an authenticator that is listed.
func row(prefix, kind, name string) map[string]any {
	r := map[string]any{"id": prefix, "authenticatorType": kind, "active": true, "type": prefix}
	if name != "" {
		r["name"] = name
	}
	if prefix == "sms" || prefix == "voice" {
		r["type"] = "phone"
	}
	return r
}
