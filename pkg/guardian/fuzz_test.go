package guardian

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzMembers: a body is one object with each member once, which JSON's own reader takes
// too, or it is refused.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":2}}`, `{"challenge_response":"a\/b"}`, `{"a":1e400}`, `[]`, `null`, `{`, `{}x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseMembers(body)
		if err != nil {
			return
		}
		var plain map[string]json.RawMessage
		if json.Unmarshal(body, &plain) != nil || !reflect.DeepEqual(map[string]json.RawMessage(m), plain) || len(body) > bodyLimit {
			t.Fatalf("%q", body)
		}
		for name := range m {
			text, ok := m.text(name)
			_, number := m.number(name)
			_, boolean := m.boolean(name)
			_, object := m.object(name)
			if ok && (number || boolean || object) || number && (boolean || object) || !m.has(name) && (ok || number || boolean || object) {
				t.Fatalf("%q is several things: %q", name, text)
			}
		}
	})
}

// FuzzTicket: a ticket comes out as it stood there, without quotes and spaces.
func FuzzTicket(f *testing.F) {
	for _, seed := range []string{`Ticket id="Kq3vT0mZ8cXyB1nR5sWd2fGh7jLp9aQe"`, `ticket ID=abc`, `Ticket id=""`, `Ticket id="`, `Bearer id=a`, `Ticket id="a"b"`, `Ticket id="a", id="b"`, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		ticket, err := parseTicket([]string{header})
		if err != nil {
			return
		}
		if text := ticket.Reveal(); text == "" || strings.ContainsAny(text, "\" \t,") || !strings.Contains(header, text) {
			t.Fatalf("%q from %q", text, header)
		}
	})
}

// FuzzApp: what the record says of an app is short, and nothing but text.
func FuzzApp(f *testing.F) {
	for _, seed := range []string{"eyJuYW1lIjoiR3VhcmRpYW4uQW5kcm9pZCIsInZlcnNpb24iOiIwLjEwLjIiLCJlbnYiOnsiYXBwTmFtZSI6IkFjbWUiLCJhcHBWZXJzaW9uIjoiMyJ9fQ",
		"eyJuYW1lIjoiR3VhcmRpYW4uc3dpZnQiLCJ2ZXJzaW9uIjoiMS45LjIifQ==", "eyJuYW1lIjoiYVxuYiJ9", "e30", "%", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		name := appName(header)
		if !utf8.ValidString(name) || utf8.RuneCountInString(name) > textLimit || strings.ContainsFunc(name, unicode.IsControl) {
			t.Fatalf("%q from %q", name, header)
		}
	})
}

// FuzzFolded: folding twice changes nothing more, and two hosts never become one.
func FuzzFolded(f *testing.F) {
	for _, seed := range []string{"https://gw.example.com", "HTTPS://GW.example.com:443/a", "http://gw.example.com:80/", "https://a@gw.example.com", "https://[::1]:443/x", "https://gw.example.com/%2e%2E", "gw", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := folded(text)
		if folded(once) != once {
			t.Fatalf("%q, then %q", once, folded(once))
		}
		const ours = "https://gw.example.com/api/resolve-transaction"
		if once == ours && !strings.EqualFold(strings.Replace(text, ":443", "", 1), ours) {
			t.Fatalf("%q is ours", text)
		}
	})
}
