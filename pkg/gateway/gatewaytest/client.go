package gatewaytest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/otp"
	"github.com/sallyport/sallyport/pkg/secret"
)

// The grant types of the contract.
const (
	GrantOTP      = "http://auth0.com/oauth/grant-type/mfa-otp"
	GrantRecovery = "http://auth0.com/oauth/grant-type/mfa-recovery-code"
	GrantRealm    = "http://auth0.com/oauth/grant-type/password-realm"
)

// Reply is an answer as it came over the wire.
type Reply struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any   // of an object
	List   []map[string]any // of an array
}

// Text is a member that is a string, empty if there is none.
func (r Reply) Text(name string) string {
	s, _ := r.JSON[name].(string)
	return s
}

// Want fails the test unless status and error code are these; no code for success.
func (r Reply) Want(t testing.TB, status int, code string) Reply {
	t.Helper()
	if r.Status != status || r.Text("error") != code {
		t.Fatalf("got %d %s, want %d %q", r.Status, r.Body, status, code)
	}
	return r
}

// Say fails the test unless the description is this, byte for byte.
func (r Reply) Say(t testing.TB, description string) Reply {
	t.Helper()
	if got := r.Text("error_description"); got != description {
		t.Fatalf("error_description %q, want %q", got, description)
	}
	return r
}

// Request is one request; Do sends it to the next gateway in turn.
type Request struct {
	Method, Path, ContentType, Body string
	Header                          map[string]string
}

// Do sends a request and reads the answer.
func (w *World) Do(t testing.TB, r Request) Reply {
	t.Helper()
	reply, err := w.Send(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// Send is Do for a gateway that may not answer.
func (w *World) Send(ctx context.Context, r Request) (Reply, error) {
	node := w.nodes[int(w.turn.Add(1))%len(w.nodes)]
	scheme := "http://"
	if node.secure {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, scheme+node.public+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return Reply{}, err
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	res, err := w.http.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return Reply{}, err
	}
	reply := Reply{Status: res.StatusCode, Header: res.Header, Body: string(body)}
	// What is not JSON leaves both empty, and the test says what it wanted.
	if json.Unmarshal(body, &reply.JSON) != nil {
		_ = json.Unmarshal(body, &reply.List)
	}
	return reply, nil
}

// Form posts a form: names and values in turn.
func (w *World) Form(t testing.TB, path string, pairs ...string) Reply {
	t.Helper()
	return w.FormWith(t, path, nil, pairs...)
}

// FormWith posts a form with further headers.
func (w *World) FormWith(t testing.TB, path string, header map[string]string, pairs ...string) Reply {
	t.Helper()
	return w.Do(t, Request{Method: http.MethodPost, Path: path, Header: header,
		ContentType: "application/x-www-form-urlencoded", Body: Encode(pairs...)})
}

// Encode writes names and values, in turn, as a form.
func Encode(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// Token posts to the token endpoint.
func (w *World) Token(t testing.TB, pairs ...string) Reply {
	t.Helper()
	return w.Form(t, "/oauth/token", pairs...)
}

// Login sends a password of the public client "spa"; further pairs go along.
func (w *World) Login(t testing.TB, username, password string, more ...string) Reply {
	t.Helper()
	pairs := []string{"grant_type", "password", "client_id", "spa", "username", username, "password", password}
	return w.Token(t, append(pairs, more...)...)
}

// OTP finishes a login of "spa" with a one-time password.
func (w *World) OTP(t testing.TB, mfaToken, code string, more ...string) Reply {
	t.Helper()
	return w.Token(t, append([]string{"grant_type", GrantOTP, "client_id", "spa", "mfa_token", mfaToken, "otp", code}, more...)...)
}

// Recover finishes a login of "spa" with a recovery code.
func (w *World) Recover(t testing.TB, mfaToken, code string) Reply {
	t.Helper()
	return w.Token(t, "grant_type", GrantRecovery, "client_id", "spa", "mfa_token", mfaToken, "recovery_code", code)
}

// Associate posts JSON to /mfa/associate with a bearer token.
func (w *World) Associate(t testing.TB, token string, members map[string]any) Reply {
	t.Helper()
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return w.Do(t, Request{Method: http.MethodPost, Path: "/mfa/associate", ContentType: "application/json",
		Body: string(body), Header: Bearer(token)})
}

// Authenticators lists with a bearer token.
func (w *World) Authenticators(t testing.TB, token string) Reply {
	t.Helper()
	return w.Do(t, Request{Method: http.MethodGet, Path: "/mfa/authenticators", ContentType: "application/json", Header: Bearer(token)})
}

// Challenge posts to /mfa/challenge as "spa".
func (w *World) Challenge(t testing.TB, mfaToken string, more ...string) Reply {
	t.Helper()
	return w.Form(t, "/mfa/challenge", append([]string{"client_id", "spa", "mfa_token", mfaToken}, more...)...)
}

// As names a client and presents its secret if it has one, as pairs of a form.
func As(client string) []string {
	switch client {
	case "web", "desk", "batch":
		return []string{"client_id", client, "client_secret", strings.Replace(Secret, "web", client, 1)}
	case "service":
		return []string{"client_id", client, "client_secret", "service-secret-0123456789abcdef0123456789ab"}
	default:
		return []string{"client_id", client}
	}
}

// Bearer is an Authorization header.
func Bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// Code is the one-time password of a seed at the world's time, or steps away from it.
func (w *World) Code(t testing.TB, seed string, steps int64) string {
	t.Helper()
	code, err := otp.Code(secret.New(seed), otp.Step(w.Clock.Now(), 30*time.Second)+steps, "SHA1", 6)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// Enrolled is what somebody has after enrolling an authenticator app.
type Enrolled struct {
	Seed, Recovery string
	Tokens         Reply
}

// Enroll logs in as a user without a factor at the client "web", which demands one,
// and enrolls an authenticator app. The clock is then one step further, so that the
// next one-time password is a fresh one.
func (w *World) Enroll(t testing.TB, username string) Enrolled {
	t.Helper()
	web := []string{"client_id", "web", "client_secret", Secret}
	first := w.Token(t, append(web, "grant_type", "password", "username", username, "password", Password,
		"scope", "openid profile email offline_access")...).Want(t, http.StatusForbidden, "mfa_required")
	token := first.Text("mfa_token")
	made := w.Associate(t, token, map[string]any{"authenticator_types": []string{"otp"}}).Want(t, http.StatusOK, "")
	seed := made.Text("secret")
	tokens := w.Token(t, append(web, "grant_type", GrantOTP, "mfa_token", token, "otp", w.Code(t, seed, 0))...).Want(t, http.StatusOK, "")
	codes, _ := made.JSON["recovery_codes"].([]any)
	code, _ := codes[0].(string)
	w.Clock.Wind(30 * time.Second)
	return Enrolled{Seed: seed, Recovery: code, Tokens: tokens}
}

// Has reports whether a reply has exactly these members.
func (r Reply) Has(names ...string) bool {
	want := map[string]bool{}
	for _, n := range names {
		want[n] = true
	}
	got := map[string]bool{}
	for n := range r.JSON {
		got[n] = true
	}
	return maps.Equal(want, got)
}
