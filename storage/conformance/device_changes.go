package conformance

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/secret"
)

func deviceChanges(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a")
	enrolled := s.events(t, audit.DeviceChanged)
	d := s.phone("a", alice)
	update := func(changed oob.Device, want fault.Kind) {
		t.Helper()
		err := s.a.Devices.UpdateDevice(t.Context(), changed, s.device(audit.DeviceChanged, alice))
		wantKind(t, err, want)
	}
	update(d, "") // as it is
	if n := s.events(t, audit.DeviceChanged); n != enrolled {
		t.Error("what did not change is on record")
	}
	d.Identifier, d.Name = "another", "Another"
	update(d, "")
	s.wantDevice(t, d)
	d.Endpoint = oob.Endpoint{Service: "APNS", Token: secret.New("endpoint-secret-2")}
	update(oob.Device{ID: d.ID, Identifier: d.Identifier, Name: d.Name, Endpoint: d.Endpoint, Key: "another", TokenHash: "another"}, "")
	s.wantDevice(t, d)
	if a := s.authenticators(t, alice)[0]; a.Name != "Another" || a.ID != "push|dev_a" {
		t.Errorf("the authenticator %s is called %q", a.ID, a.Name)
	}
	if n := s.events(t, audit.DeviceChanged); n != enrolled+2 {
		t.Errorf("%d events, want 2", n-enrolled)
	}
	d.ID = "dev_none"
	update(d, fault.NotFound)
}

// An endpoint that its service does not know is not used again; another one is. What a
// service says about an endpoint of before is late.
func endpointGoes(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a")
	d := s.phone("a", alice)
	disable := func(id string, e oob.Endpoint) {
		t.Helper()
		if err := s.a.Devices.DisableEndpoint(t.Context(), id, e, s.now(), s.device(audit.DeviceGone, alice)); err != nil {
			t.Error(err)
		}
	}
	enrolled := s.now()
	s.pass(time.Hour)
	disable(d.ID, oob.Endpoint{Service: d.Endpoint.Service, Token: secret.New("another")})
	disable(d.ID, oob.Endpoint{Service: "APNS", Token: d.Endpoint.Token})
	disable("dev_none", d.Endpoint)
	s.wantDevice(t, d)
	disable(d.ID, d.Endpoint)
	gone := d
	gone.EndpointGone = s.now()
	s.pass(time.Hour)
	disable(d.ID, d.Endpoint)
	s.wantDevice(t, gone)
	gone.Name = "Another"
	if err := s.b.Devices.UpdateDevice(t.Context(), gone, s.device(audit.DeviceChanged, alice)); err != nil {
		t.Error(err)
	}
	s.wantDevice(t, gone)
	d.Name, d.Endpoint.Token, d.EnrolledAt = gone.Name, secret.New("another"), enrolled
	if err := s.b.Devices.UpdateDevice(t.Context(), d, s.device(audit.DeviceChanged, alice)); err != nil {
		t.Error(err)
	}
	s.wantDevice(t, d)
	if n := s.events(t, audit.DeviceGone); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// A device takes its twin along, and the last factor the recovery codes; what the user has
// begun goes on.
func deviceRemoved(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "a", "code-1")
	s.pass(time.Second)
	s.withPhone(t, alice, "b")
	remove := func(id string, want fault.Kind) {
		t.Helper()
		s.pass(time.Second)
		err := s.b.Devices.RemoveDevice(t.Context(), id, s.device(audit.Removed, alice))
		wantKind(t, err, want)
	}
	remove("dev_b", "")
	s.noDevice(t, "dev_b")
	s.wantActive(t, "codes of a", "push|dev_a", "totp|dev_a")
	remove("dev_b", fault.NotFound)
	remove("dev_a", "")
	s.wantActive(t)
	all, err := s.a.State.AuditEvents(t.Context(), 2)
	want := [][]string{{"push|dev_a", "totp|dev_a", "codes of a"}, {"push|dev_b", "totp|dev_b"}}
	if err != nil || !slices.Equal(all[0].Authenticators, want[0]) || !slices.Equal(all[1].Authenticators, want[1]) {
		t.Errorf("recorded %+v, %v", all, err)
	}
	if !s.active(t, "enroll-a") {
		t.Error("a session ended with a factor")
	}
}

func deviceGoesAlong(t *testing.T, s *databaseSuite) {
	remove := map[string]func() error{
		"a": func() error {
			_, err := s.a.Removals.ResetFactors(t.Context(), alice, s.changed(alice))
			return err
		},
		"b": func() error {
			return s.a.Authenticators.Remove(t.Context(), halfway(alice, "h"), s.authenticators(t, alice), []string{"push|dev_b"}, s.changed(alice))
		},
		"c": func() error { return s.a.Removals.DeleteUser(t.Context(), alice, s.changed(alice)) },
	}
	for _, n := range []string{"a", "b", "c"} {
		s.withPhone(t, alice, n)
		if err := remove[n](); err != nil {
			t.Fatalf("remove %s: %v", n, err)
		}
		s.noDevice(t, "dev_"+n)
		if strings.Contains(s.a.State.Dump(t), "identifier of "+n) {
			t.Errorf("device %s is kept", n)
		}
	}
}

// A device is swept with its authenticator, however many nodes do that.
func deviceSwept(t *testing.T, s *databaseSuite) {
	s.withPhone(t, alice, "kept")
	phone, twin := s.pushing("late", alice, "h")
	s.associate(t, phone, twin)
	s.enrollDevice(t, s.a, s.phone("late", alice), "")
	s.pass(2 * time.Hour)
	var both sync.WaitGroup
	for _, n := range []Node{s.a, s.b} {
		both.Go(func() {
			if err := n.State.Sweep(t.Context(), s.now()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if dump := s.a.State.Dump(t); strings.Contains(dump, "dev_late") || !strings.Contains(dump, "identifier of kept") {
		t.Error("the sweep took the wrong device")
	}
}
