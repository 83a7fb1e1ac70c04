package strict_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/secret"
)

type section struct {
	URL     secret.Text   `yaml:"url" print:"url" doc:"A place."`
	Key     secret.Text   `yaml:"key" doc:"A key."`
	Word    string        `yaml:"word" default:"a: b" doc:"A | word."`
	Wait    time.Duration `yaml:"wait" default:"1h30m" doc:"A while."`
	Several []section     `yaml:"several" doc:"More."`
}

func decode(t *testing.T, text string) (*section, *strict.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, into := strict.New(path, func(string) (string, bool) { return "a\nb: {c", true }), &section{}
	if r.Decode(into) {
		r.Complete(into, nil)
	}
	return into, r
}

func TestPrintedURLsKeepTheirSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"redis://localhost:6379/0":                       "redis://localhost:6379/0",
		"redis://:s3cret@localhost":                      "redis://:redacted@localhost",
		"postgres://u:s3cret@h/d?sslmode=require":        "postgres://u:redacted@h/d?sslmode=require",
		"postgres://h/d?password=s3cret&sslmode=require": "postgres://h/d?password=redacted&sslmode=require",
		"https://h/send?key=s3cret#s3cret":               "https://h/send?key=redacted",
		"postgres://u:s3cret%zz@h/d":                     "[redacted]",
		"embedded:":                                      "embedded:",
		"sqlite:///var/lib/sallyport/sallyport.db":       "sqlite:///var/lib/sallyport/sallyport.db",
	} {
		var out strings.Builder
		if err := strict.Print(&out, &section{URL: secret.New(text), Key: secret.New("s3cret")}); err != nil {
			t.Fatal(err)
		}
		got, r := decode(t, out.String())
		if err := r.Err(); err != nil || got.URL.Reveal() != want || got.Key.Reveal() != "[redacted]" || strings.Contains(out.String(), "s3cret") {
			t.Errorf("%s is printed as %s (%v)", text, out.String(), err)
		}
	}
}

func TestVariablesStayText(t *testing.T) {
	got, r := decode(t, "word: x${ANY}y\nseveral: [{}, {word: $2a$10$x}]\n")
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if got.Word != "xa\nb: {cy" || got.Several[1].Word != "$2a$10$x" || got.Several[0].Word != "a: b" || got.Wait != 90*time.Minute {
		t.Errorf("%+v", got)
	}
}

func TestProblemsAreOneLineEach(t *testing.T) {
	_, r := decode(t, "\"a\\nb\\e[31m\": 1\n? [x, y]\n: 1\n\"\": 2\n")
	problems := r.Problems()
	if len(problems) != 3 || strings.Count(r.Err().Error(), "\n") != 2 || strings.Contains(r.Err().Error(), "\x1b") {
		t.Errorf("problems:\n%v", r.Err())
	}
}

func TestNothingIsSaidTwice(t *testing.T) {
	_, r := decode(t, "wait: soon\nseveral:\n  - key: [a]\n")
	r.Object("wait", "is too short")
	r.Object("several[0]", "lacks a key")
	r.Object("several[1]", "is the second")
	if got := r.Problems(); len(got) != 3 || got[1].Path != "several[1]" || got[1].Line != 2 {
		t.Errorf("problems:\n%v", r.Err())
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 10 * time.Minute: "10m", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 10 * time.Second: "10s",
	} {
		if got := strict.Short(d); got != want {
			t.Errorf("Short(%d) = %s, want %s", d, got, want)
		}
	}
}
