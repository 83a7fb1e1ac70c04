package stepup_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/stepup"
)

var anyToken = stepup.Demand{}

// read fails the test unless the keys were read so often since the issuer was made.
func (w *world) read(t testing.TB, name string, want int32) {
	t.Helper()
	if got := w.reads.Load(); got != want {
		t.Errorf("%s: the keys were read %d times, want %d", name, got, want)
	}
}

// unavailable fails the test unless the answer is 503 and says when to come again.
func unavailable(t testing.TB, name string, rec *httptest.ResponseRecorder, retry string) {
	t.Helper()
	want(t, name, rec, http.StatusServiceUnavailable, "")
	if got := rec.Header().Get("Retry-After"); got != retry || !strings.Contains(rec.Body.String(), "temporarily_unavailable") {
		t.Errorf("%s: Retry-After %q, want %q; %s", name, got, retry, rec.Body)
	}
}

// O-JW-3: keys are read once, then every five minutes, and a key that is gone is no
// longer good.
func TestKeysAreKept(t *testing.T) {
	w := newWorld(t, nil)
	w.read(t, "nobody asked", 0)
	want(t, "garbage", w.ask(t, anyToken, "x.y.z"), 401, invalidToken)
	w.read(t, "garbage is no reason", 0)
	for range 3 {
		want(t, "good", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	}
	w.read(t, "three requests", 1)
	w.wind(5*time.Minute - 1)
	want(t, "good", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.read(t, "not yet old", 1)
	w.publish(ecKey(t, "second"))
	want(t, "withdrawn, and nobody knows", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.wind(1)
	want(t, "withdrawn", w.ask(t, anyToken, w.token(t, nil)), 401, invalidToken)
	w.read(t, "old", 2)
}

// O-JW-3: a rotation, in which the new key is published before its first use, or is not.
func TestKeysRotate(t *testing.T) {
	w := newWorld(t, nil)
	second, third := ecKey(t, "second"), rsaKey(t, "third")
	want(t, "first", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.publish(w.key, second)
	w.wind(10 * time.Second)
	want(t, "second, at once", w.ask(t, anyToken, w.tokenBy(t, second, nil)), 200, "")
	want(t, "first, of before", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.read(t, "one key came", 2)
	w.publish(w.key, second, third)
	w.wind(5 * time.Minute)
	want(t, "first, while the third is published", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	want(t, "third", w.ask(t, anyToken, w.tokenBy(t, third, nil)), 200, "")
	w.read(t, "one more came", 3)
}

// Whoever sends tokens of unknown keys does not make the API a weapon against its issuer.
func TestUnknownKidIsLimited(t *testing.T) {
	w := newWorld(t, nil)
	want(t, "good", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	forged := w.tokenBy(t, ecKey(t, "forged"), nil)
	for range 20 {
		want(t, "forged", w.ask(t, anyToken, forged), 401, invalidToken)
	}
	w.read(t, "within ten seconds", 1)
	w.wind(10 * time.Second)
	for range 20 {
		want(t, "forged", w.ask(t, anyToken, forged), 401, invalidToken)
	}
	w.read(t, "after ten seconds", 2)
	want(t, "good", w.ask(t, anyToken, w.token(t, nil)), 200, "")
}

// Never fail open: without keys no token is good, and none is called bad either.
func TestIssuerDownFromTheBeginning(t *testing.T) {
	w := newWorld(t, nil)
	w.instead(down)
	token := w.token(t, nil)
	unavailable(t, "down", w.ask(t, anyToken, token), "10")
	w.wind(3500 * time.Millisecond)
	unavailable(t, "down, and tried just now", w.ask(t, anyToken, token), "7")
	w.read(t, "down", 1)
	want(t, "no token", w.send(t, anyToken, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)), 401, "Bearer")
	w.instead(func(rw http.ResponseWriter, r *http.Request) { w.wind(10 * time.Second); down(rw, r) })
	w.wind(6500 * time.Millisecond)
	unavailable(t, "down, after a long time", w.ask(t, anyToken, token), "1")
	w.instead(nil)
	want(t, "up", w.ask(t, anyToken, token), 200, "")
	w.read(t, "up", 3)
}

// await waits until the issuer is asked.
func await(t testing.TB, asked <-chan struct{}) {
	t.Helper()
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("the issuer is not asked")
	}
}

// impatient is a request that waits for nothing.
func impatient(t testing.TB, token string) *http.Request {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// The keys of before stay in use while the issuer is down, and nobody waits for it.
func TestIssuerDownLater(t *testing.T) {
	w := newWorld(t, nil)
	want(t, "up", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.instead(down)
	w.wind(time.Hour)
	want(t, "down", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.read(t, "tried", 2)
	want(t, "down, and tried just now", w.ask(t, anyToken, w.token(t, nil)), 200, "")
	w.read(t, "not tried again", 2)
	unavailable(t, "a key that may be new", w.ask(t, anyToken, w.tokenBy(t, ecKey(t, "second"), nil)), "10")

	// It does not even answer now.
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	w.instead(func(http.ResponseWriter, *http.Request) { close(asked); <-release })
	w.wind(10 * time.Second)
	want(t, "silent", w.send(t, anyToken, impatient(t, w.token(t, nil))), 200, "")
	await(t, asked)
	want(t, "silent still", w.send(t, anyToken, impatient(t, w.token(t, nil))), 200, "")
	unavailable(t, "who needs what it would say", w.send(t, anyToken, impatient(t, w.tokenBy(t, ecKey(t, "second"), nil))), "10")
}

// No herd: of many requests that need the keys one reads them, also when it hangs up.
func TestOneReading(t *testing.T) {
	w := newWorld(t, nil)
	asked, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	w.instead(func(rw http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		w.writeKeys(rw)
	})
	token := w.token(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		unavailable(t, "hung up", w.send(t, anyToken, r), "10")
	})
	await(t, asked)
	hangUp()
	all.Wait()
	var ready sync.WaitGroup
	ready.Add(50)
	for range 50 {
		all.Go(func() {
			ready.Done()
			want(t, "one of many", w.ask(t, anyToken, token), 200, "")
		})
	}
	ready.Wait()
	letGo()
	all.Wait()
	w.read(t, "many requests", 1)
}

// What is not from the issuer, or too much, is not taken for its keys.
func TestKeysRefused(t *testing.T) {
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	for name, c := range map[string]struct {
		metadata map[string]string
		answer   http.HandlerFunc
	}{
		"another issuer's document":   {metadata: map[string]string{"issuer": "https://evil.example/"}},
		"an issuer without its slash": {metadata: map[string]string{"issuer": "-"}},
		"no issuer":                   {metadata: map[string]string{"issuer": ""}},
		"no jwks_uri":                 {metadata: map[string]string{"jwks_uri": ""}},
		"keys without TLS":            {metadata: map[string]string{"jwks_uri": "http://keys.example.test/"}},
		"keys in a file":              {metadata: map[string]string{"jwks_uri": "file:///etc/keys"}},
		"keys nowhere":                {metadata: map[string]string{"jwks_uri": "https://127.0.0.1:1/"}},
		"not found":                   {answer: http.NotFound},
		"no content":                  {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }},
		"a page":                      {answer: text("<html>")},
		"no keys":                     {answer: text(`{"keys":[]}`)},
		"cut short": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"keys":`))
		}},
	} {
		w := newWorld(t, nil)
		for member, value := range c.metadata {
			w.metadata[member] = strings.Replace(value, "-", w.URL, 1)
		}
		w.instead(c.answer)
		unavailable(t, name, w.ask(t, anyToken, w.token(t, nil)), "10")
	}
	// The right keys in the wrong way.
	w := newWorld(t, nil)
	w.instead(func(rw http.ResponseWriter, _ *http.Request) {
		w.writeKeys(rw)
		_, _ = rw.Write(bytes.Repeat([]byte(" "), 256<<10))
	})
	unavailable(t, "too long", w.ask(t, anyToken, w.token(t, nil)), "10")
	w.instead(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusInternalServerError)
		w.writeKeys(rw)
	})
	w.wind(10 * time.Second)
	unavailable(t, "with an error", w.ask(t, anyToken, w.token(t, nil)), "10")
	w.instead(nil)
	w.wind(10 * time.Second)
	want(t, "as they are", w.ask(t, anyToken, w.token(t, nil)), 200, "")
}

// The client that is used by default follows nobody elsewhere.
func TestRedirectIsNotFollowed(t *testing.T) {
	var plain *httptest.Server
	elsewhere := 0
	plain = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere++
		}
		http.Redirect(w, r, plain.URL+"/elsewhere", http.StatusFound)
	}))
	defer plain.Close()
	w := newWorld(t, func(o *stepup.Options) { o.Issuer, o.Client = plain.URL, nil })
	unavailable(t, "redirected", w.ask(t, anyToken, w.token(t, nil)), "10")
	if elsewhere > 0 {
		t.Error("the redirect was followed")
	}
}
