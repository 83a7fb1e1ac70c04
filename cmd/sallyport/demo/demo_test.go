package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const issuer = "http://127.0.0.1:1/"

// demoWalk is the walk of a gateway that does not run.
func demoWalk(proxied bool) *walk {
	return newWalk(Options{
		Password: secret.New("pass-word"), Executable: "/it's here/sallyport", Proxied: proxied,
		Now: func() time.Time { return now },
	}, places{url: issuer, pushes: "http://127.0.0.1:2", store: "/it's here/phone.json", inbox: "http://127.0.0.1:3/", message: "http://127.0.0.1:3/latest/sms"})
}

// What is for people does no harm in a shell that takes no comments when it is typed
// at, as zsh.
func TestProseIsHarmless(t *testing.T) {
	var out strings.Builder
	demoWalk(false).print(&out)
	harmless := regexp.MustCompile(`^# [A-Za-z0-9 .,:/_-]*$`)
	prose := 0
	for line := range strings.SplitSeq(out.String(), "\n") {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		if prose++; !harmless.MatchString(line) {
			t.Errorf("%q", line)
		}
	}
	if prose < len(demoWalk(false).steps) {
		t.Errorf("%d lines for %d steps", prose, len(demoWalk(false).steps))
	}
}

func TestProxy(t *testing.T) {
	for _, proxied := range []bool{false, true} {
		var out strings.Builder
		demoWalk(proxied).print(&out)
		if got := strings.Contains(out.String(), `no_proxy="$no_proxy,127.0.0.1`); got != proxied {
			t.Errorf("proxied %v: %v", proxied, got)
		}
	}
}

func TestQuoted(t *testing.T) {
	for _, path := range []string{"/bin/x", "/it's here/x y", "/$HOME/`x`/\\/*"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quoted(path)).Output()
		if err != nil || string(out) != path {
			t.Errorf("%s: %q, %v", path, out, err)
		}
	}
}

func TestPicker(t *testing.T) {
	for answer, want := range map[string]string{
		`{"secret":"A","x":"B"}`:                          "A",
		`{"barcode_uri":"?secret=C\u0026x","secret":"A"}`: "A",
		`{"x":1,"secret":["A","B"],"y":"C"}`:              "A",
		`{"my_secret":"B"}`:                               "",
		`{"secret":""}`:                                   "",
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", picker+"\nget secret")
		cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "ANSWER=" + answer}
		out, err := cmd.Output()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
			t.Errorf("%s: %q, want %q, %v", answer, got, want, err)
		}
	}
}

// keptKeys is a key store in memory for one signer.
type keptKeys []signer.Key

func (k *keptKeys) SigningKeys(context.Context) ([]signer.Key, error) { return *k, nil }

func (k *keptKeys) AddFirstSigningKey(_ context.Context, key signer.Key) (bool, error) {
	*k = append(*k, key)
	return true, nil
}

func TestVerifyToken(t *testing.T) {
	newSigner := func() *signer.Signer {
		s := signer.New(signer.Options{Store: &keptKeys{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err := s.EnsureKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	ours, stranger := newSigner(), newSigner()
	p := &player{walk: demoWalk(false), keys: ours.JWKS()}
	for name, tt := range map[string]struct {
		by     *signer.Signer
		typ    string
		claim  string
		value  any
		refuse string
	}{
		"right":                  {ours, "at+jwt", "aud", api, ""},
		"one audience of two":    {ours, "at+jwt", "aud", []string{"x", api}, ""},
		"of another signer":      {stranger, "at+jwt", "aud", api, "no published key"},
		"of another type":        {ours, "JWT", "aud", api, "not of type"},
		"of another issuer":      {ours, "at+jwt", "iss", "http://127.0.0.1:2/", "its issuer is"},
		"for another audience":   {ours, "at+jwt", "aud", []string{"x"}, "it is for"},
		"expired this second":    {ours, "at+jwt", "exp", now.Unix(), "it is expired"},
		"without expiry":         {ours, "at+jwt", "exp", nil, "it is expired"},
		"of a password alone":    {ours, "at+jwt", "amr", []string{"pwd"}, "does not say mfa"},
		"without methods":        {ours, "at+jwt", "amr", nil, "does not say mfa"},
		"audience not even text": {ours, "at+jwt", "aud", 1, "unexpected types"},
	} {
		claims := map[string]any{"iss": issuer, "aud": api, "exp": now.Unix() + 1, "amr": []string{"pwd", "otp", "mfa"}}
		claims[tt.claim] = tt.value
		token, err := tt.by.Sign(signer.ES256, tt.typ, claims)
		if err != nil {
			t.Fatal(err)
		}
		err = p.verifyToken(token, "at+jwt", api)
		if (err == nil) != (tt.refuse == "") || err != nil && !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("a token %s: %v", name, err)
		}
	}
}

func TestVerifyWantsEveryLogin(t *testing.T) {
	w := demoWalk(false)
	w.Stdout = &strings.Builder{}
	p := &player{walk: w, issued: []map[string]any{{}, {}}}
	if err := p.verify(); err == nil || !strings.Contains(err.Error(), "2 logins") {
		t.Error(err)
	}
}

// A gateway that answers otherwise than it should ends the walk at that step.
func TestPlayFails(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"tokens without a factor": {http.StatusOK, `{"access_token":"x"}`, "has status 200, not 403"},
		"another refusal":         {http.StatusForbidden, `{"error":"invalid_grant"}`, "has no mfa_token"},
		"no JSON":                 {http.StatusForbidden, `<html>`, "is not JSON"},
		"a list":                  {http.StatusForbidden, `[]`, "is not a JSON object"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		w := demoWalk(false)
		w.url, w.Stdout, w.Random = s.URL+"/", &strings.Builder{}, rand.Reader
		if err := play(t.Context(), w); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "1. ") {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}

// A request and its answer are a line each, and what nobody reads to its end is short.
func TestLines(t *testing.T) {
	r := request{path: "mfa/associate", bearer: "MFA_TOKEN", form: [][2]string{{"scope", "a b"}, {"otp", "$CODE"}}}
	if got := r.line(); got != `POST /mfa/associate [Bearer $MFA_TOKEN] scope="a b" otp=$CODE` {
		t.Error(got)
	}
	for path, want := range map[string]string{"userinfo": "GET /userinfo", "http://127.0.0.1:3/latest/sms": "GET http://127.0.0.1:3/latest/sms"} {
		if got := (request{path: path}).line(); got != want {
			t.Error(got)
		}
	}
	got, err := shortened([]byte(`{"a":["eyJhbGciOiJFUzI1NiIsInR5cCI6"],"b":{},"error":"unsupported_challenge_type","n":-1.5,"s":"with spaces, and \"quotes\", it stays whole"}`))
	want := `{"a": ["eyJhbGci..."], "b": {}, "error": "unsupported_challenge_type", "n": -1.5, "s": "with spaces, and \"quotes\", it stays whole"}`
	if err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

// A second one-time password is waited for only when the first one's step lasts still.
func TestCodeWaitsNoLongerThanNeeded(t *testing.T) {
	w := demoWalk(false)
	moment, waited := now, 0
	w.Stdout, w.Now = &strings.Builder{}, func() time.Time { return moment }
	w.NextStep = func(_ context.Context, used int64) (int64, error) {
		waited++
		return used + 1, nil
	}
	p := &player{walk: w, variables: map[string]string{"SECRET": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}}
	codes := map[string]bool{}
	for _, next := range []bool{false, true} {
		if err := p.code(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		codes[p.variables["CODE"]] = true
	}
	moment = moment.Add(2 * period)
	if err := p.code(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	codes[p.variables["CODE"]] = true
	if waited != 1 || len(codes) != 3 {
		t.Errorf("waited %d times for %d codes", waited, len(codes))
	}
}

func TestAudience(t *testing.T) {
	var a audience
	if err := json.Unmarshal([]byte(`{"a":1}`), &a); err == nil {
		t.Errorf("%v", a)
	}
}
