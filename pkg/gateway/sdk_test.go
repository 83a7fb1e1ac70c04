package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/record"
)

// Checks A1, A2 and A6 with the official client for Node, and the end of a token.
func TestOfficialNodeClient(t *testing.T) {
	eachExample(t, "auth-js", func(t *testing.T, e example) {
		enrolled := e.play(t, "login.mjs enroll")
		seed, code := text(t, enrolled, "secret"), text(t, enrolled, "recoveryCode")
		e.world.Clock.Wind(30 * time.Second)
		done := e.play(t, "login.mjs login", "SALLYPORT_SECRET="+seed)
		ended := e.play(t, "login.mjs logout", "SALLYPORT_ACCESS_TOKEN="+text(t, done, "accessToken"))
		who, _ := ended["claims"].(map[string]any)
		equal(t, who, map[string]any{"sub": "auth0|alice", "name": "Alice Example"})
		if again := text(t, e.play(t, "login.mjs recovery", "SALLYPORT_RECOVERY_CODE="+code), "recoveryCode"); again == code {
			t.Error("the recovery code was not replaced")
		}
	})
}

// Check A7: a token for /mfa/ does what its scopes say; TestTwinsGoTogether has the twins.
func TestOfficialNodeClientManages(t *testing.T) {
	eachExample(t, "auth-js", func(t *testing.T, e example) {
		alice := e.world.Enroll(t, "alice")
		list := func(step string, more ...string) int {
			t.Helper()
			rows, _ := e.play(t, step, append(more, "SALLYPORT_SECRET="+alice.Seed)...)["rows"].([]any)
			e.world.Clock.Wind(30 * time.Second)
			return len(rows)
		}
		if n := list("manage.mjs look"); n != 2 {
			t.Errorf("%d rows, want the app and the recovery code", n)
		}
		second := e.play(t, "manage.mjs add", "SALLYPORT_SECRET="+alice.Seed)
		e.world.Clock.Wind(30 * time.Second)
		e.play(t, "login.mjs login", "SALLYPORT_SECRET="+text(t, second, "secret"))
		if n := list("manage.mjs remove", "SALLYPORT_AUTHENTICATOR_ID="+text(t, second, "authenticatorId")); n != 2 {
			t.Errorf("%d rows after the removal, want 2", n)
		}
	})
}

// Check A8: what is no mfa_token, not this client's, or too old.
func TestOfficialNodeClientIsRefused(t *testing.T) {
	eachExample(t, "auth-js", func(t *testing.T, e example) {
		e.env = append(append(e.env, "SALLYPORT_SECRET="+e.world.Enroll(t, "alice").Seed), clientVariables("SALLYPORT_OTHER_", "desk")...)
		token := text(t, e.play(t, "refusals.mjs now"), "mfaToken")
		e.world.Clock.Wind(10 * time.Minute)
		e.play(t, "refusals.mjs expired", "SALLYPORT_MFA_TOKEN="+token)
	})
}

// Check A10: a refresh asks for the second factor that its user has set up since, and the
// old refresh token is good until then and dead afterwards.
func TestOfficialNodeClientRefreshes(t *testing.T) {
	eachExample(t, "auth-js", func(t *testing.T, e example) {
		e.asDesk(t)
		e.env = append(e.env, "SALLYPORT_USERNAME=carol")
		token := text(t, e.play(t, "refresh.mjs login"), "refreshToken")
		carol := e.world.Enroll(t, "carol")
		done := e.play(t, "refresh.mjs refresh", "SALLYPORT_REFRESH_TOKEN="+token, "SALLYPORT_SECRET="+carol.Seed)
		proved, _ := done["claims"].(map[string]any)
		equal(t, proved, map[string]any{"sub": "auth0|carol", "amr": []any{"pwd", "otp", "mfa"}, "acr": record.MultiFactor})
	})
}

// The official client for Node with a key instead of a secret: what it signs holds, and
// its challenges, which it does not sign, are answered (1.3.2).
func TestOfficialNodeClientWithAKey(t *testing.T) {
	eachExample(t, "auth-js", func(t *testing.T, e example) {
		w := e.world
		alice := w.Enroll(t, "alice")
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "client.pem")
		write(t, file, "PRIVATE KEY", der)
		// It gets a second key beside its first, as when one replaces the other.
		w.Restart(t, "    jwks:\n", "    jwks:\n      - {kty: RSA, e: AQAB, n: "+base64.RawURLEncoding.EncodeToString(key.N.Bytes())+"}\n")

		said := e.play(t, "machine.mjs", "SALLYPORT_CLIENT_ID=robot", "SALLYPORT_CLIENT_KEY="+file, "SALLYPORT_AUDIENCE="+things,
			"SALLYPORT_OTP="+w.Code(t, alice.Seed, 0))
		equal(t, claims(t, w, text(t, said, "own"), "at+jwt"), map[string]any{"sub": "robot", "aud": things, "sid": nil})
		equal(t, claims(t, w, text(t, said, "user"), "at+jwt"), map[string]any{"sub": "auth0|alice", "client_id": "robot"})
		own(t, w, w.Assertion(t, nil)).Want(t, 200, "")
	})
}

// Somebody who forgot something, or called another server, is told what in a line.
func TestExamplesFailInALine(t *testing.T) {
	for want, c := range map[string]struct {
		step string
		env  []string
	}{
		"usage: node login.mjs enroll|login|recovery|logout\n": {"login.mjs", nil},
		"set SALLYPORT_DOMAIN; README.md says how\n":           {"login.mjs enroll", nil},
		"enroll: fetch failed: ": {"login.mjs enroll", append(clientVariables("SALLYPORT_", "web"),
			"SALLYPORT_DOMAIN=localhost:"+freePort(t), "SALLYPORT_USERNAME=alice", "SALLYPORT_PASSWORD=x")},
	} {
		e := example{folder: installed(t, "auth-js")}
		_, said, err := e.run(t, c.step, c.env...)
		if err == nil || !strings.HasPrefix(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("the example says %q, want %q, %v", said, want, err)
		}
	}
}
