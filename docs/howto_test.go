package docs_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tryPush: what howto/try-push.md has people type leads to a login that a phone approved.
func tryPush(t *testing.T, sallyport string) {
	page := strings.ReplaceAll(readPage(t, "docs/howto/try-push.md"), "\n   ", "\n")
	for _, port := range []string{"8080", "9090", "8977"} {
		page = strings.ReplaceAll(page, ":"+port, ":"+freePort(t))
	}
	desk := typist{folder: t.TempDir(), path: filepath.Dir(sallyport)}
	ready := map[string]string{"provider": "waits for pushes", "gateway": "serving"}
	typed, said := "set -e\n", ""
	for _, b := range blocks(page) {
		word, name, _ := strings.Cut(b.word, " ")
		switch {
		case word == "yaml":
			if err := os.WriteFile(filepath.Join(desk.folder, name), []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case name != "":
			said += desk.types(t, typed)
			typed = "set -e\n"
			desk.serves(t, b.text, ready[name])
		case word == "sh":
			typed += b.text
		}
	}
	said += desk.types(t, typed)
	if strings.Count(said, `"access_token":"`) != 2 || strings.Count(said, "approved the login of try|grace") != 1 {
		t.Errorf("the page leads to\n%s", said)
	}
}

// changeWords: what howto/change-the-words.md has people write is taken, what it says of a
// mistake is what the program says, and its keys are those that there are.
func changeWords(t *testing.T, sallyport string) {
	dir := firstConfiguration(t, sallyport)
	page := strings.ReplaceAll(readPage(t, "docs/howto/change-the-words.md"), "\n   ", "\n")
	desk := typist{folder: dir, path: filepath.Dir(sallyport)}
	if err := os.Mkdir(filepath.Join(dir, "texts"), 0o700); err != nil {
		t.Fatal(err)
	}
	mistake := ""
	for _, b := range blocks(page) {
		switch word, name, _ := strings.Cut(b.word, " "); word {
		case "yaml":
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(b.text); err != nil || f.Close() != nil {
				t.Fatal(err)
			}
		case "sh":
			desk.types(t, "export ALICE_PASSWORD='correct horse battery staple'\n"+b.text)
		case "text":
			mistake = b.text
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "texts/de.yaml"), []byte("sms.code: Hallo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := desk.command(t.Context(), "ALICE_PASSWORD=x sallyport config check").CombinedOutput()
	if err == nil || mistake == "" || !strings.Contains(string(said), ": "+mistake) {
		t.Errorf("of a mistake the program says %v\n%s", err, said)
	}
	_, table, _ := strings.Cut(page, "\n## The keys\n")
	var keys []string
	for _, found := range regexp.MustCompile("`((?:sms|voice|email|authenticator|notice)\\.[a-z_.-]+)`").FindAllStringSubmatch(table, -1) {
		if key := found[1]; strings.HasPrefix(key, "notice.") && key != "notice.object" {
			keys = append(keys, key+".subject", key+".text")
		} else {
			keys = append(keys, key)
		}
	}
	var want []string
	for _, found := range regexp.MustCompile(`(?m)^([a-z][a-z_.-]+): `).FindAllStringSubmatch(readPage(t, "pkg/mfa/oob/wording/texts/en.yaml"), -1) {
		want = append(want, found[1])
	}
	slices.Sort(keys)
	slices.Sort(want)
	if !slices.Equal(keys, want) {
		t.Errorf("the page has the keys %q, want %q", keys, want)
	}
}

// tryMessages: what howto/try-messages.md has people type leads to logins that codes
// finished, as text message, call and mail.
func tryMessages(t *testing.T, sallyport string) {
	page := strings.ReplaceAll(readPage(t, "docs/howto/try-messages.md"), "\n   ", "\n")
	desk := typist{folder: t.TempDir(), path: filepath.Dir(sallyport)}
	typed, printed := "set -e\n", ""
	for _, b := range blocks(page) {
		switch b.word {
		case "sh demo":
			printed = desk.serves(t, b.text, "Ctrl-C")
		case "sh":
			typed += b.text
		}
	}
	for line, variable := range map[string]string{"Sallyport serves": "GATEWAY", "inbox": "INBOX", "password": "PASSWORD"} {
		found := regexp.MustCompile(`(?m)^# *` + line + ` +(\S+)`).FindStringSubmatch(printed)
		if found == nil {
			t.Fatalf("the demo does not print %q\n%s", line, printed)
		}
		typed = regexp.MustCompile(`(?m)^`+variable+`=\S+`).ReplaceAllLiteralString(typed, variable+"="+found[1])
	}
	said := desk.types(t, typed)
	if strings.Count(said, `"access_token":"`) != 4 || strings.Count(said, "Invalid binding_code.") != 1 {
		t.Errorf("the page leads to\n%s", said)
	}
}

// A typist types into terminals that are in one folder.
type typist struct{ folder, path string }

func (d typist) command(ctx context.Context, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", text)
	cmd.Dir, cmd.Env = d.folder, append(os.Environ(), "PWD="+d.folder, "PATH="+d.path+":"+os.Getenv("PATH"))
	return cmd
}

// types runs lines and returns what they print.
func (d typist) types(t *testing.T, text string) string {
	t.Helper()
	out, err := d.command(t.Context(), text).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// serves starts a server, waits until it says that it is ready, and stops it at the end. It
// returns what the server said.
func (d typist) serves(t *testing.T, text, ready string) (said string) {
	t.Helper()
	cmd := d.command(context.WithoutCancel(t.Context()), "exec "+text)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", strings.TrimSpace(text), err)
		}
	})
	lines := bufio.NewReader(read)
	for !strings.Contains(said, ready) {
		line, err := lines.ReadString('\n')
		if said += line; err != nil {
			t.Fatalf("%s says %s", strings.TrimSpace(text), said)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // until it ends
	return said
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
