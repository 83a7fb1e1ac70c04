package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
	"github.com/sallyport/sallyport/storage/redis"
	"github.com/sallyport/sallyport/storage/storagetest"
)

// asked is a live challenge. Ids with the same text before a brace have the same slot.
func asked(id string) oob.Challenge {
	return oob.Challenge{
		ID: id, Authenticator: "push|dev_1", Answered: true, Subject: "auth0|alice",
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(5 * time.Minute),
	}
}

func ask(t *testing.T, s *redis.Store, id string) {
	t.Helper()
	if err := s.CreateChallenge(t.Context(), asked(id)); err != nil {
		t.Fatalf("create %q: %v", id, err)
	}
}

func decide(t *testing.T, s *redis.Store, id string, state oob.State) {
	t.Helper()
	if err := s.Decide(t.Context(), id, state); err != nil {
		t.Fatalf("%q is %s: %v", id, state, err)
	}
}

func wantPoll(t *testing.T, s *redis.Store, id string, state oob.State) {
	t.Helper()
	if got, err := s.Poll(t.Context(), oob.Poll{ID: id}); err != nil || got.State != state || got.TooSoon {
		t.Errorf("poll %q: %+v, %v, want it %s", id, got, err, state)
	}
}

func wantState(t *testing.T, s *redis.Store, id string, state oob.State) {
	t.Helper()
	if _, got, err := s.Challenge(t.Context(), id); err != nil || got != state {
		t.Errorf("%q: %s, %v, want it %s", id, got, err, state)
	}
}

// awaitServed asks until a challenge is found. Until then it is Unavailable and nothing
// else: a master that is gone does not mean that there is no challenge.
func awaitServed(t *testing.T, s *redis.Store, id string) {
	t.Helper()
	began := time.Now()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		_, _, err := s.Challenge(t.Context(), id)
		if err == nil {
			t.Logf("served again after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		if fault.Of(err) != fault.Unavailable || time.Since(began) > takeover {
			t.Fatalf("after %v: %v, want it served", time.Since(began), err)
		}
		<-again.C
	}
}

// What the failover of a master that replicates to nobody brings back, and what it takes
// while connections to it are held.
func TestFailoverLosesWhatWasAcknowledged(t *testing.T) {
	g := storagetest.NewRedisFailover(t)
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(g.URL)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	heard := listening(t, s)
	for _, id := range []string{"open", "approved", "denied", "redeemed", "polled"} {
		ask(t, s, id)
	}
	decide(t, s, "redeemed", oob.Approved)
	g.Cut(t)

	wantPoll(t, s, "redeemed", oob.Approved)
	wantPoll(t, s, "redeemed", oob.Pending) // the lease is another poll's
	decide(t, s, "approved", oob.Approved)
	decide(t, s, "denied", oob.Denied)
	wantPoll(t, s, "polled", oob.Pending)
	ask(t, s, "new")
	heard.drain()
	g.Promote(t)

	awaitServed(t, s, "open")
	heard.want(t, "")                        // it may have missed some
	wantPoll(t, s, "redeemed", oob.Approved) // told once more: SQL knows that it was redeemed
	wantState(t, s, "approved", oob.Pending) // asked again
	wantState(t, s, "denied", oob.Pending)   // SQL knows better
	wantState(t, s, "open", oob.Pending)     // and nothing is approved out of nothing
	wantPoll(t, s, "polled", oob.Pending)    // an interval was forgotten
	if _, err := s.Poll(t.Context(), oob.Poll{ID: "new"}); fault.Of(err) != fault.NotFound {
		t.Errorf("what the new master was never told of: %v, want NotFound", err)
	}
	decide(t, s, "denied", oob.Denied)
	heard.want(t, "denied")
	wantState(t, s, "denied", oob.Denied)
	ask(t, s, "new")
}

// ears are what a node heard.
type ears chan string

// listening returns when the node hears.
func listening(t *testing.T, s *redis.Store) ears {
	t.Helper()
	heard := make(ears, 10_000)
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Listen(ctx, func(id string) { heard <- id }) })
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	heard.want(t, "")
	return heard
}

func (e ears) want(t *testing.T, id string) {
	t.Helper()
	late := time.After(takeover)
	for {
		select {
		case got := <-e:
			if got == id {
				return
			}
		case <-late:
			t.Fatalf("nobody told of %q", id)
		}
	}
}

func (e ears) drain() {
	for len(e) > 0 {
		<-e
	}
}

// Each node listens for itself, and again when its server is back.
func TestListenReconnects(t *testing.T) {
	server, _, _ := world(t)
	one, other := open(t, server.URL, nil), open(t, server.URL, nil)
	heard := listening(t, one)
	ask(t, other, "a")
	decide(t, other, "a", oob.Approved)
	heard.want(t, "a")
	for n := range 2 {
		server.Stop(t)
		server.Start(t)
		heard.want(t, "")
		awaitPing(t, other)
		id := fmt.Sprint("b", n)
		ask(t, other, id)
		decide(t, other, id, oob.Denied)
		heard.want(t, id)
	}
}

// A server that does not say that it is gone is found out.
func TestListenNoticesSilence(t *testing.T) {
	server := storagetest.NewRedis(t)
	var lines lockedBuffer
	s, err := redis.Open(t.Context(), redis.Options{URL: secret.New(server.URL), Log: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	heard := listening(t, s)
	server.Freeze(t)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); !strings.Contains(lines.String(), "does not tell of answers"); <-again.C {
		if time.Since(began) > takeover {
			t.Fatalf("it is not missed:\n%s", lines.String())
		}
	}
	server.Thaw(t)
	heard.want(t, "")
}

// Where publishing is forbidden nothing is decided, rather than half.
func TestPublishForbidden(t *testing.T) {
	server, _, bare := world(t)
	url := strings.Replace(server.URL, "redis://:", "redis://gateway:", 1)
	allow := func(channels string) {
		t.Helper()
		err := bare.Do(t.Context(), "ACL", "SETUSER", "gateway", "on", ">"+bare.Options().Password, "+@all",
			"~mfa:*", "~oob:*", "~ticket:*", "resetchannels", channels).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
	allow("&other")
	s := open(t, url, nil)
	ask(t, s, "a")
	wantUnavailable(t, "decide", s.Decide(t.Context(), "a", oob.Approved))
	wantPoll(t, s, "a", oob.Pending)
	allow("&oob:changes")
	heard := listening(t, s)
	decide(t, s, "a", oob.Approved)
	heard.want(t, "a")
}

// A master that has become a replica answers nothing, although it may have what is asked
// for, and although what it has not may be elsewhere.
func TestReplicaIsNotAsked(t *testing.T) {
	_, _, bare := world(t)
	s := open(t, "redis://:"+bare.Options().Password+"@"+bare.Options().Addr, nil)
	ask(t, s, "a")
	if err := s.CreateTransaction(t.Context(), mfa.Transaction{ID: "a", ExpiresAt: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if err := bare.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "none"} {
		_, _, load := s.Challenge(t.Context(), id)
		_, poll := s.Poll(t.Context(), oob.Poll{ID: id})
		_, transaction := s.Transaction(t.Context(), id)
		_, ticket := s.Ticket(t.Context(), id)
		for name, err := range map[string]error{
			"load": load, "poll": poll, "transaction": transaction, "ticket": ticket, "create": s.CreateChallenge(t.Context(), asked("b")),
			"decide": s.Decide(t.Context(), id, oob.Approved), "end": s.EndTransaction(t.Context(), id),
		} {
			wantUnavailable(t, name, err)
		}
	}
	if err := bare.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	wantPoll(t, s, "a", oob.Pending)
}
