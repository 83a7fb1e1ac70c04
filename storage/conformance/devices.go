package conformance

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

func deviceTests() map[string]func(*testing.T, *databaseSuite) {
	return map[string]func(*testing.T, *databaseSuite){
		"a device enrolls":                        deviceEnrolls,
		"a device enrolls again":                  deviceEnrollsAgain,
		"50 devices for one authenticator":        raceDevices,
		"no device for what is over":              deviceTooLate,
		"no confirmation without a device":        deviceConfirms,
		"the twin is confirmed before the device": deviceTwin,
		"50 enroll while the twin is confirmed":   raceTwin,
		"a device changes":                        deviceChanges,
		"an endpoint goes":                        endpointGoes,
		"a device is removed":                     deviceRemoved,
		"a device goes with its authenticator":    deviceGoesAlong,
		"a device that nobody confirmed":          deviceSwept,
	}
}

// pushing is a push authenticator that was just associated, and its one-time-password twin.
func (s *databaseSuite) pushing(n, subject, handle string) (phone, twin mfa.Authenticator) {
	twin = s.pending("totp|dev_"+n, subject, handle)
	twin.Group = "group of " + n
	phone = s.pending("push|dev_"+n, subject, handle)
	phone.Type, phone.Channel, phone.Group, phone.Secret = mfa.OOB, "auth0", twin.Group, secret.Text{}
	phone.Algorithm, phone.Digits, phone.Period = "", 0, 0
	return phone, twin
}

// phone is the device of a push authenticator.
func (s *databaseSuite) phone(n, subject string) oob.Device {
	return oob.Device{
		ID: "dev_" + n, Authenticator: "push|dev_" + n, Subject: subject, Identifier: "identifier of " + n, Name: "Phone of " + n,
		Endpoint: oob.Endpoint{Service: "GCM", Token: secret.New("endpoint-secret-" + n)}, Key: `{"kty":"RSA"}`,
		TokenHash: "token-hash-" + n, EnrolledAt: s.now(),
	}
}

func (s *databaseSuite) device(kind audit.Type, subject string) audit.Event {
	return audit.Event{At: s.now(), Type: kind, Success: true, Subject: subject, Grant: "device"}
}

// wantKind wants a failure of the kind, or none when that is empty.
func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if want == "" && err != nil || want != "" && !errors.Is(err, want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func (s *databaseSuite) enrollDevice(t *testing.T, n Node, d oob.Device, want fault.Kind) {
	t.Helper()
	err := n.Devices.EnrollDevice(t.Context(), d, s.now(), s.device(audit.DeviceChanged, d.Subject))
	wantKind(t, err, want)
}

// wantDevice compares a device, as the other node sees it.
func (s *databaseSuite) wantDevice(t *testing.T, want oob.Device) {
	t.Helper()
	got, err := s.b.Devices.Device(t.Context(), want.ID)
	if err != nil || !got.Endpoint.Token.Equal(want.Endpoint.Token) {
		t.Errorf("device %s: %v, or another endpoint", want.ID, err)
	}
	got.Endpoint.Token, want.Endpoint.Token = secret.Text{}, secret.Text{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func (s *databaseSuite) noDevice(t *testing.T, id string) {
	t.Helper()
	if _, err := s.b.Devices.Device(t.Context(), id); fault.Of(err) != fault.NotFound {
		t.Errorf("device %s: %v, want NotFound", id, err)
	}
}

// withPhone gives the subject a confirmed device with its twin, and recovery codes if any.
func (s *databaseSuite) withPhone(t *testing.T, subject, n string, hashes ...string) {
	t.Helper()
	phone, twin := s.pushing(n, subject, "handle of "+n)
	all := []mfa.Authenticator{phone, twin}
	if len(hashes) > 0 {
		all = append(all, s.codes("codes of "+n, subject, "handle of "+n, hashes...))
	}
	s.associate(t, all...)
	s.enrollDevice(t, s.a, s.phone(n, subject), "")
	s.issue(t, s.issuance(subject, "enroll-"+n, record.Confirmation{Authenticator: phone.ID, Handle: phone.Handle}))
}

// wantActive wants these authenticators of alice to be active and no other.
func (s *databaseSuite) wantActive(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, a := range s.authenticators(t, alice) {
		if a.Active() {
			got = append(got, a.ID)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("active are %q, want %q", got, want)
	}
}

func deviceEnrolls(t *testing.T, s *databaseSuite) {
	phone, twin := s.pushing("a", alice, "h")
	s.associate(t, phone, twin)
	s.noDevice(t, "dev_a")
	s.pass(time.Minute)
	d := s.phone("a", alice)
	s.enrollDevice(t, s.a, d, "")
	s.wantDevice(t, d)
	if a := s.authenticators(t, alice)[0]; a.Name != d.Name || a.Active() {
		t.Errorf("the authenticator is called %q, active %v", a.Name, a.Active())
	}
	if n := s.events(t, audit.DeviceChanged); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	dump := s.a.State.Dump(t)
	if strings.Contains(dump, d.Endpoint.Token.Reveal()) || !strings.Contains(dump, d.Identifier) {
		t.Error("a dump shows an endpoint, or no device")
	}
}

// The same phone may come again, whose answer was lost: it gets another token and nothing
// else. Another phone may not.
func deviceEnrollsAgain(t *testing.T, s *databaseSuite) {
	phone, twin := s.pushing("a", alice, "h")
	s.associate(t, phone, twin)
	first := s.phone("a", alice)
	s.enrollDevice(t, s.a, first, "")
	s.pass(time.Second)
	again := s.phone("a", alice)
	again.Name, again.Identifier, again.Endpoint.Token, again.TokenHash = "x", "y", secret.New("z"), "token-hash-again"
	s.enrollDevice(t, s.b, again, "")
	first.TokenHash = again.TokenHash
	s.wantDevice(t, first)
	other := s.phone("a", alice)
	other.Key = `{"kty":"EC"}`
	before := s.a.State.Dump(t)
	s.enrollDevice(t, s.a, other, fault.DeviceConflict)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("a conflict left something behind:\n%s", difference(before, after))
	}
	s.issue(t, s.issuance(alice, "one", record.Confirmation{Authenticator: phone.ID, Handle: "h"}))
	s.enrollDevice(t, s.a, first, fault.NotFound) // whoever saw the ticket must not get a token now
}

func raceDevices(t *testing.T, s *databaseSuite) {
	phone, twin := s.pushing("a", alice, "h")
	s.associate(t, phone, twin)
	var enrolled atomic.Int64
	atBarrier(func(i int) {
		d := s.phone("a", alice)
		d.Key = numbered(i)
		switch err := s.node(i).Devices.EnrollDevice(t.Context(), d, s.now(), s.device(audit.DeviceChanged, alice)); {
		case err == nil:
			enrolled.Add(1)
		case fault.Of(err) != fault.DeviceConflict:
			t.Errorf("enroll: %v", err)
		}
	})
	if n := enrolled.Load(); n != 1 {
		t.Errorf("%d devices enrolled, want 1", n)
	}
	if n := s.events(t, audit.DeviceChanged); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// What an authenticator was associated with may end before its device comes.
func deviceTooLate(t *testing.T, s *databaseSuite) {
	s.issue(t, s.issuance(alice, "manage"))
	for n, handle := range map[string]string{"redeemed": "tx-redeemed", "revoked": "jti-manage", "late": "h", "kept": "jti-kept"} {
		phone, twin := s.pushing(n, alice, handle)
		s.associate(t, phone, twin)
	}
	s.issue(t, s.issuance(alice, "done", s.redemption("redeemed")))
	if err := s.b.Revoker.Revoke(t.Context(), s.revocation(spa, "jti-manage", "")); err != nil {
		t.Fatal(err)
	}
	before := s.a.State.Dump(t)
	s.enrollDevice(t, s.a, s.phone("redeemed", alice), fault.NotFound)
	s.enrollDevice(t, s.a, s.phone("revoked", alice), fault.NotFound)
	s.enrollDevice(t, s.a, s.phone("unknown", alice), fault.NotFound)
	s.enrollDevice(t, s.a, s.phone("late", bob), fault.NotFound)
	otp := s.phone("late", alice)
	otp.Authenticator = "totp|dev_late"
	s.enrollDevice(t, s.a, otp, fault.NotFound)
	if after := s.a.State.Dump(t); after != before {
		t.Errorf("a device too late left something behind:\n%s", difference(before, after))
	}
	block := func(blocked bool) {
		if err := s.b.People.SetUserBlocked(t.Context(), alice, blocked, s.changed(alice)); err != nil {
			t.Fatal(err)
		}
	}
	block(true)
	s.enrollDevice(t, s.a, s.phone("kept", alice), fault.NotFound)
	block(false)
	s.pass(10*time.Minute - time.Millisecond)
	s.enrollDevice(t, s.a, s.phone("kept", alice), "")
	s.pass(time.Millisecond)
	s.enrollDevice(t, s.a, s.phone("late", alice), fault.NotFound)
	s.noDevice(t, "dev_kept")
}

func deviceConfirms(t *testing.T, s *databaseSuite) {
	phone, twin := s.pushing("a", alice, "h")
	s.associate(t, phone, twin, s.codes("codes|a", alice, "h", "code"))
	confirm := record.Confirmation{Authenticator: phone.ID, Handle: "h", First: true}
	s.refuse(t, s.issuance(alice, "without", confirm), fault.MalformedMFAToken)
	s.enrollDevice(t, s.b, s.phone("a", alice), "")
	s.issue(t, s.issuance(alice, "with", confirm))
	s.wantActive(t, "codes|a", phone.ID, twin.ID)
}

// A code of the twin confirms the twin alone while there is no phone. Under an access token
// the phone may still come; an mfa_token is over.
func deviceTwin(t *testing.T, s *databaseSuite) {
	for n, handle := range map[string]string{"a": "tx-a", "b": "jti-b"} {
		phone, twin := s.pushing(n, alice, handle)
		s.associate(t, phone, twin)
	}
	s.issue(t, s.issuance(alice, "one", s.redemption("a"), record.Confirmation{Authenticator: "totp|dev_a", Handle: "tx-a", First: true}))
	s.issue(t, s.issuance(alice, "two", record.Confirmation{Authenticator: "totp|dev_b", Handle: "jti-b"}))
	s.wantActive(t, "totp|dev_a", "totp|dev_b")
	s.enrollDevice(t, s.a, s.phone("a", alice), fault.NotFound)
	s.enrollDevice(t, s.a, s.phone("b", alice), "")
	s.issue(t, s.issuance(alice, "three", record.Confirmation{Authenticator: "push|dev_b", Handle: "jti-b"}))
	s.wantActive(t, "push|dev_b", "totp|dev_a", "totp|dev_b")
}

// Whoever is first, a push authenticator is active if and only if it has its device.
func raceTwin(t *testing.T, s *databaseSuite) {
	phone, twin := s.pushing("a", alice, "tx-same")
	s.associate(t, phone, twin)
	var enrolled, issued atomic.Int64
	atBarrier(func(i int) {
		if i%4 < 2 {
			confirm := record.Confirmation{Authenticator: twin.ID, Handle: twin.Handle, First: true}
			switch err := s.node(i).Records.Issue(t.Context(), s.issuance(alice, numbered(i), s.redemption("same"), confirm)); {
			case err == nil:
				issued.Add(1)
			case fault.Of(err) != fault.MalformedMFAToken:
				t.Errorf("issue: %v", err)
			}
			return
		}
		switch err := s.node(i).Devices.EnrollDevice(t.Context(), s.phone("a", alice), s.now(), s.device(audit.DeviceChanged, alice)); {
		case err == nil:
			enrolled.Add(1)
		case fault.Of(err) != fault.NotFound:
			t.Errorf("enroll: %v", err)
		}
	})
	if issued.Load() != 1 {
		t.Errorf("%d issuances, want 1", issued.Load())
	}
	if enrolled.Load() > 0 {
		s.wantActive(t, phone.ID, twin.ID)
	} else {
		s.wantActive(t, twin.ID)
	}
}
