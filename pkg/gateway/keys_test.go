package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/identity"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// load is clients that do the same again and again until the test ends it.
type load struct {
	t       *testing.T
	running sync.WaitGroup
	ended   atomic.Bool
	turns   []atomic.Int64
	between sync.RWMutex // held for reading while a client is at something
}

func newLoad(t *testing.T, does ...func()) *load {
	l := &load{t: t, turns: make([]atomic.Int64, len(does))}
	t.Cleanup(l.end)
	for i, do := range does {
		l.running.Go(func() {
			for !l.ended.Load() && !t.Failed() {
				l.once(do)
				l.turns[i].Add(1)
			}
		})
	}
	return l
}

func (l *load) once(do func()) {
	l.between.RLock()
	defer l.between.RUnlock()
	do()
}

func (l *load) end() {
	l.ended.Store(true)
	l.running.Wait()
}

// wind winds the clock while no client has a one-time password in hand.
func (l *load) wind(w *gatewaytest.World, d time.Duration) {
	l.between.Lock()
	defer l.between.Unlock()
	w.Clock.Wind(d)
}

// turn waits until each client began and ended something since it was called.
func (l *load) turn() {
	l.t.Helper()
	var want []int64
	for i := range l.turns {
		want = append(want, l.turns[i].Load()+2)
	}
	eventually(l.t, "every client goes on", func() bool {
		for i := range l.turns {
			if l.turns[i].Load() < want[i] {
				return l.t.Failed()
			}
		}
		return true
	})
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// api is a verifier that keeps the published keys as long as it may, and never asks for
// one that it does not know.
type api struct {
	w       *gatewaytest.World
	mu      sync.Mutex
	keys    *signer.PublishedKeys
	fetched time.Time
	tokens  map[string]time.Time // every one that is good, and until when
}

// fetch gets the published keys of a gateway.
func fetch(t *testing.T, w *gatewaytest.World) *signer.PublishedKeys {
	t.Helper()
	r := w.Do(t, gatewaytest.Request{Method: http.MethodGet, Path: "/.well-known/jwks.json"}).Want(t, http.StatusOK, "")
	if got := r.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control %q", got)
	}
	keys, err := signer.ParsePublishedKeys([]byte(r.Body))
	if err != nil {
		t.Error(err)
	}
	return keys
}

// take verifies a token, and keeps it.
func (a *api) take(t *testing.T, token string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.w.Clock.Now()
	if a.keys == nil || now.Sub(a.fetched) >= 5*time.Minute {
		a.keys, a.fetched = fetch(t, a.w), now
	}
	var c struct {
		Exp int64 `json:"exp"`
	}
	if err := a.keys.Verify(token, []string{"at+jwt", "JWT"}, &c); err != nil {
		t.Errorf("with keys that were fetched %v ago: %v", now.Sub(a.fetched), err)
	}
	a.tokens[token] = time.Unix(c.Exp, 0)
}

// all verifies every token that is good yet, with keys as any gateway publishes them.
func (a *api) all(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.w.Clock.Now()
	maps.DeleteFunc(a.tokens, func(_ string, until time.Time) bool { return !now.Before(until) })
	for _, node := range a.w.Apart() {
		keys := fetch(t, node)
		for token, until := range a.tokens {
			if err := keys.Verify(token, []string{"at+jwt", "JWT"}, &struct{}{}); err != nil {
				t.Fatalf("%v before it expires: %v", until.Sub(now), err)
			}
		}
	}
}

func kid(t *testing.T, token string) string {
	t.Helper()
	id, err := signer.KeyID(token)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// O-JW-3, I10: signing keys rotate while people log in, and no API that caches the keys
// ever meets a token that it cannot verify.
func TestSigningKeysRotate(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		api := &api{w: w, tokens: map[string]time.Time{}}
		logIn := func() gatewaytest.Reply {
			r := w.Login(t, "carol", gatewaytest.Password, "scope", "openid").Want(t, http.StatusOK, "")
			api.take(t, r.Text("access_token"))
			api.take(t, r.Text("id_token"))
			return r
		}
		first := logIn()
		old := []string{kid(t, first.Text("access_token")), kid(t, first.Text("id_token"))}
		clients := newLoad(t, func() { logIn() }, func() { logIn() })

		plan, rotated, err := admin.RotateSigningKeys(t.Context())
		if err != nil || !rotated {
			t.Fatalf("rotated %v, %v", rotated, err)
		}
		if _, rotated, err := admin.RotateSigningKeys(t.Context()); err != nil || rotated {
			t.Errorf("rotated once more %v, %v", rotated, err)
		}
		keys, err := admin.SigningKeys(t.Context())
		if err != nil || len(keys) != 4 {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		publishedBy := func(n int, ids ...string) bool {
			for _, node := range w.Apart() {
				published := fetch(t, node)
				for _, k := range keys {
					if published.Has(k.ID) {
						n -= 1
					}
				}
				if slices.ContainsFunc(ids, func(id string) bool { return !published.Has(id) }) {
					return false
				}
			}
			return n == 0
		}
		nodes := len(w.Apart())
		eventually(t, "every gateway publishes all keys", func() bool { return publishedBy(4 * nodes) })
		var signs []string
		now := func() []string {
			r := logIn()
			return []string{kid(t, r.Text("access_token")), kid(t, r.Text("id_token"))}
		}
		for w.Clock.Now().Add(time.Minute).Before(plan.SignsAt) {
			clients.turn()
			if got := now(); !slices.Equal(got, old) {
				t.Fatalf("%q sign %v before their time", got, plan.SignsAt.Sub(w.Clock.Now()))
			}
			w.Clock.Wind(time.Minute)
		}
		w.Clock.Wind(plan.SignsAt.Sub(w.Clock.Now()) - time.Millisecond)
		last := logIn()
		w.Clock.Wind(time.Millisecond)
		for range w.Apart() {
			if signs = now(); slices.Contains(old, signs[0]) || slices.Contains(old, signs[1]) {
				t.Errorf("%q sign after their time", signs)
			}
		}
		for w.Clock.Now().Add(2 * time.Hour).Before(plan.RetiresAt) {
			clients.turn()
			api.all(t)
			if !publishedBy(4*nodes, old...) {
				t.Fatal("an old key is not published any more")
			}
			if userinfo(t, w, last.Text("access_token")).Want(t, http.StatusOK, ""); t.Failed() {
				return
			}
			w.Clock.Wind(2 * time.Hour)
		}
		w.Clock.Wind(signer.LongestLife - w.Clock.Now().Sub(plan.SignsAt) - 2*time.Second)
		for range w.Apart() {
			userinfo(t, w, last.Text("access_token")).Want(t, http.StatusOK, "")
		}
		api.all(t)
		w.Clock.Wind(plan.RetiresAt.Sub(w.Clock.Now()))
		clients.turn()
		if !publishedBy(2*nodes, signs...) {
			t.Error("the old keys are published yet")
		}
		api.all(t)
		clients.end()
		w.Restart(t)
		api.all(t)
		if got := now(); !slices.Equal(got, signs) {
			t.Errorf("after a restart %q sign, want %q", got, signs)
		}
	}, "lifetimes: {access_token: 24h, id_token: 24h}")
}

// The sealing key rotates while people log in and enroll: nothing fails, and in the end
// nothing needs the old key.
func TestSealingKeyRotates(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		admin := w.Administer(t)
		alice := w.Enroll(t, "alice")
		recovery := alice.Recovery
		hash, err := admin.Passwords.Hash(t.Context(), secret.New(gatewaytest.Password))
		if err == nil {
			err = admin.CreateUser(t.Context(), identity.User{ID: "auth0|erin", Username: "erin"}, hash, record.ManagedByAPI, event(w))
		}
		if err != nil {
			t.Fatal(err)
		}
		lost := struct{ code, token, next string }{code: w.Enroll(t, "erin").Recovery, token: ask(t, w, "spa", "erin")}
		lost.next = w.Recover(t, lost.token, lost.code).Want(t, http.StatusOK, "").Text("recovery_code")
		clients := newLoad(t,
			func() {
				r := w.Recover(t, ask(t, w, "spa", "alice"), recovery).Want(t, http.StatusOK, "")
				recovery = r.Text("recovery_code")
			},
			func() {
				token := ask(t, w, "web", "carol")
				made := w.Associate(t, token, map[string]any{"authenticator_types": []string{"otp"}}).Want(t, http.StatusOK, "")
				w.Token(t, with("web", "grant_type", gatewaytest.GrantOTP, "mfa_token", token, "otp", w.Code(t, made.Text("secret"), 0))...).
					Want(t, http.StatusOK, "")
				if _, err := admin.ResetFactors(t.Context(), "auth0|carol", event(w)); err != nil {
					t.Error(err)
				}
			})
		clients.turn()
		before := ask(t, w, "spa", "alice")
		path := w.Options(t).Config.Secrets.KeyFile
		ring, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		old, _, err := admin.SealingKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := admin.AddSealingKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.AddSealingKey(t.Context()); err == nil || !strings.Contains(err.Error(), "the ring has 2 keys already") {
			t.Errorf("a second one at once: %v", err)
		}
		if _, err := admin.DropOldSealingKeys(t.Context()); err == nil {
			t.Error("the old key goes at once")
		}
		eventually(t, "the new key seals", func() bool {
			now, _, err := admin.SealingKey(t.Context())
			return err == nil && now == fresh
		})
		clients.turn()
		clients.wind(w, 30*time.Second) // everybody asks again which key seals
		eventually(t, "everything is sealed anew", func() bool {
			left, err := admin.SealedWith(t.Context(), old)
			return err == nil && len(left) == 0
		})
		clients.turn()
		if _, err := admin.DropOldSealingKeys(t.Context()); err == nil || !strings.Contains(err.Error(), "an mfa_token of "+old+" is good until") {
			t.Errorf("the old key goes while tokens of it are about: %v", err)
		}
		w.OTP(t, before, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		for range w.Apart() { // what the clock did not outlive yet is told again, by either key
			if r := w.Recover(t, lost.token, lost.code).Want(t, http.StatusForbidden, "invalid_grant"); r.Text("recovery_code") != lost.next {
				t.Errorf("the answer that was lost is told as %s", r.Body)
			}
		}

		clients.wind(w, 11*time.Minute)
		eventually(t, "nothing needs the old key", func() bool {
			gone, err := admin.DropOldSealingKeys(t.Context())
			return err == nil && slices.Equal(gone, []string{old})
		})
		clients.turn()
		eventually(t, "every gateway has read the ring again", func() bool {
			clients.wind(w, 15*time.Second)
			nodes, err := admin.Holders(t.Context())
			return err == nil && len(nodes) == len(w.Apart()) &&
				!slices.ContainsFunc(nodes, func(n gateway.Holder) bool { return !slices.Equal(n.Keys, []string{fresh}) })
		})
		clients.turn()
		clients.end()
		w.Restart(t)
		w.Recover(t, ask(t, w, "spa", "alice"), recovery).Want(t, http.StatusOK, "")
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")

		// With the ring of before nobody serves this database.
		if err := os.WriteFile(path, ring, 0o600); err != nil {
			t.Fatal(err)
		}
		if w.State() != nil { // else a second gateway is refused for another reason
			g, err := gateway.New(t.Context(), w.Options(t))
			if err == nil {
				t.Fatal(g.Close())
			}
			if !strings.Contains(err.Error(), "secrets.key_file is not the ring that this database was sealed with; put the old one back") {
				t.Error(err)
			}
		}
		// Those that serve go on with what they have.
		w.Clock.Wind(30 * time.Second)
		eventually(t, "a gateway says that it does not take the ring", func() bool {
			return strings.Contains(w.Log.String(), "the key ring of before stays in use")
		})
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		for _, kept := range []string{string(ring), w.Log.String()} {
			var file struct{ Keys []struct{ Key string } }
			if json.Unmarshal(ring, &file) != nil || len(file.Keys) != 1 {
				t.Fatalf("%d keys in the ring of before", len(file.Keys))
			}
			if kept != string(ring) && strings.Contains(kept, file.Keys[0].Key) {
				t.Error("the log shows a key of the ring")
			}
		}
	})
}

// A node that was not heard of for so long that the others chose a key without it is not
// ready until it has the ring, and seals nothing anew meanwhile.
func TestNodeThatMissedTheRing(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		ready := func(status int) func() bool {
			return func() bool {
				for _, url := range w.Manage() {
					res, err := http.Get(url + "/readyz") //nolint:noctx // a test's own gateway
					if err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					if res.StatusCode != status {
						return false
					}
				}
				return true
			}
		}
		o := w.Options(t)
		here, elsewhere := o.Config.Secrets.KeyFile, t.TempDir()+"/keys.json"
		put := func(from, to string) {
			t.Helper()
			ring, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, ring, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		put(here, elsewhere)
		o.Config.Secrets.KeyFile = elsewhere
		open := func() *gateway.Administration {
			t.Helper()
			a, err := gateway.Administer(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = a.Close() })
			return a
		}
		a := open()
		fresh, err := a.AddSealingKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nodes, err := a.Holders(t.Context())
		if err != nil || len(nodes) != len(w.Manage()) {
			t.Fatalf("nodes %+v, %v", nodes, err)
		}
		for _, n := range nodes {
			if err := a.LeaveRing(t.Context(), n.Node); err != nil {
				t.Fatal(err)
			}
		}
		a = open()
		if err := a.HoldRing(t.Context(), "elsewhere"); err != nil {
			t.Fatal(err)
		}
		if now, _, err := a.SealingKey(t.Context()); err != nil || now != fresh {
			t.Fatalf("%s seals, %v", now, err)
		}
		eventually(t, "every gateway is ready", ready(http.StatusOK))
		w.Clock.Wind(15 * time.Second)
		eventually(t, "no gateway is ready", ready(http.StatusServiceUnavailable))
		put(elsewhere, here)
		eventually(t, "every gateway is ready again", ready(http.StatusOK))
		eventually(t, "everything is sealed anew", func() bool {
			left, err := a.SealedElsewhere(t.Context(), []string{fresh})
			return err == nil && len(left) == 0
		})
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}
