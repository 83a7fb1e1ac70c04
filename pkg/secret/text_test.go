package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/secret"
)

const hidden = "correct-horse-battery"

// holder is how secrets usually travel: inside something else.
type holder struct {
	Name   string
	Secret secret.Text
	inner  secret.Text // fmt cannot call methods on it
}

// leaks reports whether a text shows the secret in some spelling.
func leaks(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, hidden) || strings.Contains(text, fmt.Sprintf("%x", hidden)) ||
		strings.Contains(text, fmt.Sprintf("% x", hidden)) || strings.Contains(text, strings.Trim(fmt.Sprint([]byte(hidden)), "[]"))
}

// TestTextDoesNotPrint: no verb, no logger and no encoder writes a secret (R19).
func TestTextDoesNotPrint(t *testing.T) {
	s := secret.New(hidden)
	h := holder{"mira", s, s}
	for _, v := range []any{
		s, &s, h, &h, []secret.Text{s}, [1]secret.Text{s}, map[string]secret.Text{"k": s}, []holder{h}, map[string]holder{"k": h},
		struct{ inner holder }{h}, struct{ any }{s}, fmt.Errorf("wrapped: %v", h), any(h),
	} {
		for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "t", "p", "T", "U", "c", "e"} {
			if said := fmt.Sprintf("%"+verb, v); leaks(said) {
				t.Errorf("%%%s of a %T: %s", verb, v, said)
			}
		}
		var log bytes.Buffer
		for _, l := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(l).With("with", v).Info("message", "value", v, slog.Group("group", "value", v))
		}
		if leaks(log.String()) {
			t.Errorf("slog of a %T: %s", v, &log)
		}
		if text, err := json.Marshal(v); err != nil || leaks(string(text)) {
			t.Errorf("JSON of a %T: %s, %v", v, text, err)
		}
	}
	if text, err := xml.Marshal(h); err != nil || leaks(string(text)) {
		t.Errorf("XML: %s, %v", text, err)
	}
	if got := s.String(); got != "[redacted]" || s.LogValue().String() != got || fmt.Sprint(s) != got {
		t.Errorf("instead of the secret stands %q", got)
	}
}

// TestTextInJSON: there is one word for every secret, empty or not.
func TestTextInJSON(t *testing.T) {
	for _, s := range []secret.Text{secret.New(hidden), {}} {
		text, err := json.Marshal(struct{ Secret secret.Text }{s})
		if want := `{"Secret":"[redacted]"}`; err != nil || string(text) != want {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
	}
}

func TestText(t *testing.T) {
	s := secret.New(hidden)
	if s.Reveal() != hidden || s.Empty() {
		t.Error("the secret is lost")
	}
	for _, empty := range []secret.Text{{}, secret.New("")} {
		if empty.Reveal() != "" || !empty.Empty() || !empty.Equal(secret.Text{}) || s.Equal(empty) || empty.Equal(s) {
			t.Error("an empty secret is not empty")
		}
	}
	for other, want := range map[string]bool{hidden: true, hidden[1:]: false, hidden + " ": false, strings.ToUpper(hidden): false} {
		if got := s.Equal(secret.New(other)); got != want {
			t.Errorf("equal to %q: %t", other, got)
		}
	}
}

// TestHash has the SHA-256 of FIPS 180-2, appendix B.1.
func TestHash(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := secret.Hash(secret.New("abc")); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
