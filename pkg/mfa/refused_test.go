package mfa_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
)

// Who has no more than the password and tries to change what its user has leaves a record
// of it; without one the refusal is not given.
func TestRefusedChangesAreRecorded(t *testing.T) {
	w := newWorld(t)
	w.enrolled(mira)
	weak := strong(w)
	weak.Session.Proofs = weak.Session.Proofs[:1]
	id := w.only(mira, mfa.OTP).ID
	want := audit.Event{At: w.clock.Now(), Type: audit.Removed, Reason: "not_removable", Subject: mira, Client: weak.Client,
		Session: weak.Session.ID, Authenticators: []string{id}, Grant: "DELETE", Address: "203.0.113.9"}
	if err := w.registrar.Remove(t.Context(), weak, id, "203.0.113.9"); fault.Of(err) != fault.NotRemovable {
		t.Fatalf("removed: %v", err)
	}
	if got := w.last(); !reflect.DeepEqual(got, want) {
		t.Errorf("recorded %+v\nwant %+v", got, want)
	}
	w.registrar.Audit = mfatest.Down{Err: errors.New("the database is down")}
	if err := w.registrar.Remove(t.Context(), weak, id, "203.0.113.9"); fault.Of(err) != fault.Unavailable {
		t.Errorf("without a record: %v, want Unavailable", err)
	}
}
