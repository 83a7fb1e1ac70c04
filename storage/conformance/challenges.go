package conformance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
)

// A challengeSuite is one store under test and the clock it reads. A store may be ahead of
// that clock by as long as a step takes, so no step is at an edge.
type challengeSuite struct {
	oob.Store
	elapsed atomic.Int64 // nanoseconds since epoch
}

func (s *challengeSuite) now() time.Time { return epoch.Add(time.Duration(s.elapsed.Load())) }

// at winds the clock to a time after epoch.
func (s *challengeSuite) at(elapsed time.Duration) { s.elapsed.Store(int64(elapsed)) }

// edge is how far from an edge steps keep.
const edge = 400 * time.Millisecond

// lifetime is that of each challenge here.
const lifetime = 5 * time.Minute

// RunChallenges is the suite that every oob.Store passes. open makes an empty store that
// goes by now and ends with the test it is given.
func RunChallenges(t *testing.T, open func(t testing.TB, now func() time.Time) oob.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *challengeSuite){
		"round trip":                    challengeRoundTrip,
		"nothing is shared":             challengeIsCopied,
		"an id is given once":           challengeIDOnce,
		"unknown":                       challengeUnknown,
		"expiry":                        challengeExpires,
		"born expired":                  challengeBornExpired,
		"decisions":                     challengeDecisions,
		"nobody decides so":             challengeNoDecision,
		"the context is honored":        challengeCanceled,
		"O-86-1: the interval grows":    pollSlowsDown,
		"O-86-2: final states":          pollFinal,
		"O-86-3: too soon sees nothing": pollTooSoonSeesNothing,
		"O-86-6: tolerance":             pollTolerance,
		"the interval has a limit":      pollSlowest,
		"one poll redeems":              pollLease,
		"no code, no news":              pollBare,
		"a woken look is no poll":       pollWoken,
		"one waits":                     pollWaiter,
		"what is not polled":            pollNotAnswered,
		"heard":                         challengeHeard,
		"races":                         challengeRaces,
	} {
		t.Run(name, func(t *testing.T) {
			s := &challengeSuite{}
			s.Store = open(t, s.now)
			test(t, s)
		})
	}
}

// challenge is a live challenge with every field set.
func challenge(id string) oob.Challenge {
	return oob.Challenge{
		ID: id, Handle: "tx1", Authenticator: "push|dev_1", Channel: "auth0", Binding: record.BindingToPage,
		Code: "v1.sealed", Answered: true, CreatedAt: epoch, ExpiresAt: epoch.Add(lifetime),
		Subject: "auth0|alice", Client: "spa", Address: "192.0.2.7", Agent: "curl/8 <&> é",
		Audience: []string{"https://api.example/"}, Scopes: []string{"openid", "read:mail"},
	}
}

func (s *challengeSuite) create(t *testing.T, id string) {
	t.Helper()
	if err := s.CreateChallenge(t.Context(), challenge(id)); err != nil {
		t.Fatalf("create %q: %v", id, err)
	}
}

func (s *challengeSuite) decide(t *testing.T, id string, state oob.State) {
	t.Helper()
	if err := s.Decide(t.Context(), id, state); err != nil {
		t.Fatalf("%s: %v", state, err)
	}
}

// want finds a challenge as it was given, in a state; none if that is empty.
func (s *challengeSuite) want(t *testing.T, want oob.Challenge, state oob.State) {
	t.Helper()
	got, found, err := s.Challenge(t.Context(), want.ID)
	switch {
	case state == "":
		if fault.Of(err) != fault.NotFound {
			t.Errorf("challenge %q: %q, %v, want NotFound", want.ID, found, err)
		}
	case err != nil:
		t.Errorf("challenge %q: %v, want it %s", want.ID, err, state)
	case found != state || !reflect.DeepEqual(got, want):
		t.Errorf("got  %s %+v\nwant %s %+v", found, got, state, want)
	}
}

// poll polls, and finds the state; with an approval comes whose it is.
func (s *challengeSuite) poll(t *testing.T, p oob.Poll, want oob.State) oob.Polled {
	t.Helper()
	got, err := s.Poll(t.Context(), p)
	if want == "" {
		if fault.Of(err) != fault.NotFound {
			t.Errorf("at %v: poll %+v: %+v, %v, want NotFound", s.now().Sub(epoch), p, got, err)
		}
		return got
	}
	whose := ""
	if want == oob.Approved || !got.Answered {
		whose = challenge("").Authenticator
	}
	if err != nil || got.State != want || got.TooSoon || got.Authenticator != whose {
		t.Errorf("at %v: poll %+v: %+v, %v, want %s", s.now().Sub(epoch), p, got, err, want)
	}
	return got
}

// tooSoon polls, and is told how long to wait.
func (s *challengeSuite) tooSoon(t *testing.T, id string, wait time.Duration) {
	t.Helper()
	got, err := s.Poll(t.Context(), oob.Poll{ID: id})
	if err != nil || !got.TooSoon || got.State != oob.Pending || !got.Answered || got.Waiting {
		t.Errorf("at %v: %+v, %v, want it too soon", s.now().Sub(epoch), got, err)
	}
	wantWait(t, got, wait)
}

func wantWait(t *testing.T, got oob.Polled, want time.Duration) {
	t.Helper()
	if off := got.Wait - want; off > edge || off < -edge {
		t.Errorf("to wait for %v, want %v", got.Wait, want)
	}
}

func challengeRoundTrip(t *testing.T, s *challengeSuite) {
	s.create(t, "one")
	s.want(t, challenge("one"), oob.Pending)
	s.want(t, challenge("one"), oob.Pending)

	bare := oob.Challenge{ID: "odd }{id}\n\x00 é:*", CreatedAt: epoch, ExpiresAt: epoch.Add(time.Minute)}
	if err := s.CreateChallenge(t.Context(), bare); err != nil {
		t.Fatal(err)
	}
	s.want(t, bare, oob.Pending)
	s.want(t, challenge("one"), oob.Pending)
}

func challengeIsCopied(t *testing.T, s *challengeSuite) {
	given := challenge("c")
	if err := s.CreateChallenge(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	given.Scopes[0], given.Audience[0] = "changed", "changed"
	got, _, err := s.Challenge(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	got.Scopes[0], got.Audience[0] = "changed", "changed"
	s.want(t, challenge("c"), oob.Pending)
}

func challengeIDOnce(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	s.decide(t, "c", oob.Denied)
	second := challenge("c")
	second.Subject = "auth0|mallory"
	if err := s.CreateChallenge(t.Context(), second); err == nil || fault.Of(err) != fault.Internal {
		t.Errorf("second create: %v, want an error without a kind", err)
	}
	s.want(t, challenge("c"), oob.Denied)
}

func challengeUnknown(t *testing.T, s *challengeSuite) {
	s.want(t, challenge("none"), "")
	s.poll(t, oob.Poll{ID: "none"}, "")
	s.poll(t, oob.Poll{ID: "none", Waiter: "w", Woken: true}, "")
	for _, state := range []oob.State{oob.Approved, oob.Denied, oob.Superseded} {
		if err := s.Decide(t.Context(), "none", state); fault.Of(err) != fault.NotFound {
			t.Errorf("%s: %v, want NotFound", state, err)
		}
	}
	s.want(t, challenge("none"), "")
}

// An answer comes in time or not at all; an approval that came can be redeemed for the
// Window, also when it came in the last moment.
func challengeExpires(t *testing.T, s *challengeSuite) {
	for _, id := range []string{"open", "approved", "denied", "late"} {
		s.create(t, id)
	}
	s.decide(t, "denied", oob.Denied)
	s.at(lifetime - edge)
	s.want(t, challenge("open"), oob.Pending)
	s.decide(t, "approved", oob.Approved)
	s.poll(t, oob.Poll{ID: "open"}, oob.Pending)

	s.at(lifetime + edge)
	for _, state := range []oob.State{oob.Approved, oob.Superseded} {
		if err := s.Decide(t.Context(), "open", state); fault.Of(err) != fault.NotFound {
			t.Errorf("%s after expiry: %v, want NotFound", state, err)
		}
	}
	s.want(t, challenge("open"), oob.Expired)
	s.poll(t, oob.Poll{ID: "late"}, oob.Expired)
	s.decide(t, "late", oob.Denied) // takes the place of every other
	s.want(t, challenge("late"), oob.Denied)
	s.decide(t, "approved", oob.Approved)

	s.at(lifetime + oob.Window - edge)
	s.poll(t, oob.Poll{ID: "approved"}, oob.Approved)
	s.poll(t, oob.Poll{ID: "denied"}, oob.Denied)
	s.poll(t, oob.Poll{ID: "open"}, oob.Expired)
	s.want(t, challenge("approved"), oob.Approved)

	s.at(lifetime + oob.Window + edge)
	for _, id := range []string{"open", "approved", "denied", "late"} {
		s.want(t, challenge(id), "")
		s.poll(t, oob.Poll{ID: id}, "")
		if err := s.Decide(t.Context(), id, oob.Denied); fault.Of(err) != fault.NotFound {
			t.Errorf("deny %q when it is gone: %v, want NotFound", id, err)
		}
	}
}

func challengeBornExpired(t *testing.T, s *challengeSuite) {
	c := challenge("c")
	c.ExpiresAt = epoch
	if err := s.CreateChallenge(t.Context(), c); err == nil {
		t.Error("a challenge that ends as it begins was accepted")
	}
	s.want(t, c, "")
}

// What was decided stays, but for a denial, which takes the place of every other.
func challengeDecisions(t *testing.T, s *challengeSuite) {
	all := []oob.State{oob.Approved, oob.Denied, oob.Superseded}
	for _, first := range all {
		for _, second := range all {
			id := fmt.Sprintf("%s, then %s", first, second)
			s.create(t, id)
			s.decide(t, id, first)
			s.want(t, challenge(id), first)
			want := first
			if second == oob.Denied {
				want = oob.Denied
			}
			err := s.Decide(t.Context(), id, second)
			if second == want && err != nil || second != want && fault.Of(err) != fault.NotFound {
				t.Errorf("%s: %v", id, err)
			}
			s.want(t, challenge(id), want)
		}
	}
}

func challengeNoDecision(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	for _, state := range []oob.State{oob.Pending, oob.Expired, "", "redeemed"} {
		if err := s.Decide(t.Context(), "c", state); err == nil || fault.Of(err) != fault.Internal {
			t.Errorf("%q: %v, want an error without a kind", state, err)
		}
	}
	s.want(t, challenge("c"), oob.Pending)
}

func challengeCanceled(t *testing.T, s *challengeSuite) {
	s.create(t, "c")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, load := s.Challenge(ctx, "c")
	_, poll := s.Poll(ctx, oob.Poll{ID: "c"})
	for name, err := range map[string]error{
		"create": s.CreateChallenge(ctx, challenge("new")),
		"load":   load,
		"poll":   poll,
		"decide": s.Decide(ctx, "c", oob.Approved),
	} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v, want the canceled context", name, err)
		}
	}
	s.want(t, challenge("c"), oob.Pending)
	s.want(t, challenge("new"), "")
}
