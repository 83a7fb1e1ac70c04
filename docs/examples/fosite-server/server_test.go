package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/sqlstore"
	"github.com/sallyport/sallyport/storage/storagetest"
)

const photos = "https://photos.example.com/"

// world is the server in this process, with a clock wound by hand.
type world struct {
	*server
	url   string
	clock *mfatest.Clock
}

func serve(t *testing.T) *world {
	t.Helper()
	w := &world{clock: &mfatest.Clock{}}
	w.clock.Advance(time.Since(mfatest.Epoch)) // fosite itself knows no other clock than the machine's
	ring, err := secret.NewRing(w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: secret.New(storagetest.SQLite(t)), Ring: ring, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.server, err = newServer(w.clock.Now); err != nil {
		t.Fatal(err)
	}
	if err := w.addSecondFactor(t.Context(), db, ring); err != nil {
		t.Fatal(err)
	}
	// Another application, and one that the database does not know.
	other := record.Client{ID: "other", FirstParty: true, Grants: []string{"password", "mfa"}, MFA: record.MFAEnrolled, ManagedBy: record.ManagedByAPI}
	if _, err := db.SaveClient(t.Context(), other, w.changed(audit.ClientChanged, "")); err != nil {
		t.Fatal(err)
	}
	w.store.Clients["other"] = &fosite.DefaultClient{ID: "other", Public: true}
	w.store.Clients["unknown"] = &fosite.DefaultClient{ID: "unknown", Public: true}
	h := httptest.NewServer(w.handler())
	t.Cleanup(h.Close)
	w.url = h.URL
	return w
}

// reply is an answer of the server.
type reply struct {
	status  int
	members map[string]any
}

func (r reply) text(name string) string {
	s, _ := r.members[name].(string)
	return s
}

// want fails the test unless the reply has the status and the error.
func (r reply) want(t *testing.T, status int, code string) reply {
	t.Helper()
	if r.status != status || r.text("error") != code {
		t.Fatalf("got %d %v, want %d %q", r.status, r.members, status, code)
	}
	return r
}

// post sends a form, with header and value in turn before it.
func (w *world) post(t *testing.T, path string, form url.Values, headers ...string) reply {
	t.Helper()
	return post(t, w.url+path, form, headers...)
}

func post(t *testing.T, to string, form url.Values, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for h := range slices.Chunk(headers, 2) {
		r.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer resp.Body.Close()
	got := reply{status: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(&got.members); err != nil {
		t.Errorf("%s does not answer JSON: %v", to, err)
	}
	return got
}

func password(client string, more ...string) url.Values {
	form := url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {"alice"},
		"password": {"correct horse battery staple"}, "audience": {photos}, "scope": {"photos"}}
	for m := range slices.Chunk(more, 2) {
		form.Set(m[0], m[1])
	}
	return form
}

func (w *world) login(t *testing.T) string {
	t.Helper()
	return w.post(t, "/oauth/token", password("app")).want(t, 403, "mfa_required").text("mfa_token")
}

func (w *world) code(t *testing.T, seed string) string {
	t.Helper()
	code, err := otp.Code(secret.New(seed), otp.Step(w.clock.Now(), 30*time.Second), "SHA1", 6)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func proof(client, token, code string) url.Values {
	return url.Values{"grant_type": {"http://auth0.com/oauth/grant-type/mfa-otp"}, "client_id": {client}, "mfa_token": {token}, "otp": {code}}
}

// enroll goes the way of a first login and returns the seed and the answer with the token.
func (w *world) enroll(t *testing.T) (string, reply) {
	t.Helper()
	token := w.login(t)
	associated := w.post(t, "/mfa/associate", url.Values{"authenticator_types": {"otp"}}, "Authorization", "Bearer "+token).want(t, 200, "")
	seed := associated.text("secret")
	if codes, _ := associated.members["recovery_codes"].([]any); seed == "" || len(codes) != 1 {
		t.Fatalf("associated %v", associated.members)
	}
	return seed, w.post(t, "/oauth/token", proof("app", token, w.code(t, seed))).want(t, 200, "")
}

// introspected is what the server says of a token of its own.
func (w *world) introspected(t *testing.T, token string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("gallery", gallerySecret)
	return w.post(t, "/oauth/introspect", url.Values{"token": {token}}, "Authorization", r.Header.Get("Authorization")).want(t, 200, "").members
}

// A whole login, twice: the tokens are the server's own, and it knows them.
func TestLogin(t *testing.T) {
	w := serve(t)
	seed, first := w.enroll(t)
	w.clock.Advance(30 * time.Second)
	token, code := w.login(t), w.code(t, seed)
	w.post(t, "/mfa/challenge", url.Values{"client_id": {"app"}, "mfa_token": {token}, "challenge_type": {"otp"}}).want(t, 200, "")
	second := w.post(t, "/oauth/token", proof("app", token, code)).want(t, 200, "")
	for _, r := range []reply{first, second} {
		access := r.text("access_token")
		if !strings.HasPrefix(access, "ory_at_") || r.text("token_type") != "Bearer" || r.members["expires_in"] != 900.0 || r.text("scope") != "photos" {
			t.Errorf("the answer is %v", r.members)
		}
		got := w.introspected(t, access)
		amr, _ := got["amr"].([]any)
		if got["active"] != true || got["sub"] != "alice" || got["client_id"] != "app" || got["scope"] != "photos" || !slices.Equal(amr, []any{"pwd", "otp", "mfa"}) {
			t.Errorf("introspected %v", got)
		}
	}
	if first.text("access_token") == second.text("access_token") {
		t.Error("two logins have one token")
	}
	w.post(t, "/oauth/token", proof("app", w.login(t), code)).want(t, 403, "invalid_grant")       // replayed
	w.post(t, "/oauth/token", proof("app", token, w.code(t, seed))).want(t, 403, "invalid_grant") // the login is over
}

// What the server could do before it still can, and what was wrong is wrong still.
func TestOwnGrants(t *testing.T) {
	w := serve(t)
	own := url.Values{"grant_type": {"client_credentials"}, "client_id": {"gallery"}, "client_secret": {gallerySecret}}
	if got := w.introspected(t, w.post(t, "/oauth/token", own).want(t, 200, "").text("access_token")); got["active"] != true || got["amr"] != nil {
		t.Errorf("introspected %v", got)
	}
	own.Set("client_secret", "wrong")
	w.post(t, "/oauth/token", own).want(t, 401, "invalid_client")
	w.post(t, "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}}).want(t, 400, "invalid_request")
	if got := w.introspected(t, "ory_at_x.y"); got["active"] != false {
		t.Errorf("introspected %v", got)
	}
}

func TestRefused(t *testing.T) {
	w := serve(t)
	seed, _ := w.enroll(t)
	w.clock.Advance(30 * time.Second)
	token, code := w.login(t), w.code(t, seed)
	kept := len(w.store.AccessTokens)
	for name, c := range map[string]struct {
		path   string
		form   url.Values
		status int
		code   string
	}{
		"wrong password":               {"/oauth/token", password("app", "password", "wrong"), 403, "invalid_grant"},
		"unknown user":                 {"/oauth/token", password("app", "username", "nobody"), 403, "invalid_grant"},
		"another client's":             {"/oauth/token", proof("other", token, code), 400, "invalid_request"},
		"a client of nobody":           {"/oauth/token", proof("nobody", token, code), 401, "invalid_client"},
		"unknown to the database":      {"/oauth/token", password("unknown"), 401, "invalid_client"},
		"enrolled is asked everywhere": {"/oauth/token", password("other"), 403, "mfa_required"},
		"wrong code":                   {"/oauth/token", proof("app", token, "12345x"), 403, "invalid_grant"},
		"no way around the factor":     {"/oauth/token", password("app", "audience", "https://login.example.com/mfa/"), 403, "access_denied"},
		"another client's challenge":   {"/mfa/challenge", url.Values{"client_id": {"other"}, "mfa_token": {token}}, 400, "invalid_request"},
		"a challenge of nobody":        {"/mfa/challenge", url.Values{"client_id": {"nobody"}, "mfa_token": {token}}, 401, "invalid_client"},
		"associated without a token":   {"/mfa/associate", url.Values{"authenticator_types": {"otp"}}, 401, "invalid_grant"},
		"a grant that is not composed": {"/oauth/token", url.Values{"grant_type": {"mfa-oob"}, "client_id": {"app"}}, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) { w.post(t, c.path, c.form).want(t, c.status, c.code) })
	}
	w.post(t, "/mfa/associate", url.Values{"authenticator_types": {"otp"}}, "Authorization", "Bearer "+token).want(t, 403, "access_denied")
	if len(w.store.AccessTokens) != kept {
		t.Error("a refusal left a token")
	}
	w.post(t, "/oauth/token", proof("app", token, code)).want(t, 200, "")
}

// parallel is how many requests race for one thing.
const parallel = 50

func race(send func(i int) reply) []reply {
	replies := make([]reply, parallel)
	var ready, done sync.WaitGroup
	ready.Add(parallel)
	for i := range parallel {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			replies[i] = send(i)
		})
	}
	done.Wait()
	return replies
}

// One one-time password yields one token, whatever mfa_tokens it comes with.
func TestOneTimePasswordOnce(t *testing.T) {
	w := serve(t)
	seed, _ := w.enroll(t)
	w.clock.Advance(30 * time.Second)
	tokens := []string{w.login(t), w.login(t), w.login(t)}
	kept, code, won := len(w.store.AccessTokens), w.code(t, seed), 0
	for _, r := range race(func(i int) reply { return w.post(t, "/oauth/token", proof("app", tokens[i%len(tokens)], code)) }) {
		if r.status == 200 {
			won++
		} else if r.status != 403 || r.text("error") != "invalid_grant" {
			t.Errorf("a loser got %d %v", r.status, r.members)
		}
	}
	if minted := len(w.store.AccessTokens) - kept; won != 1 || minted != 1 {
		t.Errorf("%d answers with a token, %d tokens minted, want one", won, minted)
	}
}

// Logins of a user whom the database does not know yet all go on.
func TestFirstLoginsAtOnce(t *testing.T) {
	w := serve(t)
	for _, r := range race(func(int) reply { return w.post(t, "/oauth/token", password("app")) }) {
		r.want(t, 403, "mfa_required")
	}
}

// The program starts as the page says, and asks for the second factor.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fosite-server")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "-listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Environ(), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	if err != nil || address == "" {
		t.Fatalf("it says %q, %v", line, err)
	}
	if post(t, address+"/oauth/token", password("app")).want(t, 403, "mfa_required").text("mfa_token") == "" {
		t.Error("no mfa_token")
	}
}
