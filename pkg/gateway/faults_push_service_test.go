package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

// the push service loses, delays and duplicates messages; it answers with errors, and
// not at all.
func TestFaultX33(t *testing.T) {
	f := fault(t, "X-33", "a push service that loses, delays, duplicates, fails", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.PostgreSQL()))
	c := gather(t, w)
	alice := c.taps(t, "alice")
	f.duplicates(t, alice)
	f.loses(t, alice)
	f.delays(t, alice)
	f.hangs(t, alice)
	f.forgets(t, alice)
	f.sound(t, c)
}

// duplicates: the same message twice is one transaction, however often the phone answers.
func (f *finding) duplicates(t *testing.T, p *tapper) {
	t.Helper()
	push, n := p.asked(t)
	approvals, issued := p.events(t, "challenge.approved"), p.events(t, "tokens.issued")
	for range 3 {
		p.taken(t, n, true)
	}
	p.wants(t, push, http.StatusOK, "")
	p.answers(t, n, true)
	p.wants(t, push, http.StatusForbidden, "invalid_grant")
	if a, i := p.events(t, "challenge.approved")-approvals, p.events(t, "tokens.issued")-issued; a != 1 || i != 1 {
		t.Errorf("a push that came twice: %d approvals and %d issuances are on record", a, i)
	}
	f.saw("duplicates: one login")
}

// loses: whoever waits for a push that never comes is told when that is over.
func (f *finding) loses(t *testing.T, p *tapper) {
	t.Helper()
	p.w.FailPushes(func(w http.ResponseWriter, _ *http.Request) { // it says that it took it
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"name":"projects/x/messages/1"}`))
	})
	defer p.w.FailPushes(nil)
	push, x := p.asks()
	if push.OOBCode == "" {
		t.Fatal(told(x))
	}
	p.phone.None(t)
	p.wants(t, push, http.StatusBadRequest, "authorization_pending")
	p.w.Clock.Wind(5 * time.Minute)
	p.wants(t, push, http.StatusUnauthorized, "expired_token")
	p.wants(t, push, http.StatusUnauthorized, "expired_token")
	f.saw("lost: expired_token")
}

// delays: a yes that comes after the login is over is refused.
func (f *finding) delays(t *testing.T, p *tapper) {
	t.Helper()
	push, n := p.asked(t)
	p.w.Clock.Wind(5*time.Minute + time.Second)
	p.gone(t, n, true)
	p.wants(t, push, http.StatusUnauthorized, "expired_token")
	before := p.events(t, "answer.refused")
	p.w.Clock.Wind(time.Hour)
	if status, code := p.answers(t, n, true); status != http.StatusUnauthorized || code != "invalid_token" {
		t.Errorf("an answer after an hour: %d %s", status, code)
	}
	if p.events(t, "answer.refused") != before+1 {
		t.Error("an answer after an hour is not on record")
	}
	p.completes(t) // what nobody answered is over
	f.saw("late: 404, on record")
}

// completes is a login with a push.
func (p *tapper) completes(t *testing.T) {
	t.Helper()
	push, n := p.asked(t)
	p.taken(t, n, true)
	p.wants(t, push, http.StatusOK, "")
}

// hangs: a service that fails or does not answer is no challenge that was sent.
func (f *finding) hangs(t *testing.T, p *tapper) {
	t.Helper()
	for name, with := range map[string]http.HandlerFunc{
		"hangs":       func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"answers 503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"hangs up":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		p.w.Clock.Wind(time.Hour) // so that no limit is reached
		p.w.FailPushes(with)
		mark := p.mark()
		push, x := p.asks()
		if push.OOBCode != "" || x.what != "challenge" || x.reply.Status != http.StatusServiceUnavailable || x.reply.Header.Get("Retry-After") == "" {
			t.Errorf("a service that %s: %s", name, told(x))
		}
		_, slowest := p.suffer(t, mark)
		p.w.FailPushes(nil)
		p.completes(t)
		f.saw("%s: 503 after %.1f s", name, slowest.Seconds())
	}
}

// forgets: a device that the service does not know any more is not asked again, and cannot
// be; its codes are good still, and so is it once it has told of its new address.
func (f *finding) forgets(t *testing.T, p *tapper) {
	t.Helper()
	p.w.Clock.Wind(time.Hour)
	p.w.FailPushes(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"error":{"code":404,"status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`))
	})
	var last exchange
	for range 2 {
		var push gatewaytest.Push
		if push, last = p.asks(); push.OOBCode != "" || last.what != "challenge" || last.reply.Status != http.StatusServiceUnavailable {
			t.Errorf("a device that is gone: %s", told(last))
		}
	}
	if n := p.events(t, "device.unreachable"); n != 1 {
		t.Errorf("%d records that the device is gone", n)
	}
	p.w.FailPushes(nil)
	if push, x := p.asks(); push.OOBCode != "" {
		t.Errorf("a device that was gone is asked: %s", told(x))
	}
	x := p.prove(t, "spa", p.who, p.begin("spa", p.who), p.seeds[p.who])
	if !x.issued() {
		t.Errorf("a code of the device: %s", told(x))
	}
	fresh := phone.PushCredentials{Service: p.phone.Account.Push.Service, Token: secret.New("another-registration")}
	account, err := p.phone.App.Update(t.Context(), p.phone.Account, phone.Change{Push: &fresh})
	if err != nil {
		t.Fatal(err)
	}
	p.phone.Account = account
	p.completes(t)
	f.saw("unregistered: %d %s", last.reply.Status, last.reply.Text("error"))
}
