package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// A key has its id as the hash tag, and goes by itself, but not before its challenge; no
// poll makes it last.
func TestChallengeKey(t *testing.T) {
	_, s, bare := world(t)
	c := asked("abc")
	c.ExpiresAt = now.Add(time.Minute)
	if err := s.CreateChallenge(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Poll(t.Context(), oob.Poll{ID: "abc", Waiter: "w"}); err != nil {
			t.Fatal(err)
		}
	}
	decide(t, s, "abc", oob.Denied)
	keys, err := bare.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || keys[0] != "oob:{abc}" {
		t.Fatalf("keys %q, %v, want oob:{abc} alone", keys, err)
	}
	least := time.Minute + oob.Window
	ttl, err := bare.PTTL(t.Context(), keys[0]).Result()
	if err != nil || ttl < least || ttl > least+time.Minute {
		t.Errorf("key lives for %v, %v, want %v and a little longer", ttl, err, least)
	}
}

// A poll is one command, whatever it finds.
func TestPollIsOneTrip(t *testing.T) {
	trips := 0
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(storagetest.Redis(t)),
		Watch: func(ctx context.Context, operation string) (context.Context, func(error)) {
			if operation != "dial" && operation != "pipeline" {
				trips++
			}
			return ctx, func(error) {}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ask(t, s, "a")
	wantPoll(t, s, "a", oob.Pending) // the server learns the script
	for _, id := range []string{"a", "none"} {
		before := trips
		_, _ = s.Poll(t.Context(), oob.Poll{ID: id, Waiter: "w"})
		if trips != before+1 {
			t.Errorf("polling %q took %d commands, want 1", id, trips-before)
		}
	}
}

// What cannot be read is an error and never "not found", nor is it an approval.
func TestUnreadableChallenge(t *testing.T) {
	_, s, bare := world(t)
	c := asked("x")
	c.ExpiresAt = now.Add(time.Minute)
	if err := s.CreateChallenge(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	const key = "oob:{x}"
	good, err := bare.HGetAll(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	for field, values := range map[string][]string{
		"state":    {"", "expired ", "redeemed", "APPROVED"},
		"expires":  {"", "soon"},
		"interval": {"", "x"},
		"next":     {"", "x"},
		"value":    {"", "null", "\x00", "[]", good["value"][:20], strings.Replace(good["value"], `"v":1`, `"v":2`, 1), strings.Replace(good["value"], `"id":"x"`, `"id":"y"`, 1)},
	} {
		for _, value := range values {
			if err := bare.HSet(t.Context(), key, field, value).Err(); err != nil {
				t.Fatal(err)
			}
			_, state, err := s.Challenge(t.Context(), "x")
			polled, pollErr := s.Poll(t.Context(), oob.Poll{ID: "x"})
			if err == nil && pollErr == nil || fault.Of(err) == fault.NotFound || fault.Of(pollErr) == fault.NotFound ||
				state == oob.Approved || polled.State == oob.Approved {
				t.Errorf("%s is %q: %s, %v; %+v, %v, want an error", field, value, state, err, polled, pollErr)
			}
			if err := bare.HSet(t.Context(), key, field, good[field]).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := bare.Set(t.Context(), "oob:{text}", "text", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Poll(t.Context(), oob.Poll{ID: "text"}); err == nil || fault.Of(err) == fault.NotFound {
		t.Errorf("no hash: %v, want an error", err)
	}
}
