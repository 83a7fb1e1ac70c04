package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
)

func ring(t testing.TB) *secret.Ring {
	t.Helper()
	r, err := secret.NewRing(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t testing.TB, r *secret.Ring, purpose, row, text string) string {
	t.Helper()
	sealed, err := r.Seal(purpose, row, secret.New(text))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealAndOpen(t *testing.T) {
	r := ring(t)
	for _, text := range []string{"", "x", hidden, "\x00\xff", strings.Repeat("é", 10_000)} {
		sealed := seal(t, r, "seed", "totp|dev_1", text)
		if got, err := r.Open("seed", "totp|dev_1", sealed); err != nil || got.Reveal() != text {
			t.Errorf("%d bytes do not open: %v", len(text), err)
		}
		if len(text) > 1 && strings.Contains(sealed, text) || leaks(sealed) {
			t.Errorf("%q shows the secret", sealed)
		}
		if again := seal(t, r, "seed", "totp|dev_1", text); again == sealed {
			t.Error("the same secret is sealed the same way twice: whoever reads the store sees who shares one")
		}
	}
}

// TestSealedHasOnePlace: a sealed secret opens in its own row, for its own purpose and
// with its own ring alone (N-OT-3).
func TestSealedHasOnePlace(t *testing.T) {
	mine, other := ring(t), ring(t)
	sealed := seal(t, mine, "seed", "totp|dev_1", hidden)
	for name, open := range map[string]func() (secret.Text, error){
		"row":                  func() (secret.Text, error) { return mine.Open("seed", "totp|dev_2", sealed) },
		"no row":               func() (secret.Text, error) { return mine.Open("seed", "", sealed) },
		"purpose":              func() (secret.Text, error) { return mine.Open("signing key", "totp|dev_1", sealed) },
		"row for purpose":      func() (secret.Text, error) { return mine.Open("totp|dev_1", "seed", sealed) },
		"purpose with row":     func() (secret.Text, error) { return mine.Open("seed totp|dev_1", "", sealed) },
		"ring":                 func() (secret.Text, error) { return other.Open("seed", "totp|dev_1", sealed) },
		"version":              func() (secret.Text, error) { return mine.Open("seed", "totp|dev_1", "v2"+sealed[2:]) },
		"nothing":              func() (secret.Text, error) { return mine.Open("seed", "totp|dev_1", "") },
		"never sealed":         func() (secret.Text, error) { return mine.Open("seed", "totp|dev_1", hidden) },
		"two put together":     func() (secret.Text, error) { return mine.Open("seed", "totp|dev_1", sealed+sealed) },
		"key of one, id other": func() (secret.Text, error) { return other.Open("seed", "totp|dev_1", renamed(t, sealed, other)) },
	} {
		got, err := open()
		if err == nil || !got.Empty() {
			t.Errorf("another %s: it opened", name)
			continue
		}
		if leaks(err.Error()) || strings.Contains(err.Error(), sealed) {
			t.Errorf("another %s: the error tells too much: %v", name, err)
		}
	}
}

// renamed is a sealed text that claims the key of another ring.
func renamed(t *testing.T, sealed string, r *secret.Ring) string {
	t.Helper()
	parts := strings.Split(seal(t, r, "p", "r", "x"), ".")
	claim := strings.Split(sealed, ".")
	return strings.Join([]string{claim[0], parts[1], claim[2]}, ".")
}

// TestTamperedSeal changes, drops and doubles every byte.
func TestTamperedSeal(t *testing.T) {
	r := ring(t)
	sealed := seal(t, r, "seed", "row", hidden)
	head, body, _ := strings.Cut(sealed[3:], ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	opens := func(raw []byte) bool {
		_, err := r.Open("seed", "row", "v1."+head+"."+base64.RawURLEncoding.EncodeToString(raw))
		return err == nil
	}
	if !opens(raw) {
		t.Fatal("it does not open before it was tampered with")
	}
	for i := range raw {
		for bit := range 8 {
			changed := append([]byte(nil), raw...)
			changed[i] ^= 1 << bit
			if opens(changed) {
				t.Errorf("byte %d, bit %d: it opens changed", i, bit)
			}
		}
		if opens(raw[:i]) || opens(raw[i+1:]) {
			t.Errorf("byte %d: it opens cut off there", i)
		}
	}
	if opens(append(raw, 0)) {
		t.Error("it opens with a byte behind it")
	}
}

func mac(t testing.TB, r *secret.Ring, purpose string, parts ...string) string {
	t.Helper()
	m, err := r.MAC(purpose, parts...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMAC: a MAC holds for its purpose and its parts as they were divided.
func TestMAC(t *testing.T) {
	r, other := ring(t), ring(t)
	made := mac(t, r, "binding code", "ab", "c")
	if !r.CheckMAC(made, "binding code", "ab", "c") || made != mac(t, r, "binding code", "ab", "c") {
		t.Error("it does not hold")
	}
	for _, parts := range [][]string{
		{"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"", "ab", "c"}, {"c", "ab"}, {"ab"}, {"ab1:c"}, {"2:ab1:c"}, {"ab", "C"}, nil,
	} {
		if r.CheckMAC(made, "binding code", parts...) {
			t.Errorf("it holds for %q as well", parts)
		}
	}
	if r.CheckMAC(made, "mfa_token", "ab", "c") || r.CheckMAC(made, "", "ab", "c") {
		t.Error("it holds for another purpose")
	}
	if !r.Holds(made) || other.Holds(made) || r.Holds("") {
		t.Error("whose key made a MAC")
	}
	if other.CheckMAC(made, "binding code", "ab", "c") {
		t.Error("it holds in another ring")
	}
	id, _, _ := strings.Cut(made, ".")
	for _, wrong := range []string{"", ".", id, id + ".", made + "A", made + "\n", made[:len(made)-1], strings.ToUpper(made), made + "." + made} {
		if r.CheckMAC(wrong, "binding code", "ab", "c") {
			t.Errorf("%q holds", wrong)
		}
	}
	for i := range made {
		changed := []byte(made)
		changed[i] ^= 1
		if r.CheckMAC(string(changed), "binding code", "ab", "c") {
			t.Errorf("it holds with byte %d changed", i)
		}
	}
}

// TestSealIsNoMAC: what is derived for one use is nothing for the other.
func TestSealIsNoMAC(t *testing.T) {
	r := ring(t)
	if _, err := r.Open("p", "r", "v1."+mac(t, r, "p", "r")); err == nil {
		t.Error("a MAC opens")
	}
	if sealed := seal(t, r, "p", "r", "r"); r.CheckMAC(sealed[3:], "p", "r") {
		t.Error("a sealed text holds as a MAC")
	}
}

func TestRingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	r := ring(t)
	sealed, made := seal(t, r, "seed", "row", hidden), mac(t, r, "p", "x")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Stat(path); err != nil || stat.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want -rw-------", stat.Mode(), err)
	}
	loaded, err := secret.LoadRing(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := loaded.Open("seed", "row", sealed); err != nil || got.Reveal() != hidden || !loaded.CheckMAC(made, "p", "x") {
		t.Errorf("the ring that was read is not the one that was written: %v", err)
	}
	if got, err := r.Open("seed", "row", seal(t, loaded, "seed", "row", "new")); err != nil || got.Reveal() != "new" {
		t.Errorf("nor the other way round: %v", err)
	}
}

// TestRingDoesNotPrint: a ring in a log would be every secret in it.
func TestRingDoesNotPrint(t *testing.T) {
	r := ring(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		if said := fmt.Sprintf(verb, r); said != "[redacted]" {
			t.Errorf("%s: %s", verb, said)
		}
	}
	for _, holder := range []any{struct{ Ring *secret.Ring }{r}, struct{ ring *secret.Ring }{r}} {
		if said := fmt.Sprintf("%+v", holder); strings.Contains(said, "[{") {
			t.Errorf("inside a %T: %s", holder, said)
		}
	}
	if text, err := json.Marshal([]any{r}); err != nil || string(text) != "[{}]" {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

// TestSaveNeverOverwrites: losing a ring loses every sealed secret.
func TestSaveNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.json")
	if err := ring(t).Save(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring(t).Save(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("saved over a ring: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file changed, %v", err)
	}
	if err := ring(t).Save(filepath.Join(t.TempDir(), "missing", "ring.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saved into a folder that is not there: %v", err)
	}
}

// TestChangedRing: the first key seals, every key opens.
func TestChangedRing(t *testing.T) {
	old, fresh := ring(t), ring(t)
	both := filepath.Join(t.TempDir(), "both.json")
	if err := os.WriteFile(both, []byte(`{"keys":[`+key(t, fresh)+`,`+key(t, old)+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := secret.LoadRing(both)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := changed.Open("seed", "row", seal(t, old, "seed", "row", hidden)); err != nil || got.Reveal() != hidden {
		t.Errorf("what the old key sealed: %v", err)
	}
	if !changed.CheckMAC(mac(t, old, "p", "x"), "p", "x") {
		t.Error("a MAC of the old key does not hold")
	}
	sealed := seal(t, changed, "seed", "row", hidden)
	if _, err := fresh.Open("seed", "row", sealed); err != nil {
		t.Errorf("it was not sealed with the first key: %v", err)
	}
	if _, err := old.Open("seed", "row", sealed); err == nil {
		t.Error("the old key opens what the new one sealed")
	}
}

// key is the one key of a ring, as it stands in the file.
func key(t *testing.T, r *secret.Ring) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "one.json")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "[")
	return rest[:strings.LastIndex(rest, "]")]
}

// TestDamagedRing: a file that is no whole ring stops the start, and its keys are not
// told.
func TestDamagedRing(t *testing.T) {
	const whole = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa="
	for name, text := range map[string]string{
		"empty":           "",
		"no JSON":         "key: " + whole,
		"no object":       `["` + whole + `"]`,
		"cut off":         `{"keys":[{"id":"a","key":"` + whole[:20],
		"nothing in it":   `{}`,
		"no keys":         `{"keys":[]}`,
		"null":            `null`,
		"short key":       `{"keys":[{"id":"a","key":"` + whole[4:] + `"}]}`,
		"long key":        `{"keys":[{"id":"a","key":"aaaa` + whole + `"}]}`,
		"no key":          `{"keys":[{"id":"a"}]}`,
		"key not base64":  `{"keys":[{"id":"a","key":"!` + whole[1:] + `"}]}`,
		"no id":           `{"keys":[{"key":"` + whole + `"}]}`,
		"id with a dot":   `{"keys":[{"id":"a.b","key":"` + whole + `"}]}`,
		"id twice":        `{"keys":[{"id":"a","key":"` + whole + `"},{"id":"a","key":"` + whole + `"}]}`,
		"second is short": `{"keys":[{"id":"a","key":"` + whole + `"},{"id":"b","key":""}]}`,
		"more behind it":  `{"keys":[{"id":"a","key":"` + whole + `"}]}{}`,
	} {
		path := filepath.Join(t.TempDir(), "ring.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := secret.LoadRing(path)
		if err == nil || r != nil {
			t.Errorf("%s: read as a ring", name)
			continue
		}
		if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "aaaaa") {
			t.Errorf("%s: %v, want the path and no key", name, err)
		}
	}
	if _, err := secret.LoadRing(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "ring.json")
	if err := os.WriteFile(path, []byte(`{"keys":[{"id":"a","key":"`+whole+`"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.LoadRing(path); err != nil {
		t.Errorf("the ring that the damaged ones were made of: %v", err)
	}
}

// FuzzOpen: nothing but what was sealed opens.
func FuzzOpen(f *testing.F) {
	r := ring(f)
	sealed := seal(f, r, "seed", "row", hidden)
	for _, s := range []string{sealed, sealed[:len(sealed)-1], "v1..", "v1.a.b", "", strings.ToUpper(sealed)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := r.Open("seed", "row", s); err == nil && got.Reveal() != hidden {
			t.Errorf("%q opens as something that was never sealed", s)
		}
	})
}
