package guardian_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/guardian"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/mfa/mfatest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/push"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// onWire is a world that listens.
func onWire(t *testing.T) *world {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	w := newWorldAt(t, "http://"+server.Listener.Addr().String()+"/", "WEBPUSH")
	server.Config.Handler = w.handler
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// notified is a push as the phone's app reads it.
func notified(t *testing.T, w *world, p *phone.Phone, m push.Message) phone.Notification {
	t.Helper()
	n, err := p.FromFCM(map[string]string{"txtkn": m.Token.Reveal(), "dai": m.Device, "c": m.Challenge,
		"d": m.At.Format("2006-01-02T15:04:05.000Z"), "sh": w.base(), "s": "{}", "l": `{"n":"` + m.Location.Name + `"}`, "txlnkid": m.Consent})
	if err != nil || n == nil {
		t.Fatalf("%v %v", n, err)
	}
	return *n
}

// TestPhones: the apps of all generations enroll, read what is asked, approve, deny, change
// their account and leave.
func TestPhones(t *testing.T) {
	for _, profile := range phone.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			w := onWire(t)
			p, err := phone.New(phone.Options{Profile: profile, Client: http.DefaultClient, Now: w.clock.Now, Random: mfatest.Random(t.Name())})
			if err != nil {
				t.Fatal(err)
			}
			_, made := w.associate()
			ticket, err := p.Scan(made.Reply["barcode_uri"].(string))
			if err != nil {
				t.Fatal(err)
			}
			enrollment := phone.Enrollment{URL: w.base(), Ticket: ticket, Name: "Ann's \u00e9/phone",
				Push: phone.PushCredentials{Service: profile.Service(), Token: secret.New("registration")}}
			a, err := p.Enroll(t.Context(), enrollment)
			if err != nil {
				t.Fatal(err)
			}
			w.store.Confirm(a.ID)
			enrolled := guardian.Enrolled{ID: a.ID}

			m, polling := w.ask(enrolled, "")
			if err := p.Allow(t.Context(), a, notified(t, w, p, m), secret.Text{}); err != nil || polled(t, w, polling) != nil {
				t.Error(err)
			}
			m, polling = w.ask(enrolled, record.BindingToPage)
			consent, err := p.Consent(t.Context(), a, notified(t, w, p, m))
			if err != nil {
				t.Error(err)
			}
			if reads := profile != phone.Android02 && profile != phone.Swift01; reads != (consent != nil) || reads && len(consent.BindingMessage) != 6 {
				t.Errorf("%+v", consent)
			}
			if err := p.Reject(t.Context(), a, notified(t, w, p, m), "hacked"); err != nil || !errors.Is(polled(t, w, polling), fault.Rejected) {
				t.Error(err)
			}
			if e := last(t, w); e.Type != audit.Reported {
				t.Errorf("%+v", e)
			}
			name := "New"
			changed, err := p.Update(t.Context(), a, phone.Change{Name: &name})
			if err != nil || changed.Name != name || changed.Push.Service != profile.Service() {
				t.Errorf("%+v %v", changed, err)
			}
			if err := p.Delete(t.Context(), a); err != nil {
				t.Error(err)
			}
			var gone *phone.Refusal
			if err := p.Delete(t.Context(), a); err != nil && (!errors.As(err, &gone) || !gone.Gone()) {
				t.Error(err)
			}
			if got, err := w.store.Authenticators(t.Context(), subject, w.clock.Now()); err != nil || len(got) != 0 {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}
