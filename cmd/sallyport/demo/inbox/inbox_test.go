package inbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A desk is an inbox, its clock, and a gateway that writes to it.
type desk struct {
	*Inbox
	t    *testing.T
	http http.Client // of its own: the inbox before may have had the same port
	now  time.Time
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, http: http.Client{Transport: &http.Transport{}}, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	var err error
	if d.Inbox, err = Open(t.Context(), func() time.Time { return d.now }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.http.CloseIdleConnections()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// get asks for a path and returns the answer, read.
func (d *desk) get(path string, headers ...string) (*http.Response, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.URL+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.ask(r, headers...)
}

func (d *desk) ask(r *http.Request, headers ...string) (*http.Response, string) {
	d.t.Helper()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Host = r.Header.Get("Host")
	answer, err := d.http.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer, string(body)
}

// all is what the inbox keeps.
func (d *desk) all() []Message {
	messages, _, _ := d.after(0)
	return messages
}

// A name that leads to this machine is not this machine: DNS rebinding.
func TestHost(t *testing.T) {
	d := open(t)
	d.post(d.webhook())
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(d.URL, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"127.0.0.1:" + port: http.StatusOK, "localhost:" + port: http.StatusOK, "LOCALHOST": http.StatusOK, "[::1]:" + port: http.StatusOK,
		"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1.evil.example:" + port: 421, "localhost.evil.example": 421,
		"192.0.2.1:" + port: 421, "0.0.0.0:" + port: 421,
	} {
		for _, path := range []string{"", "latest/sms", "script.js"} {
			answer, body := d.get(path, "Host", host)
			if answer.StatusCode != want || want != http.StatusOK && strings.Contains(body, "482915") {
				t.Errorf("/%s of %s: %d, want %d", path, host, answer.StatusCode, want)
			}
		}
	}
	request := d.webhook()
	request.headers = append(request.headers, "Webhook-Id", "msg_2", "Host", "evil.example")
	if got := d.post(request); got != http.StatusMisdirectedRequest || len(d.all()) != 1 {
		t.Errorf("a webhook for another host: %d, %d kept", got, len(d.all()))
	}
}

func TestPage(t *testing.T) {
	d := open(t)
	for path, want := range map[string]struct {
		kind string
		text string
	}{
		"":          {"text/html", "<h1>Inbox</h1>"},
		"style.css": {"text/css", "prefers-reduced-motion"},
		"script.js": {"text/javascript", "textContent"},
		"icon.svg":  {"image/svg+xml", "<svg"},
	} {
		answer, body := d.get(path)
		if !strings.HasPrefix(answer.Header.Get("Content-Type"), want.kind) || !strings.Contains(body, want.text) {
			t.Errorf("/%s: %s\n%s", path, answer.Header.Get("Content-Type"), body)
		}
		for _, rule := range []string{"default-src 'none'; script-src 'self'; style-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(answer.Header.Get("Content-Security-Policy"), rule) {
				t.Errorf("/%s: the policy does not say %s", path, rule)
			}
		}
		// Nothing of it is loaded from elsewhere, and nothing becomes markup.
		for _, word := range []string{"://", "innerHTML", "insertAdjacentHTML", "document.write", " style=", "onclick="} {
			if strings.Contains(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), word) {
				t.Errorf("/%s has %q", path, word)
			}
		}
	}
	for _, path := range []string{"page/", "index.html", "inbox.go", "latest/", "latest/sms", "mails/x", "webhook"} {
		if answer, _ := d.get(path); answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("/%s: %d", path, answer.StatusCode)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := d.ask(r); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a POST of the page: %d", answer.StatusCode)
	}
}

// A page gets what is kept, and then what arrives. No text ends an event early, and none
// is markup before the page made it text.
func TestEvents(t *testing.T) {
	d := open(t)
	next := d.watch()
	if name, messages := next(); name != "kept" || messages == nil || len(messages) != 0 {
		t.Errorf("an empty inbox: %s %v", name, messages)
	}
	hostile := "<script>alert(1)</script>\n\nevent: kept\ndata: []\n\n\u2028\x00"
	request := d.webhook()
	request.members["text"], request.members["to"] = hostile, "<b>"
	d.post(request)
	if name, messages := next(); name != "arrived" || len(messages) != 1 || messages[0].Text != hostile || messages[0].To != "<b>" {
		t.Errorf("%s %+v", name, messages)
	}
	if name, messages := d.watch()(); name != "kept" || len(messages) != 1 {
		t.Errorf("another page: %s %+v", name, messages)
	}
}

// watch opens a page and returns its next event.
func (d *desk) watch() func() (name string, messages []Message) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := d.http.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { cancel(); _ = answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (name string, messages []Message) {
		d.t.Helper()
		var event [3]string
		for i := range event {
			if !lines.Scan() {
				d.t.Fatal("the events ended", lines.Err())
			}
			event[i] = lines.Text()
		}
		if strings.ContainsAny(event[1], "<>\u2028") || event[2] != "" {
			d.t.Errorf("an event is %q", event)
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event[1], "data: ")), &messages); err != nil {
			d.t.Fatal(err)
		}
		return strings.TrimPrefix(event[0], "event: "), messages
	}
}

// A page that is open misses nothing, and does not get what is there no more.
func TestKeepsTheLatest(t *testing.T) {
	d := open(t)
	for i := range most + 7 {
		d.keep(Message{ID: fmt.Sprint(i), Channel: SMS, Code: fmt.Sprint(i)})
	}
	for n, want := range map[int]int{0: most, 3: most, 7: most, 8: most - 1, most + 6: 1, most + 7: 0} {
		messages, all, _ := d.after(n)
		if len(messages) != want || all != most+7 || want > 0 && messages[want-1].ID != fmt.Sprint(most+6) {
			t.Errorf("after %d of %d: %d, want %d", n, all, len(messages), want)
		}
	}
}

func TestLatest(t *testing.T) {
	d := open(t)
	for _, m := range []Message{
		{ID: "1", Channel: SMS, To: "+1", Code: "111111"}, {ID: "2", Channel: SMS, To: "+2", Code: "222222"},
		{ID: "3", Channel: Voice, To: "+2", Code: "333333"}, {ID: "4", Channel: SMS, To: "+2", Text: "no code"},
	} {
		d.keep(m)
	}
	answer, body := d.get("latest/sms")
	var m Message
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.Code != "222222" || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", err, body)
	}
	if answer, _ := d.get("latest/email"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a channel without messages: %d", answer.StatusCode)
	}
}

// When its port is taken, it takes another one; when it ended, nothing of it listens.
func TestTwoInboxes(t *testing.T) {
	first, second := open(t), open(t)
	if first.URL == second.URL || first.Mail == second.Mail || first.Secret().Equal(second.Secret()) {
		t.Errorf("both are at %s and %s", first.URL, first.Mail)
	}
	ended, err := Open(t.Context(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := ended.Close(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{strings.Trim(strings.TrimPrefix(ended.URL, "http:"), "/"), ended.Mail} {
		var dialer net.Dialer
		if c, err := dialer.DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("something listens on %s", address)
			_ = c.Close()
		} else if op := (*net.OpError)(nil); !errors.As(err, &op) {
			t.Error(err)
		}
	}
}
