package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/guardian/phonetest"
	"github.com/sallyport/sallyport/pkg/guardian/provider"
)

// A world is a provider, a gateway that sends to it, and a clock.
type world struct {
	*provider.Provider
	phonetest.Sender
	now time.Time
	end func() error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	keys, err := provider.NewKeys(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	w := &world{now: time.Unix(1767323045, 0)}
	clock := func() time.Time { return w.now }
	w.Provider = provider.New(url, keys, clock)
	w.Sender = phonetest.Sender{Endpoint: url, Now: clock}
	w.keep(t, keys)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, l) }()
	w.end = func() error {
		cancel()
		return <-ended
	}
	t.Cleanup(cancel)
	return w
}

// keep writes the files of a gateway.
func (w *world) keep(t *testing.T, keys provider.Keys) {
	t.Helper()
	account, err := keys.ServiceAccount(w.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.APNsKey()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	w.Credentials, w.APNsKey = filepath.Join(folder, "fcm.json"), filepath.Join(folder, "apns.p8")
	for path, text := range map[string][]byte{w.Credentials: account, w.APNsKey: key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) send(t *testing.T, device, challenge string) {
	t.Helper()
	if status, body := w.FCM(t, device, "120s", map[string]string{"c": challenge}); status != http.StatusOK || !strings.Contains(body, `"name":"projects/`) {
		t.Fatal(status, body)
	}
}

// next is the challenge of the next push for the devices, "" if none is there.
func (w *world) next(t *testing.T, devices ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	push, err := w.Next(ctx, devices...)
	if errors.Is(err, context.Canceled) {
		return ""
	}
	var members map[string]string
	if err := errors.Join(err, json.Unmarshal(push.Payload, &members)); err != nil {
		t.Fatal(err)
	}
	return members["c"]
}

func TestFCM(t *testing.T) {
	w := newWorld(t)
	w.send(t, "a", "1")
	w.send(t, "b", "2")
	w.send(t, "a", "3")
	for _, want := range []string{"1", "3", ""} {
		if got := w.next(t, "a"); got != want {
			t.Errorf("the next push of a is %q, want %q", got, want)
		}
	}
	if got := w.next(t, "x", "b"); got != "2" {
		t.Errorf("the push of b is %q", got)
	}
	w.send(t, "a", "4")
	w.send(t, "a", "4") // takes its place
	if first, second := w.next(t, "a"), w.next(t, "a"); first != "4" || second != "" {
		t.Errorf("pushes %q and %q", first, second)
	}
	w.send(t, "a", "5")
	w.now = w.now.Add(2 * time.Minute)
	if got := w.next(t, "a"); got != "" {
		t.Errorf("%q came after its time", got)
	}
	for i := range 25 {
		w.send(t, "a", fmt.Sprint(i))
	}
	if got := w.next(t, "a"); got != "5" {
		t.Errorf("the oldest of 25 is %q, want the sixth", got)
	}
}

func TestFCMRefuses(t *testing.T) {
	w := newWorld(t)
	changed := func(name string, value any) phonetest.Sender {
		s := w.Sender
		s.Change = func(claims map[string]any) { claims[name] = value }
		return s
	}
	for name, s := range map[string]phonetest.Sender{
		"another issuer": changed("iss", "x"), "another audience": changed("aud", "x"), "another scope": changed("scope", "x"), "over": changed("exp", 1),
	} {
		if status, body := s.FCM(t, "a", "120s", map[string]string{"c": "1"}); status != http.StatusBadRequest || !strings.Contains(body, "invalid_grant") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	other := newWorld(t)
	foreign := w.Sender
	foreign.Credentials = other.Credentials // it asks the other one, and comes with its token
	if status, body := foreign.FCM(t, "a", "120s", map[string]string{"c": "1"}); status != http.StatusUnauthorized || !strings.Contains(body, `"errorCode":"UNAUTHENTICATED"`) {
		t.Errorf("a foreign token: %d %s", status, body)
	}
	for name, send := range map[string]func() (int, string){
		"no device": func() (int, string) { return w.FCM(t, "", "120s", map[string]string{"c": "1"}) },
		"no data":   func() (int, string) { return w.FCM(t, "a", "120s", nil) },
		"a bad ttl": func() (int, string) { return w.FCM(t, "a", "x", map[string]string{"c": "1"}) },
	} {
		if status, body := send(); status != http.StatusBadRequest || !strings.Contains(body, `"errorCode":"INVALID_ARGUMENT"`) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if got := w.next(t, "a", ""); got != "" {
		t.Errorf("there is a push %q", got)
	}
}

func TestAPNs(t *testing.T) {
	w := newWorld(t)
	later := w.now.Add(time.Minute)
	if status, body := w.APNs(t, "ab12", later, []byte(`{"c":"1"}`)); status != http.StatusOK || body != "" {
		t.Fatal(status, body)
	}
	if got := w.next(t, "AB12"); got != "1" {
		t.Errorf("the push is %q", got)
	}
	stale := w.Sender
	stale.Change = func(claims map[string]any) { claims["iat"] = 1 }
	foreign := w.Sender
	foreign.APNsKey = newWorld(t).APNsKey
	for reason, send := range map[string]func() (int, string){
		"BadDeviceToken":       func() (int, string) { return w.APNs(t, "xy", later, []byte(`{}`)) },
		"PayloadEmpty":         func() (int, string) { return w.APNs(t, "ab", later, nil) },
		"ExpiredProviderToken": func() (int, string) { return stale.APNs(t, "ab", later, []byte(`{}`)) },
		"InvalidProviderToken": func() (int, string) { return foreign.APNs(t, "ab", later, []byte(`{}`)) },
	} {
		if status, body := send(); status < 400 || !strings.Contains(body, reason) {
			t.Errorf("%s: %d %s", reason, status, body)
		}
	}
	if _, body := w.APNs(t, "ab", w.now, []byte(`{}`)); body != "" || w.next(t, "AB") != "" {
		t.Errorf("what is over was kept: %s", body)
	}
}

// A phone waits over HTTP, and its push wakes it.
func TestInbox(t *testing.T) {
	w := newWorld(t)
	ask := func(body string) (int, string) {
		r, err := http.Post(w.Endpoint+provider.InboxPath, "application/json", strings.NewReader(body))
		if err != nil {
			return 0, err.Error()
		}
		defer r.Body.Close()
		var push provider.Push
		_ = json.NewDecoder(r.Body).Decode(&push)
		return r.StatusCode, push.Token + push.Service + string(push.Payload)
	}
	if status, _ := ask(`{"tokens":["a"],"seconds":0}`); status != http.StatusNoContent {
		t.Errorf("an empty inbox answers %d", status)
	}
	for _, body := range []string{`{"seconds":1}`, "x"} {
		if status, _ := ask(body); status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
	said := make(chan string)
	go func() {
		status, push := ask(`{"tokens":["a"],"seconds":30}`)
		said <- fmt.Sprint(status, push)
	}()
	w.send(t, "a", "1")
	if got := <-said; got != `200aGCM{"c":"1"}` {
		t.Errorf("the phone got %s", got)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	keys, err := provider.NewKeys(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	account, err1 := keys.ServiceAccount("http://127.0.0.1:1")
	key, err2 := keys.APNsKey()
	again, err3 := provider.NewKeys(account, key)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	second, err1 := again.ServiceAccount("http://127.0.0.1:1")
	secondKey, err2 := again.APNsKey()
	if err := errors.Join(err1, err2); err != nil || string(second) != string(account) || string(secondKey) != string(key) {
		t.Error("the keys of before are not the same", err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %d", keys, keys, &keys, keys); strings.ContainsAny(shown, "{0123456789") {
		t.Errorf("they are %s", shown)
	}
	for name, files := range map[string][2]string{
		"no JSON": {"x", ""}, "another account": {`{"client_email":"x"}`, ""}, "no PEM": {"", "x"}, "an RSA key": {"", strings.ReplaceAll(rsaKey(t, account), `\n`, "\n")},
	} {
		var raw [2][]byte
		for i, text := range files {
			if text != "" {
				raw[i] = []byte(text)
			}
		}
		if _, err := provider.NewKeys(raw[0], raw[1]); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func rsaKey(t *testing.T, account []byte) string {
	t.Helper()
	var file struct {
		Key string `json:"private_key"`
	}
	if err := json.Unmarshal(account, &file); err != nil {
		t.Fatal(err)
	}
	return file.Key
}
