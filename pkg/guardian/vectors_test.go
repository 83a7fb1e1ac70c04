package guardian_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/pkg/signer"
)

// vectors are those of the contract (section 17.1); what signed them was thrown away.
type vectors struct {
	RSA, EC                             json.RawMessage
	Accept, Reject, Account, Proof, Web string
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// theirs is the token of the vectors' transaction.
const theirs = "txtkn.example.value"

// known takes the vectors' token, which is no JWT, for one of the gateway's.
type known struct{ challenge string }

func (known) Sign(string, string, map[string]any) (string, error) { return "", errors.New("no key") }

func (k known) Verify(_ context.Context, token, _ string, into any) error {
	if token != theirs {
		return errors.New("another token")
	}
	return json.Unmarshal(encode(map[string]any{"iss": "https://gw.example.com/", "aud": "https://gw.example.com/",
		"sub": subject, "txid": k.challenge, "exp": epoch.Unix() + 60}), into)
}

// vectorWorld has a device with a key of the vectors, and one challenge for it.
func vectorWorld(t *testing.T, jwk json.RawMessage, identifier, challenge string) *world {
	t.Helper()
	w := newWorld(t)
	w.serve(push.Transactions{Keys: known{challenge}, Issuer: w.url})
	key, err := signer.ParseDeviceKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	const id = "dev_Q3x9L2mZ7aVb0Kc1"
	w.store.Associate("auth0|u1", "tx", mfa.Authenticator{ID: "push|" + id, Group: id})
	err = w.store.EnrollDevice(t.Context(), oob.Device{ID: id, Authenticator: "push|" + id, Subject: "auth0|u1",
		Identifier: identifier, Key: key.String(), EnrolledAt: epoch}, epoch, audit.Event{})
	if err != nil {
		t.Fatal(err)
	}
	c := oob.Challenge{ID: challenge, Handle: "tx", Authenticator: "push|" + id, Channel: "auth0", Answered: true,
		Subject: "auth0|u1", CreatedAt: epoch, ExpiresAt: epoch.Add(time.Minute), Binding: record.BindingToPage}
	if c.Code, err = w.ring.Seal("binding-code", c.ID, secret.New("493021")); err != nil {
		t.Fatal(err)
	}
	if err := w.challenges.CreateChallenge(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.store.Ask(c)
	return w
}

// TestVectors: the vectors are taken as they stand.
func TestVectors(t *testing.T) {
	v := readVectors(t)
	for name, tt := range map[string]struct {
		jwk        json.RawMessage
		identifier string
		response   string
		want       oob.State
		event      audit.Type
	}{
		"Android accepts": {v.RSA, "a1b2c3d4e5f60718", v.Accept, oob.Approved, audit.Approved},
		"Swift rejects":   {v.RSA, "6F1C2B9E-0000-4000-8000-00000000AB01", v.Reject, oob.Denied, audit.Reported},
		"a page approves": {v.EC, "pwa-01", v.Web, oob.Approved, audit.Approved},
	} {
		t.Run(name, func(t *testing.T) {
			w := vectorWorld(t, tt.jwk, tt.identifier, "chl_7hQ2")
			got := w.request("POST", "/appliance-mfa/api/resolve-transaction", `{"challenge_response":"`+tt.response+`"}`, "Authorization", "Bearer "+theirs)
			if got.Code != http.StatusNoContent {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
			if _, state, err := w.challenges.Challenge(t.Context(), "chl_7hQ2"); err != nil || state != tt.want {
				t.Errorf("%s %v", state, err)
			}
			if e := last(t, w); e.Type != tt.event || e.Reason != "" && e.Reason != "hacked" {
				t.Errorf("%+v", e)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		w := vectorWorld(t, v.EC, "pwa-01", "chl_7hQ2")
		refused(t, w.request("POST", "/api/resolve-transaction", `{"challenge_response":"`+v.Accept+`"}`, "Authorization", "Bearer "+theirs),
			401, "invalid_challenge")
	})
	t.Run("device account", func(t *testing.T) {
		w := vectorWorld(t, v.RSA, "a1b2c3d4e5f60718", "chl_7hQ2")
		if got := w.request("DELETE", "/appliance-mfa/api/device-accounts/dev_Q3x9L2mZ7aVb0Kc1", "", "Authorization", "Bearer "+v.Account); got.Code != http.StatusNoContent {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
	t.Run("consent", func(t *testing.T) {
		w := vectorWorld(t, v.RSA, "a1b2c3d4e5f60718", "01")
		got := w.request("GET", "/rich-consents/cns_01", "", "Authorization", "MFA-DPoP "+theirs, "MFA-DPoP", v.Proof)
		if got.Code != http.StatusOK || got.Body.String() != `{"id":"cns_01","requested_details":{"audience":"","scope":[],"binding_message":"493021",`+
			`"authorization_details":[]},"created_at":"2026-01-02T03:04:10.000Z","expires_at":"2026-01-02T03:05:10.000Z"}` {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
}
