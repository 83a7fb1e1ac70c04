package gateway_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

const tooMany = "Too many failed codes. Wait for some minutes before retrying."

// guesses sends wrong one-time passwords, some at a time, and counts those that were
// looked at.
func guesses(t *testing.T, w *gatewaytest.World, token, seed string, n int) (looked int) {
	t.Helper()
	wrong := w.Code(t, seed, 100)
	for left := n; left > 0; left -= parallel {
		for _, r := range gatewaytest.Race(min(parallel, left), func(int) gatewaytest.Reply { return w.OTP(t, token, wrong) }) {
			switch r.Status {
			case http.StatusForbidden:
				r.Say(t, "Invalid otp_code.")
				looked++
			default:
				r.Want(t, http.StatusTooManyRequests, "too_many_attempts").Say(t, tooMany)
				if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || s < 1 || s > 24*3600 {
					t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
				}
			}
		}
	}
	return looked
}

// A9, R4, R15, R17, N-TH-4: with the password known, as many guesses as two nodes answer
// are looked at as are configured, and no more: across mfa_tokens, clients, nodes, and a
// state store that was emptied.
func TestR4GuessingWaits(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		open := func() string { return ask(t, w, "spa", "alice") }
		if n := guesses(t, w, open(), alice.Seed, 700); n != 4 {
			t.Errorf("%d of 700 guesses were looked at, want 4", n)
		}
		w.ForgetState(t)
		if n := guesses(t, w, open(), alice.Seed, 300); n != 0 {
			t.Errorf("%d more after the state store was emptied", n)
		}
		// The right code waits like a wrong one, and is good afterwards.
		token := open()
		for range 2 { // on every node the same
			r := w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusTooManyRequests, "too_many_attempts")
			if got := r.Header.Get("Retry-After"); got != "1" {
				t.Errorf("Retry-After %q, want 1", got)
			}
		}
		w.Recover(t, token, alice.Recovery).Want(t, http.StatusTooManyRequests, "too_many_attempts")
		w.Clock.Wind(time.Second)
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
		// A completed login ends the wait; R5: whoever has not the password delays nobody.
		w.Clock.Wind(30 * time.Second)
		token = open()
		if n := guesses(t, w, token, alice.Seed, 10); n != 4 {
			t.Errorf("%d guesses were looked at after a login, want 4", n)
		}
		w.Clock.Wind(time.Second)
		for range 8 {
			w.Login(t, "alice", "wrong "+gatewaytest.Password).Want(t, http.StatusForbidden, "invalid_grant")
		}
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// At most 25 a day, also for who can end each wait; the next day it goes on. The day's
// count is shared by all factors, and a refresh ends no wait.
func TestR15GuessingDaily(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		looked, session := 0, strong(t, w, "alice", alice.Seed).Text("refresh_token")
		for range 7 { // a user who logs in every hour, and somebody who guesses between
			looked += guesses(t, w, ask(t, w, "spa", "alice"), alice.Seed, parallel)
			session = refresh(t, w, session).Want(t, http.StatusOK, "").Text("refresh_token")
			w.Clock.Wind(time.Hour)
			if looked < 25 {
				strong(t, w, "alice", alice.Seed)
			}
		}
		if looked != 25 {
			t.Errorf("%d guesses were looked at, want 25", looked)
		}
		token := ask(t, w, "spa", "alice")
		r := w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusTooManyRequests, "too_many_attempts")
		w.Recover(t, token, alice.Recovery).Want(t, http.StatusTooManyRequests, "too_many_attempts").Say(t, tooMany)
		left, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil || left > 24*3600 || left < 16*3600 {
			t.Fatalf("Retry-After %q", r.Header.Get("Retry-After"))
		}
		w.Clock.Wind(time.Duration(left) * time.Second)
		w.OTP(t, ask(t, w, "spa", "alice"), w.Code(t, alice.Seed, 0)).Want(t, http.StatusOK, "")
	})
}

// N-TH-1, N-TH-3: the count of an authenticator ends with its own success alone; at the
// limit it is disabled, until its owner's factors are reset.
func TestR17GuessingDisables(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		alice := w.Enroll(t, "alice")
		recovery := alice.Recovery
		looked := 0
		for looked < 12 {
			token := ask(t, w, "spa", "alice")
			looked += guesses(t, w, token, alice.Seed, 4)
			recovery = w.Recover(t, wound(t, w, token), recovery).Want(t, http.StatusOK, "").Text("recovery_code")
			w.Clock.Wind(time.Hour)
		}
		token := ask(t, w, "spa", "alice")
		w.OTP(t, token, w.Code(t, alice.Seed, 0)).Want(t, http.StatusUnauthorized, "unsupported_challenge_type")
		for _, row := range w.Authenticators(t, token).Want(t, http.StatusOK, "").List {
			if row["active"] != (row["type"] == "recovery-code") {
				t.Errorf("row %v", row)
			}
		}
		// It counts as enrolled still, so that nobody enrolls another one.
		w.Associate(t, token, anOTP).Want(t, http.StatusForbidden, "access_denied")
		w.Recover(t, token, recovery).Want(t, http.StatusOK, "")
		if _, err := w.Administer(t).ResetFactors(t.Context(), "auth0|alice", event(w)); err != nil {
			t.Fatal(err)
		}
		w.Clock.Wind(24 * time.Hour)
		w.Enroll(t, "alice")
	}, "throttle: {disable_after: 12}")
}

// wound is an mfa_token of a login for which no wait is left.
func wound(t *testing.T, w *gatewaytest.World, token string) string {
	t.Helper()
	w.Clock.Wind(time.Second)
	return token
}

// Passwords: ten wrong ones for a user from one address, then one every six minutes; the
// right one waits like a wrong one, and nobody else does.
func TestPasswordsWait(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		looked := 0
		for _, r := range gatewaytest.Race(parallel, func(int) gatewaytest.Reply { return w.Login(t, "Carol", "wrong password") }) {
			switch r.Status {
			case http.StatusForbidden:
				r.Say(t, "Wrong email or password.")
				looked++
			case http.StatusServiceUnavailable: // a machine with much to do hashes no more at once
			default:
				r.Want(t, http.StatusTooManyRequests, "too_many_attempts")
			}
		}
		for looked < 10 && w.Login(t, "carol", "wrong password").Status == http.StatusForbidden {
			looked++
		}
		if looked != 10 {
			t.Errorf("%d passwords were looked at, want 10", looked)
		}
		r := w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusTooManyRequests, "too_many_attempts")
		if got := r.Header.Get("Retry-After"); got != "360" {
			t.Errorf("Retry-After %q, want 360", got)
		}
		w.Login(t, "alice", gatewaytest.Password).Want(t, http.StatusOK, "")
		w.Clock.Wind(6 * time.Minute)
		w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusOK, "")
		w.Login(t, "carol", "wrong password").Want(t, http.StatusForbidden, "invalid_grant")
		looked = 0
		for n := range 24 { // who has two names has one limit
			if w.Login(t, []string{"bob", "bob@example.test"}[n%2], "wrong password").Status == http.StatusForbidden {
				looked++
			}
		}
		if looked != 10 {
			t.Errorf("%d passwords were looked at under two names, want 10", looked)
		}

		// R24: a name that nobody has is limited alike.
		for n := range 11 {
			want := http.StatusForbidden
			if n == 10 {
				want = http.StatusTooManyRequests
			}
			if r := w.Login(t, "nobody", "wrong password"); r.Status != want {
				t.Errorf("attempt %d: %d %s", n, r.Status, r.Body)
			}
		}
	})
}

// An address has a limit of its own, whoever the passwords are for.
func TestAddressWaits(t *testing.T) {
	gatewaytest.Each(t, func(t *testing.T, w *gatewaytest.World) {
		for n := range 12 {
			want, code := http.StatusForbidden, "invalid_grant"
			if n == 11 {
				want, code = http.StatusTooManyRequests, "too_many_attempts"
			}
			w.Login(t, fmt.Sprint("user ", n), "wrong password").Want(t, want, code)
		}
		r := w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusTooManyRequests, "too_many_attempts")
		if got := r.Header.Get("Retry-After"); got != "36" {
			t.Errorf("Retry-After %q, want 36", got)
		}
		w.Clock.Wind(36 * time.Second)
		w.Login(t, "carol", gatewaytest.Password).Want(t, http.StatusOK, "")
	}, "throttle: {address_attempts: 11}")
}
