package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/stepup"
)

const stepUpExample = "../../docs/examples/step-up"

// The example of a step-up, over TLS: its client goes from a password to what the API
// wants, says what README.md says, and is challenged anew when the proof is old.
func TestStepUpExample(t *testing.T) {
	programs, ca := t.TempDir(), newAuthority(t)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs, "./api", "./client")
	build.Dir = stepUpExample
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, s := range []gatewaytest.Setting{gatewaytest.SQLite(), gatewaytest.PostgreSQL()} {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			s.Nodes = 1 // the client knows one address
			port := freePort(t)
			w := gatewaytest.New(t, s,
				"public_url: https://localhost:"+port+"/", "listen: 127.0.0.1:"+port,
				fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key))
			play(t, &steps{w, programs, ca, append(os.Environ(), "SALLYPORT_DOMAIN=localhost:"+port,
				"SALLYPORT_AUDIENCE="+things, "SSL_CERT_FILE="+ca.authority)})
		})
	}
}

// O-JW-2: an API takes the access tokens that are for it, in either dialect, and nothing
// else that the gateway issues.
func TestGuardOfAnAPI(t *testing.T) {
	ca := newAuthority(t)
	for _, dialect := range []string{"rfc9068", "auth0"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			w := gatewaytest.New(t, gatewaytest.SQLite(), "public_url: https://localhost:"+port+"/", "listen: 127.0.0.1:"+port,
				fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", ca.cert, ca.key), "tokens: {dialect: "+dialect+"}")
			guard, err := stepup.New(stepup.Options{Issuer: w.URL, Audience: apiThings, Auth0: dialect == "auth0", Now: w.Clock.Now,
				Client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.roots(t)}}}})
			if err != nil {
				t.Fatal(err)
			}
			send := func(d stepup.Demand, token string) int {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				r.Header.Set("Authorization", "Bearer "+token)
				rec := httptest.NewRecorder()
				guard.Require(d, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(rec, r)
				return rec.Code
			}
			alice := w.Enroll(t, "alice")
			asked := ask(t, w, "spa", "alice", "audience", things, "scope", "openid read:things write:things")
			both := w.OTP(t, asked, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
			alone := w.Login(t, "carol", gatewaytest.Password, "audience", things, "scope", "openid read:things").Want(t, http.StatusOK, "")
			elsewhere := w.Login(t, "carol", gatewaytest.Password, "scope", "openid").Want(t, http.StatusOK, "")
			machine := w.Token(t, with("service", "grant_type", "client_credentials", "audience", things)...).Want(t, http.StatusOK, "")
			strict := stepup.Demand{Scopes: []string{"write:things"}, ACR: stepup.MultiFactor, MaxAge: time.Minute}
			for _, c := range []struct {
				name, token string
				any, strict int
			}{
				{"two factors", both.Text("access_token"), 200, 200},
				{"a password", alone.Text("access_token"), 200, 401},
				{"a machine", machine.Text("access_token"), 200, 401},
				{"a token for /userinfo", elsewhere.Text("access_token"), 401, 401},
				{"an ID token", both.Text("id_token"), 401, 401},
				{"an mfa_token", asked, 401, 401},
			} {
				if all, some := send(stepup.Demand{}, c.token), send(strict, c.token); all != c.any || some != c.strict {
					t.Errorf("%s: %d and %d, want %d and %d", c.name, all, some, c.any, c.strict)
				}
			}
			w.Clock.Wind(61 * time.Second)
			if old := send(strict, both.Text("access_token")); old != http.StatusUnauthorized {
				t.Errorf("an old proof: %d", old)
			}
		})
	}
}

// steps are the programs of the example beside a gateway.
type steps struct {
	*gatewaytest.World
	programs string
	ca       authority
	env      []string
}

func play(t *testing.T, s *steps) {
	weak := s.Login(t, "carol", gatewaytest.Password, "audience", things, "scope", "read:things").Want(t, http.StatusOK, "").Text("access_token")
	api := s.api(t)
	s.post(t, api, weak, http.StatusUnauthorized)

	// Carol has no second factor, so she sets one up on the way.
	said := s.client(t, api, "first")
	secret, strong := said["SECRET"], said["TOKEN"]
	s.post(t, api, strong, http.StatusCreated)
	s.post(t, api, weak, http.StatusUnauthorized)

	s.Clock.Wind(5*time.Minute + time.Second)
	api = s.api(t)
	s.post(t, api, strong, http.StatusUnauthorized)
	fresh := s.client(t, api, "later", "SALLYPORT_ACCESS_TOKEN="+strong, "SALLYPORT_SECRET="+secret)["TOKEN"]
	equal(t, claims(t, s.World, fresh, "at+jwt"), map[string]any{
		"sub": "auth0|carol", "scope": "write:things", "acr": stepup.MultiFactor, "auth_time": float64(s.Clock.Now().Unix())})
	s.post(t, api, fresh, http.StatusCreated)
}

// api starts the API at the world's time; it ends with the test. It returns where the
// things are.
func (s *steps) api(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.programs, "api"))
	cmd.Env = append(slices.Clone(s.env), "SALLYPORT_LISTEN=127.0.0.1:0", "SALLYPORT_CERT_FILE="+s.ca.cert, "SALLYPORT_KEY_FILE="+s.ca.key,
		"SALLYPORT_TIME="+strconv.FormatInt(s.Clock.Now().Unix(), 10))
	log := &gatewaytest.Buffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log)
		}
	})
	line := bufio.NewScanner(out)
	line.Scan()
	_, port, ok := strings.Cut(line.Text(), "the API listens on 127.0.0.1:")
	if !ok {
		t.Fatalf("the API says %q\n%s", line.Text(), log)
	}
	return "https://localhost:" + port + "/things"
}

// client runs the client for carol. What it prints must be the block of README.md with
// that name; client returns what stands there for the words in capitals.
func (s *steps) client(t *testing.T, api, name string, more ...string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.programs, "client"))
	cmd.Env = append(append(slices.Clone(s.env), "SALLYPORT_API="+api, "SALLYPORT_CLIENT_ID=spa", "SALLYPORT_USERNAME=carol", "SALLYPORT_PASSWORD="+gatewaytest.Password,
		"SALLYPORT_OTP_TIME="+strconv.FormatInt(s.Clock.Now().Unix(), 10)), more...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("the client: %v\n%s%s", err, out.String(), failed.String())
	}
	page, err := os.ReadFile(filepath.Join(stepUpExample, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```text "+name+"\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("README.md has no block %q", name)
	}
	word := regexp.MustCompile(`\b(SECRET|CODE|TOKEN)\b`)
	pattern := regexp.MustCompile("^" + word.ReplaceAllString(regexp.QuoteMeta(block), `(?P<$1>\S+)`) + "$")
	found := pattern.FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("the client says\n%s\nREADME.md has\n%s", out.String(), block)
	}
	said := map[string]string{}
	for i, name := range pattern.SubexpNames() {
		said[name] = found[i]
	}
	return said
}

// post asks the API to add a thing.
func (s *steps) post(t *testing.T, api, token string, status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.roots(t)}}}
	defer client.CloseIdleConnections()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		t.Errorf("the API answers %s, want %d", res.Status, status)
	}
	challenge, ok := stepup.ParseChallenge(res.Header)
	if asked := ok && challenge.Error == stepup.UserAuthentication; asked != (status == http.StatusUnauthorized) {
		t.Errorf("the challenge is %q", res.Header.Get("WWW-Authenticate"))
	}
}
