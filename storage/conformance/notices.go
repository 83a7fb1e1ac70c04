package conformance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/notice"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/throttle"
)

func noticeTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"notices of what was committed":             noticesOfEvents,
		"notices of guesses are rated":              noticesOfGuesses,
		"notices are claimed by one":                raceNotices,
		"notices outlive who claimed them":          noticesOutliveNodes,
		"notices that cannot be told are retried":   noticesRetried,
		"notices are not kept for ever":             noticesExpire,
		"notices of a deleted user are gone":        noticesOfDeleted,
		"notices of unfinished logins":              noticesUnfinished,
		"notices of unfinished logins in turn":      raceUnfinished,
		"notices of unfinished logins are rated":    noticesUnfinishedRated,
		"notices of many unfinished logins at once": noticesUnfinishedMany,
	}
}

// told is what the nodes, in turn, have to tell, as lines.
func (s *databaseSuite) told(t *testing.T) (lines []string) {
	t.Helper()
	for i := 0; ; i++ {
		n, err := s.node(i).Notices.ClaimNotice(t.Context())
		if errors.Is(err, fault.NotFound) {
			return lines
		}
		if err == nil {
			err = s.node(i+1).Notices.EndNotice(t.Context(), n.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		var of []string
		for _, a := range n.Authenticators {
			of = append(of, a.Type)
		}
		line := fmt.Sprintf("%s %s %s", n.Type, n.Subject, strings.Join(of, ","))
		lines = append(lines, strings.TrimSpace(line))
	}
}

func (s *databaseSuite) wantTold(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := s.told(t); !slices.Equal(got, want) {
		t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

func (s *databaseSuite) write(t *testing.T, e audit.Event) {
	t.Helper()
	if e.At.IsZero() {
		e.At = s.now()
	}
	if err := s.a.Log.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func (s *databaseSuite) remove(t *testing.T, ids ...string) {
	t.Helper()
	e := audit.Event{At: s.now(), Type: audit.Removed, Success: true, Subject: alice, Client: spa, Authenticators: ids}
	if err := s.a.Authenticators.Remove(t.Context(), halfway(alice, "h"), s.authenticators(t, alice), ids, e); err != nil {
		t.Fatal(err)
	}
}

// Each thing that a user is to be told of is told once; what came to nothing is not.
func noticesOfEvents(t *testing.T, s *databaseSuite) {
	s.wantTold(t, "people and a client were made")
	s.associate(t, s.pending("totp|p", alice, "p"))
	s.wantTold(t, "associated, and not confirmed")
	s.remove(t, "totp|p")
	s.wantTold(t, "removed, and never confirmed")
	s.enroll(t, alice, "totp|a", "code-1")
	s.wantTold(t, "enrolled", "authenticator.confirmed auth0|alice otp")
	s.issue(t, s.issuance(alice, "recovered", record.CodeUse{Authenticator: "codes of totp|a", Hash: "code-1"}))
	s.wantTold(t, "a code was used", "recovery_code.used auth0|alice recovery-code")
	s.refuse(t, s.issuance(alice, "again", record.CodeUse{Authenticator: "codes of totp|a", Hash: "code-1"}), fault.UsedRecoveryCode)
	s.attempt(t, limits, 0, s.failure(alice, "totp|a"))
	s.write(t, audit.Event{Type: audit.Removed, Subject: alice, Reason: "not_removable", Authenticators: []string{"totp|a"}})
	s.wantTold(t, "nothing happened")
	s.attempt(t, throttle.Limits{Free: 100, Daily: 100, Disable: 1}, 0, s.failure(alice, "totp|a"))
	s.wantTold(t, "too many wrong ones", "authenticator.disabled auth0|alice otp")
	e := s.changed(alice)
	e.Type = audit.PasswordChanged
	if err := s.b.People.SetPassword(t.Context(), alice, "another hash", e); err != nil {
		t.Fatal(err)
	}
	s.wantTold(t, "a new password", "password.changed auth0|alice")
	s.enroll(t, bob, "totp|b")
	s.wantTold(t, "enrolled", "authenticator.confirmed auth0|bob otp")
	e = s.changed(alice)
	e.Type = audit.Removed
	if _, err := s.b.Removals.ResetFactors(t.Context(), alice, e); err != nil {
		t.Fatal(err)
	}
	s.wantTold(t, "reset", "authenticator.removed auth0|alice recovery-code,otp")
}

// A guesser is told of at once, and no more than once in a day.
func noticesOfGuesses(t *testing.T, s *databaseSuite) {
	l := throttle.Limits{Free: 2, Daily: 100, Disable: 100}
	s.attempt(t, l, 0, s.failure(alice))
	s.attempt(t, l, 0, s.failure(alice))
	s.wantTold(t, "two wrong ones")
	atBarrier(func(i int) { _ = s.node(i).Limiter.Attempt(t.Context(), s.failure(alice), l) })
	s.wantTold(t, "fifty more", "factor.refused auth0|alice")
	s.pass(23 * time.Hour)
	for range 3 {
		_ = s.a.Limiter.Attempt(t.Context(), s.failure(alice), l)
	}
	s.wantTold(t, "a day that is not over")
	s.pass(time.Hour)
	for range 3 {
		_ = s.a.Limiter.Attempt(t.Context(), s.failure(alice), l)
	}
	s.wantTold(t, "the next day", "factor.refused auth0|alice")
}

// Of any number who want to tell it, on all nodes, one gets each notice.
func raceNotices(t *testing.T, s *databaseSuite) {
	const all = 20
	for i := range all {
		s.write(t, audit.Event{Type: audit.PasswordChanged, Success: true, Subject: numbered(i)})
	}
	var mu sync.Mutex
	got := map[string]int{}
	atBarrier(func(i int) {
		for {
			n, err := s.node(i).Notices.ClaimNotice(t.Context())
			if errors.Is(err, fault.NotFound) {
				return
			}
			if err != nil {
				t.Errorf("claim: %v", err)
				return
			}
			mu.Lock()
			got[n.Subject]++
			mu.Unlock()
		}
	})
	for i := range all {
		if got[numbered(i)] != 1 {
			t.Errorf("the notice of %s was claimed %d times", numbered(i), got[numbered(i)])
		}
	}
}

// A node that claimed a notice and died leaves it to the next one.
func noticesOutliveNodes(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	claim := func(n Node, attempt int) notice.Notice {
		t.Helper()
		got, err := n.Notices.ClaimNotice(t.Context())
		if err != nil || got.Type != audit.Confirmed || got.Attempt != attempt {
			t.Fatalf("%+v, %v, want attempt %d", got, err, attempt)
		}
		return got
	}
	first := claim(s.a, 1)
	s.pass(notice.Wait(1) - time.Millisecond)
	s.wantTold(t, "claimed a moment ago")
	s.pass(time.Millisecond)
	second := claim(s.b, 2)
	if second.ID != first.ID || !second.At.Equal(first.At) || second.Client != spa {
		t.Errorf("first %+v, then %+v", first, second)
	}
	s.pass(notice.Wait(1))
	s.wantTold(t, "waits longer")
	s.pass(notice.Wait(2) - notice.Wait(1))
	if err := s.b.Notices.EndNotice(t.Context(), claim(s.a, 3).ID); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Hour)
	s.wantTold(t, "ended")
}

// A mailbox is a notifier that is down at times.
type mailbox struct {
	down error
	got  []string
}

func (m *mailbox) Notify(_ context.Context, n notice.Notice) error {
	if m.down == nil || n.Subject == bob { // whose server answers
		m.got = append(m.got, n.Subject+" "+string(n.Type))
		return nil
	}
	return m.down
}

// What cannot be told is told later, keeps nobody else's notice waiting, and is given up
// at last, which the log says.
func noticesRetried(t *testing.T, s *databaseSuite) {
	var log strings.Builder
	box := &mailbox{down: errors.New("connection refused")}
	teller := notice.Teller{Store: s.a.Notices, Notifier: box, Now: s.now, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s.enroll(t, alice, "totp|a")
	s.enroll(t, bob, "totp|b")
	if err := teller.Tell(t.Context()); !errors.Is(err, box.down) {
		t.Errorf("told although the server is down: %v", err)
	}
	if want := []string{bob + " authenticator.confirmed"}; !slices.Equal(box.got, want) {
		t.Errorf("told %q, want %q", box.got, want)
	}
	if err := teller.Tell(t.Context()); err != nil {
		t.Errorf("tried again at once: %v", err)
	}
	s.pass(notice.Wait(1))
	if err := teller.Tell(t.Context()); !errors.Is(err, box.down) {
		t.Errorf("the second attempt: %v", err)
	}
	box.down = nil
	s.pass(notice.Wait(2))
	for range 2 {
		if err := teller.Tell(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if want := []string{bob + " authenticator.confirmed", alice + " authenticator.confirmed"}; !slices.Equal(box.got, want) {
		t.Errorf("told %q, want %q", box.got, want)
	}

	box.down = errors.New("no such mailbox")
	s.remove(t, "totp|a")
	tries := 0
	for began := s.now(); s.now().Sub(began) < notice.Life+2*time.Hour; s.pass(time.Minute) {
		if teller.Tell(t.Context()) != nil {
			tries++
		}
	}
	if tries < 70 || tries > 90 || strings.Count(log.String(), "a notice is given up") != 1 || !strings.Contains(log.String(), "no such mailbox") {
		t.Errorf("failed %d times, and the log says %s", tries, log.String())
	}
}

// Nobody has to tell anything for notices to go away.
func noticesExpire(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	sweep := func() {
		t.Helper()
		if err := s.b.State.Sweep(t.Context(), s.now()); err != nil {
			t.Fatal(err)
		}
	}
	s.pass(notice.Life)
	sweep()
	if !strings.Contains(s.a.State.Dump(t), noticed) {
		t.Error("a notice is swept that could be told")
	}
	s.pass(time.Hour)
	sweep()
	if strings.Contains(s.a.State.Dump(t), noticed) {
		t.Error("a notice is kept for ever")
	}
}

// noticed stands in a dump where a notice has an authenticator.
const noticed = `{"type":"otp"}`

func noticesOfDeleted(t *testing.T, s *databaseSuite) {
	s.enroll(t, alice, "totp|a")
	if err := s.b.Removals.DeleteUser(t.Context(), alice, s.changed(alice)); err != nil {
		t.Fatal(err)
	}
	s.wantTold(t, "there is nobody to tell")
}

// began is a login whose factor was demanded.
func (s *databaseSuite) began(t *testing.T, subject, transaction, address string) {
	t.Helper()
	s.write(t, audit.Event{Type: audit.FactorDemanded, Success: true, Subject: subject, Client: spa, Transaction: transaction, Address: address})
}

func (s *databaseSuite) finished(t *testing.T, subject, transaction, address string) {
	t.Helper()
	s.write(t, audit.Event{Type: audit.TokensIssued, Success: true, Subject: subject, Client: spa, Transaction: transaction, Address: address, Session: "s"})
}

func (s *databaseSuite) look(t *testing.T, n Node) {
	t.Helper()
	if err := n.Notices.NoticeUnfinished(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
}

const home, away = "192.0.2.1", "198.51.100.7"

// Who knows the password and gets no further is told of, whatever was tried; who began
// once more, and finished that, is not.
func noticesUnfinished(t *testing.T, s *databaseSuite) {
	s.began(t, "before", "t0", away)
	s.pass(time.Second)
	s.look(t, s.a) // it begins here
	s.began(t, "finished", "t1", home)
	s.finished(t, "finished", "t1", away)
	s.began(t, "left", "t2", away)
	s.began(t, "left behind", "t3", away)
	s.began(t, "left behind", "t4", home)
	s.finished(t, "left behind", "t4", home)
	s.began(t, "again", "t5", home)
	s.began(t, "again", "t6", home)
	s.finished(t, "again", "t6", home)
	s.began(t, "guessed", "t7", home)
	s.write(t, audit.Event{Type: audit.FactorRefused, Reason: "wrong_otp", Subject: "guessed", Client: spa, Transaction: "t7", Address: home})
	s.began(t, "guessed", "t8", home)
	s.finished(t, "guessed", "t8", home)
	s.began(t, "refreshed", "t9", home)
	s.finished(t, "refreshed", "", home) // a refresh is no login
	s.write(t, audit.Event{Type: audit.FactorDemanded, Success: true, Subject: "stepped up", Client: spa, Session: "s", Transaction: "t10"})
	s.pass(time.Second)
	s.began(t, "under way", "t11", away)
	s.look(t, s.b)
	want := []string{"factor.demanded left", "factor.demanded left behind", "factor.demanded guessed", "factor.demanded refreshed"}
	s.wantTold(t, "given up", want...)
	s.look(t, s.a)
	s.wantTold(t, "looked at before")
	s.pass(time.Second)
	s.look(t, s.a)
	s.wantTold(t, "given up later", "factor.demanded under way")
}

// However many nodes look at once, each unfinished login is told of once.
func raceUnfinished(t *testing.T, s *databaseSuite) {
	s.look(t, s.a)
	for i := range 30 {
		s.began(t, numbered(i), "t"+numbered(i), away)
	}
	s.pass(time.Second)
	var failures atomic.Int64
	atBarrier(func(i int) {
		if s.node(i).Notices.NoticeUnfinished(t.Context(), s.now()) != nil {
			failures.Add(1)
		}
	})
	if got := s.told(t); len(got) != 30 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 30 || failures.Load() > 0 {
		t.Errorf("told %d times, %d looks failed: %q", len(got), failures.Load(), got)
	}
}

// Somebody who has the password floods nobody with notices.
func noticesUnfinishedRated(t *testing.T, s *databaseSuite) {
	s.look(t, s.a)
	total := 0
	for i := range 48 { // hours
		s.began(t, alice, "t"+numbered(i), away)
		s.began(t, alice, "u"+numbered(i), home)
		s.pass(time.Hour)
		s.look(t, s.node(i))
		total += len(s.told(t))
	}
	if total != 2 {
		t.Errorf("alice was told %d times in two days, want twice", total)
	}
	s.began(t, bob, "other", away)
	s.pass(time.Second)
	s.look(t, s.a)
	s.wantTold(t, "another user", "factor.demanded "+bob)
}

// What piled up while no gateway ran is told of, batch by batch.
func noticesUnfinishedMany(t *testing.T, s *databaseSuite) {
	s.look(t, s.a)
	for i := range 250 {
		s.began(t, fmt.Sprint("user", i), fmt.Sprint("t", i), away)
	}
	s.pass(24 * time.Hour)
	s.look(t, s.b)
	if got := s.told(t); len(got) != 250 {
		t.Errorf("told %d, want 250", len(got))
	}
}
