package inbox

import (
	"errors"
	"net/http"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
)

const plainMail = `From: Sallyport <no-reply@demo.test>
To: ada@demo.test
Subject: =?utf-8?q?A_c=C3=B6de?=

Your code is

    021589

and nobody else's.
`

const dressedMail = `Subject: Hello
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

It is 123456, f=C3=BCr a=
ll.
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PGgxPkhlbGxvPC9oMT48c2NyaXB0
PmFsZXJ0KDEpPC9zY3JpcHQ+
--inner--
--outer
Content-Type: text/plain
Content-Disposition: attachment

an attachment
--outer--
`

// send sends a mail the way that net/smtp does.
func (d *desk) send(text string, to ...string) error {
	return smtp.SendMail(d.Mail, nil, "no-reply@demo.test", to, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
}

func TestMail(t *testing.T) {
	d := open(t)
	if err := d.send(plainMail, "ada@demo.test", "bob@demo.test"); err != nil {
		t.Fatal(err)
	}
	got := d.all()
	if len(got) != 2 || got[0].ID == got[1].ID || got[1].To != "bob@demo.test" {
		t.Fatalf("kept %+v", got)
	}
	want := Message{
		ID: got[0].ID, Channel: Email, To: "ada@demo.test", At: d.now, Subject: "A cöde", Code: "021589",
		Text: "Your code is\n\n    021589\n\nand nobody else's.",
	}
	if got[0] != want {
		t.Errorf("kept %+v", got[0])
	}
}

// Who wrote the HTML may have written anything: it is shown without scripts, origin, and
// what it would load.
func TestMailWithHTML(t *testing.T) {
	d := open(t)
	if err := d.send(dressedMail, "ada@demo.test"); err != nil {
		t.Fatal(err)
	}
	got := d.all()
	if len(got) != 1 || got[0].Text != "It is 123456, für all." || got[0].Code != "" || !got[0].HTML {
		t.Fatalf("kept %+v", got)
	}
	answer, body := d.get("mails/" + got[0].ID)
	if body != "<h1>Hello</h1><script>alert(1)</script>" || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%v %s", answer.Header, body)
	}
	policy := answer.Header.Values("Content-Security-Policy")
	if len(policy) != 1 || !strings.HasPrefix(policy[0], "sandbox; default-src 'none';") || strings.Contains(policy[0], "script-src") || strings.Contains(policy[0], "allow-") {
		t.Errorf("the policy is %q", policy)
	}
	if _, events := d.watch()(); len(events) != 1 || events[0].markup != "" {
		t.Errorf("the page got %+v", events)
	}
	if answer, _ := d.get("mails/x"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("no mail: %d", answer.StatusCode)
	}
}

func TestMailThatIsNone(t *testing.T) {
	d := open(t)
	parts := "Content-Type: multipart/mixed; boundary=b%\n\n--b%\n"
	nested := ""
	for i := range depth + 1 {
		nested += strings.ReplaceAll(parts, "%", string(rune('a'+i)))
	}
	for name, text := range map[string]string{
		"no header": "\x00\n", "no boundary": "Content-Type: multipart/mixed\n\n--\nx\n",
		"no such encoding": "Content-Transfer-Encoding: base64\n\n====", "parts in parts": nested + "\nx\n",
		"too long": plainMail + strings.Repeat("x\n", mailLimit),
	} {
		var refused *textproto.Error
		if err := d.send(text, "ada@demo.test"); !errors.As(err, &refused) || refused.Code < 500 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := d.all(); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
}

// FuzzMail: no mail brings the inbox down, and what it keeps is text.
func FuzzMail(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := readMail(strings.NewReader(string(text)))
		if err == nil && (m.Channel != Email || m.HTML != (m.markup != "") || strings.ToValidUTF8(m.Text, "") != m.Text) {
			t.Errorf("%q: %+v", text, m)
		}
	})
}
