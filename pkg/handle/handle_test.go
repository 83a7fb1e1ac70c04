package handle_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sallyport/sallyport/pkg/handle"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/secret"
)

const web, mobile = "web", "mobile"

var errDown = errors.New("down")

func maker(t testing.TB) *handle.Maker {
	t.Helper()
	ring, err := secret.NewRing(mfatest.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	return &handle.Maker{Kind: "mfa_token", Ring: ring, Random: mfatest.Random(t.Name())}
}

func made(t testing.TB, h *handle.Maker, client string, expires time.Time) (secret.Text, handle.Handle) {
	t.Helper()
	token, made, err := h.Make(client, expires)
	if err != nil {
		t.Fatal(err)
	}
	return token, made
}

func TestHandle(t *testing.T) {
	h, expires := maker(t), mfatest.Epoch.Add(10*time.Minute+123*time.Millisecond)
	token, own := made(t, h, web, expires)
	read, err := h.Read(token)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]handle.Handle{"made": own, "read": read} {
		if !got.ExpiresAt.Equal(expires) || got.ExpiresAt.Location() != time.UTC {
			t.Errorf("%s: expires at %v, want %v", name, got.ExpiresAt, expires)
		}
		if !got.For(web) || got.For(mobile) || got.For("") || got.For("WEB") {
			t.Errorf("%s: it is not the client's alone", name)
		}
		if got.ID != own.ID || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(got.ID) {
			t.Errorf("%s: id %q", name, got.ID)
		}
	}
	text := token.Reveal()
	if !regexp.MustCompile(`^[A-Za-z0-9._*-]+$`).MatchString(text) || len(text) > 200 {
		t.Errorf("%q has characters that a header or a form would not carry", text)
	}
	if strings.Contains(text, own.ID) || strings.Contains(text, web+".") {
		t.Error("the token shows what the stores know it by")
	}
	if again, other := made(t, h, web, expires); again.Equal(token) || other.ID == own.ID {
		t.Error("two tokens are the same")
	}
}

// TestR23HandleTampered: a token with any byte changed, dropped or added is nobody's.
func TestR23HandleTampered(t *testing.T) {
	h := maker(t)
	token, _ := made(t, h, web, mfatest.Epoch)
	text := token.Reveal()
	malformed := func(name, s string) {
		t.Helper()
		if got, err := h.Read(secret.New(s)); !errors.Is(err, handle.ErrMalformed) || got.ID != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range len(text) {
		for _, b := range []byte("A_.\x00\xff") {
			if text[i] != b {
				malformed("a byte changed", text[:i]+string([]byte{b})+text[i+1:])
			}
			malformed("a byte added", text[:i]+string([]byte{b})+text[i:])
		}
		malformed("a bit changed", text[:i]+string([]byte{text[i] ^ 1})+text[i+1:])
		malformed("cut off behind", text[:i])
		if i > 0 {
			malformed("cut off before", text[i:])
		}
	}
}

func TestHandleGarbage(t *testing.T) {
	h := maker(t)
	token, _ := made(t, h, web, mfatest.Epoch)
	foreign, _ := made(t, maker(t), web, mfatest.Epoch)
	body, mac, _ := strings.Cut(token.Reveal(), ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	// Bodies that this ring vouches for, for another purpose or of another length.
	vouched := func(purpose, body string) string {
		m, err := h.Ring.MAC(purpose, body)
		if err != nil {
			t.Fatal(err)
		}
		return body + "." + m
	}
	encoded := base64.RawURLEncoding.EncodeToString
	for name, text := range map[string]string{
		"empty":              "",
		"a dot":              ".",
		"dots":               "....",
		"body alone":         body,
		"mac alone":          "." + mac,
		"another ring":       foreign.Reveal(),
		"another purpose":    vouched("oob_code", body),
		"too short":          vouched("mfa_token", encoded(raw[1:])),
		"too long":           vouched("mfa_token", encoded(append(raw, 0))),
		"not base64":         vouched("mfa_token", "!"+body[1:]),
		"padded":             vouched("mfa_token", body+"="),
		"white space before": " " + token.Reveal(),
		"white space behind": token.Reveal() + "\n",
		"twice":              token.Reveal() + token.Reveal(),
		"Bearer":             "Bearer " + token.Reveal(),
		"access token":       "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJhdWQiOiJodHRwczovL2lkLmV4YW1wbGUuY29tL21mYS8ifQ.c2lnbmF0dXJl",
		"Auth0's":            "Fe26.2*SERVER_1*" + strings.Repeat("a", 64),
		"a megabyte":         strings.Repeat("a", 1<<20) + "." + mac,
		"not UTF-8":          "\xff\xfe." + mac,
	} {
		if got, err := h.Read(secret.New(text)); !errors.Is(err, handle.ErrMalformed) || got.ID != "" {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// TestHandleWithoutChance: no token is better than one that can be guessed.
func TestHandleWithoutChance(t *testing.T) {
	h := maker(t)
	h.Random = iotest.ErrReader(errDown)
	if token, _, err := h.Make(web, mfatest.Epoch); !errors.Is(err, errDown) || !token.Empty() {
		t.Errorf("%v, want the cause and no token", err)
	}
	h.Random = iotest.DataErrReader(strings.NewReader("short"))
	if token, _, err := h.Make(web, mfatest.Epoch); err == nil || !token.Empty() {
		t.Error("five bytes were enough")
	}
}

// FuzzHandle: of all texts only those that were made can be read.
func FuzzHandle(f *testing.F) {
	h := maker(f)
	token, own := made(f, h, web, mfatest.Epoch)
	for _, s := range []string{token.Reveal(), token.Reveal()[1:], "a.b.c", "", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := h.Read(secret.New(s))
		if s == token.Reveal() {
			if err != nil || got.ID != own.ID {
				t.Errorf("the token itself: %v", err)
			}
			return
		}
		if !errors.Is(err, handle.ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", s, err)
		}
	})
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	chance := mfatest.Random(t.Name())
	for range 1000 {
		id, err := handle.NewID("totp", chance)
		if err != nil || !regexp.MustCompile(`^totp\|dev_[A-Z0-9]{16}$`).MatchString(id) || seen[id] {
			t.Fatalf("%q, %v", id, err)
		}
		seen[id] = true
	}
	if id, err := handle.NewID("totp", iotest.ErrReader(errDown)); !errors.Is(err, errDown) || id != "" {
		t.Errorf("without chance: %q, %v", id, err)
	}
}
