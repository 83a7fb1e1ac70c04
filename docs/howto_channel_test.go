package docs_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What howto/add-a-channel.md has people write is a channel: with three files and two
// lines, and nothing else, somebody enrolls a pager and logs in with it.
func TestChannelIsAdded(t *testing.T) {
	dir := t.TempDir()
	overlay := filepath.Join(dir, "overlay.json")
	replaced, files, lines := map[string]string{}, 0, 0
	keep := func(name, text string) {
		at := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Abs(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		replaced[path] = at
	}
	for _, b := range blocks(strings.ReplaceAll(readPage(t, "docs/howto/add-a-channel.md"), "\n   ", "\n")) {
		if name, ok := strings.CutPrefix(b.word, "go new "); ok {
			files++
			keep(name, b.text)
		}
		if name, ok := strings.CutPrefix(b.word, "go line "); ok {
			lines += strings.Count(b.text, "\n")
			keep(name, withLine(t, readPage(t, name), b.text))
		}
	}
	if files != 3 || lines != 2 {
		t.Fatalf("%d files and %d lines, want 3 and 2", files, lines)
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sallyport")
	for _, words := range [][]string{
		{"test", "-c", "-vet=off", "-overlay", overlay, "-o", program + ".test", "../pkg/mfa/oob/pager"},
		{"build", "-overlay", overlay, "-o", program, "../cmd/sallyport"},
	} {
		if out, err := exec.CommandContext(t.Context(), "go", words...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(words, " "), err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), program+".test").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	page(t, program)
}

// withLine puts a line of a new channel beside that of text messages, and the package
// among the imports.
func withLine(t *testing.T, text, line string) string {
	t.Helper()
	for _, beside := range []struct{ word, line string }{
		{"	\"github.com/sallyport/sallyport/pkg/mfa/oob/phone\"\n", "	\"github.com/sallyport/sallyport/pkg/mfa/oob/pager\"\n"},
		{"SMSConfig", line},
	} {
		i := strings.Index(text, beside.word)
		if i < 0 {
			t.Fatalf("no line has %q", beside.word)
		}
		at := strings.LastIndex(text[:i+1], "\n") + 1
		text = text[:at] + beside.line + text[at:]
	}
	return text
}

// page enrolls a pager and logs in with it.
func page(t *testing.T, sallyport string) {
	t.Helper()
	var pages []string
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		pages = append(pages, string(body))
	}))
	t.Cleanup(service.Close)
	port := freePort(t)
	url := "http://127.0.0.1:" + port + "/"
	desk := typist{folder: t.TempDir(), path: filepath.Dir(sallyport)}
	for name, text := range map[string]string{
		"sallyport.yaml": "public_url: " + url + "\nlisten: 127.0.0.1:" + port + "\nmanagement: {listen: '127.0.0.1:0'}\n" +
			"database: {url: 'sqlite://" + desk.folder + "/db'}\nredis: {url: 'embedded:'}\nsecrets: {key_file: keys.json}\n" +
			"tenant_files: [tenant.yaml]\ndelivery: {pager: {url: '" + service.URL + "'}}\n",
		"tenant.yaml": "name: Example\nclients: [{id: app, name: App, type: public, first_party: true, grants: [password, mfa], mfa: required}]\n" +
			"users: [{id: 'auth0|ann', username: ann, email: ann@example.com, password: correct horse battery staple}]\n",
	} {
		if err := os.WriteFile(filepath.Join(desk.folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	desk.types(t, "sallyport keys init")
	desk.serves(t, "sallyport serve", "serving")
	post := func(path, bearer string, body map[string]any) (answer map[string]any) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", bearer)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = got.Body.Close() }()
		if err := json.NewDecoder(got.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	begin := func() string {
		token, _ := post("oauth/token", "", map[string]any{
			"grant_type": "password", "client_id": "app", "username": "ann", "password": "correct horse battery staple"})["mfa_token"].(string)
		return token
	}
	finish := func(token string, made map[string]any) {
		t.Helper()
		if len(pages) == 0 {
			t.Fatalf("nobody was paged: %v", made)
		}
		last := strings.TrimSuffix(pages[len(pages)-1], `"}`)
		answer := post("oauth/token", "", map[string]any{"grant_type": "http://auth0.com/oauth/grant-type/mfa-oob", "client_id": "app",
			"mfa_token": token, "oob_code": made["oob_code"], "binding_code": last[len(last)-6:]})
		if answer["access_token"] == nil {
			t.Fatalf("%s leads to %v", last, answer)
		}
	}
	token := begin()
	finish(token, post("mfa/associate", "Bearer "+token, map[string]any{
		"authenticator_types": []string{"oob"}, "oob_channels": []string{"pager"}, "phone_number": "4711"}))
	token = begin()
	finish(token, post("mfa/challenge", "", map[string]any{"client_id": "app", "mfa_token": token, "challenge_type": "oob"}))
	if len(pages) != 2 {
		t.Errorf("%d pages", len(pages))
	}
}
