package conformance

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
)

// Of yes and no the first one holds, and is told as often as it comes.
func raceAnswers(t *testing.T, s *databaseSuite) {
	c := s.challenge("1", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	var yes, no atomic.Int64
	atBarrier(func(i int) {
		a, heard := s.approval(c), &yes
		if i%4 < 2 {
			a, heard = s.denial(c), &no
		}
		switch err := s.node(i).Pushes.Answer(t.Context(), a); {
		case err == nil:
			heard.Add(1)
		case fault.Of(err) != fault.NotFound:
			t.Errorf("answer: %v", err)
		}
	})
	if (yes.Load() > 0) == (no.Load() > 0) || yes.Load()+no.Load() < parallel/3 {
		t.Errorf("%d approvals and %d denials were heard", yes.Load(), no.Load())
	}
	if n := s.events(t, audit.Approved) + s.events(t, audit.Denied); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	want := oob.Admitted{}
	if no.Load() > 0 {
		want = oob.Admitted{Refusals: 1, Denied: true}
	}
	s.admit(t, s.challenge("2", alice), pushLimit, want)
}

func answerLate(t *testing.T, s *databaseSuite) {
	c := s.challenge("1", alice)
	s.answer(t, s.approval(c), fault.NotFound)
	s.admit(t, c, pushLimit, oob.Admitted{})
	foreign := c
	foreign.Subject = bob
	s.answer(t, s.approval(foreign), fault.NotFound)
	s.pass(5*time.Minute - time.Millisecond)
	early := s.approval(c)
	s.pass(time.Millisecond)
	before := s.a.State.Dump(t)
	s.answer(t, s.approval(c), fault.NotFound)
	s.answer(t, s.denial(c), fault.NotFound)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("an answer too late left something behind:\n%s", difference(before, after))
	}
	s.answer(t, early, "")
	s.answer(t, s.approval(c), "") // the same again
}

// A challenge that is denied yields no tokens, and one that did is not denied any more.
func raceDenial(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a")
	for round := range 5 {
		c := s.challenge(numbered(100+round), alice)
		if _, err := s.a.Pushes.Admit(t.Context(), s.ask(c), pushLimit); err != nil {
			t.Fatal(err)
		}
		var issued, denied atomic.Int64
		atBarrier(func(i int) {
			if i%4 < 2 {
				err := s.node(i).Records.Issue(t.Context(), s.issuance(alice, numbered(i)+c.ID, s.approved(c)[1]))
				if err == nil {
					issued.Add(1)
				} else if fault.Of(err) != fault.Rejected {
					t.Errorf("issue: %v", err)
				}
				return
			}
			if err := s.node(i).Pushes.Answer(t.Context(), s.denial(c)); err == nil {
				denied.Add(1)
			} else if fault.Of(err) != fault.NotFound {
				t.Errorf("deny: %v", err)
			}
		})
		if issued.Load() > 1 || (issued.Load() == 1) == (denied.Load() > 0) {
			t.Errorf("%d issued and %d denied", issued.Load(), denied.Load())
		}
	}
}

// An approval that a state store has, or has again, is worth nothing behind a denial.
func denialStays(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a")
	c := s.challenge("1", alice)
	s.admit(t, c, pushLimit, oob.Admitted{})
	s.answer(t, s.denial(c), "")
	s.answer(t, s.approval(c), fault.NotFound)
	s.refuse(t, s.issuance(alice, "one", s.approved(c)...), fault.Rejected)
	s.pass(4 * time.Minute)
	s.admit(t, s.challenge("2", alice), pushLimit, oob.Admitted{Refusals: 1, Denied: true})
	s.pass(2 * time.Minute)
	if err := s.a.State.Sweep(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	s.refuse(t, s.issuance(alice, "two", s.approved(c)...), fault.Rejected)
	// The login itself goes on with another factor.
	s.issue(t, s.issuance(alice, "three", s.approved(c)[0]))
	// One that was approved, and redeemed, is so once, whatever comes back.
	d := s.challenge("3", alice)
	s.admit(t, d, pushLimit, oob.Admitted{Replaced: "oob-2", Refusals: 1})
	s.answer(t, s.approval(d), "")
	s.issue(t, s.issuance(alice, "four", s.approved(d)...))
	s.refuse(t, s.issuance(alice, "five", s.approved(d)[1]), fault.Rejected)
}

// A device that is taken away answers nothing, and what it approved is worth nothing.
func answerRemoved(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a")
	c, elsewhere := s.challenge("1", alice), s.challenge("2", alice)
	elsewhere.Address = "192.0.2.8"
	s.admit(t, c, pushLimit, oob.Admitted{})
	if err := s.b.Devices.RemoveDevice(t.Context(), "dev_a", s.device(audit.Removed, alice)); err != nil {
		t.Fatal(err)
	}
	s.answer(t, s.approval(c), fault.NotFound)
	s.admit(t, elsewhere, pushLimit, oob.Admitted{})
	s.answer(t, s.approval(elsewhere), "")
	s.refuse(t, s.issuance(alice, "one", s.approved(elsewhere)...), fault.Rejected)
}
