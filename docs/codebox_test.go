package docs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/email/mailtest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
)

// A codebox is where the codes of a chapter arrive: at a signed webhook and at a mail server.
type codebox struct {
	service *phonetest.Webhook
	post    *mailtest.Server
	read    int // mails
}

// sending begins a conversation with a gateway that sends codes, as the lines of a block
// configure it.
func sending(t *testing.T, b block) *conversation {
	t.Helper()
	c := &conversation{codebox: &codebox{post: mailtest.Start(t, mailtest.Options{})}}
	c.service = phonetest.NewWebhook(t, func() time.Time { return c.Clock.Now() })
	c.known = map[string]string{"service": c.service.URL, "secret_of_service": c.service.Secret, "port": strconv.Itoa(int(c.post.Port))}
	lines := placeholder.ReplaceAllStringFunc(b.text, func(name string) string { return c.known[strings.Trim(name, "<>")] })
	c.World = gatewaytest.New(t, gatewaytest.SQLite(), strings.Split(lines, "\n")...)
	return c
}

// message compares the next message that the webhook got with a block, and learns its code.
func (c *conversation) message(t *testing.T, b block) {
	t.Helper()
	m := c.service.Next(t)
	got, err := json.Marshal(map[string]any{"channel": m.Channel, "to": m.To, "code": m.Code, "text": m.Text,
		"expires_in": m.ExpiresIn, "client_id": m.Client, "locale": m.Language})
	if err != nil {
		t.Fatal(err)
	}
	c.compare(t, fmt.Sprintf("protocol.md:%d", b.line), string(got), b.text)
}

// mail compares the next mail with a block, and learns its code.
func (c *conversation) mail(t *testing.T, b block) {
	t.Helper()
	c.read++
	m := c.post.Wait(t, c.read)[c.read-1]
	got := fmt.Sprintf("To: %s\nSubject: %s\n\n%s", strings.Join(m.To, ", "), m.Subject, strings.TrimSpace(m.Text))
	learned := map[string]string{}
	if difference := matchText(strings.TrimSpace(b.text), got, learned); difference != "" {
		t.Fatalf("protocol.md:%d: %s", b.line, difference)
	}
	maps.Copy(c.known, learned)
}
