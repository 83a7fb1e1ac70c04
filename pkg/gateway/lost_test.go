package gateway_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// T-22: a client whose connection broke after its recovery code was accepted sends the same
// request again. It gets no tokens, for the code is used up, but the code that replaced it.
func TestLostReply(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		token := ask(t, w, "spa", "alice")
		a := w.Administer(t)
		issued := func() bool {
			last, err := a.AuditEvents(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			return last[0].Type == audit.TokensIssued
		}
		body := gatewaytest.Encode("grant_type", gatewaytest.GrantRecovery, "client_id", "spa", "mfa_token", token, "recovery_code", alice.Recovery)
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.Address())
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(c, "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); !issued(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing was issued")
			}
		}
		if err := c.Close(); err != nil { // without having read a byte
			t.Fatal(err)
		}

		var next string
		for range 2 { // as often as the connection breaks, on any node
			again := w.Recover(t, token, alice.Recovery).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
			if next = again.Text("recovery_code"); len(next) != 24 || !again.Has("error", "error_description", "recovery_code") {
				t.Fatalf("answer %s", again.Body)
			}
		}
		other := ask(t, w, "spa", "alice")
		if r := w.Recover(t, other, alice.Recovery).Want(t, http.StatusForbidden, "invalid_grant"); !r.Has("error", "error_description") {
			t.Errorf("with another login: %s", r.Body)
		}
		w.Authenticators(t, token).Want(t, http.StatusUnauthorized, "invalid_grant") // it is good for nothing else
		w.Challenge(t, token).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusForbidden, "invalid_grant").Say(t, "Malformed mfa_token")

		w.Recover(t, other, next).Want(t, http.StatusOK, "")
		if r := w.Recover(t, token, alice.Recovery).Want(t, http.StatusForbidden, "invalid_grant"); !r.Has("error", "error_description") {
			t.Errorf("after the new one was used: %s", r.Body)
		}
		w.Clock.Wind(10 * time.Minute)
		w.Recover(t, token, alice.Recovery).Want(t, http.StatusUnauthorized, "expired_token")
	})
}
