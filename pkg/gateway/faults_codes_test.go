package gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
)

// A texted is somebody whose second factor is a text message, in the middle of a crowd.
type texted struct {
	*crowd
	who, number string
	sms         *sms
}

// sms are the services that deliver: the second one where the first one does not.
type sms struct {
	twilio *phonetest.Twilio
	hook   *phonetest.Webhook
}

func (s *sms) messages() []phonetest.Message {
	return slices.Concat(s.twilio.Messages(), s.hook.Messages())
}

func (s *sms) sent() int { return len(s.messages()) }

// withTexts is a crowd in which so many people have text messages, and who brings them.
func withTexts(t *testing.T, s gatewaytest.Setting, people int) (*crowd, *sms, []*texted) {
	t.Helper()
	s = crowded(s)
	for i := range people {
		s.People = append(s.People, fmt.Sprint("text", i))
	}
	var world atomic.Pointer[gatewaytest.World] // nothing is sent before there is one
	to := &sms{phonetest.NewTwilio(t), phonetest.NewWebhook(t, func() time.Time { return world.Load().Clock.Now() })}
	w := gatewaytest.New(t, s, "messages: {phone: {per_user: 1000, per_number: 1000, per_range: 1000}}", fmt.Sprintf(`delivery: {sms: {driver: twilio, account_sid: %s, auth_token: %s, from: %q, endpoint: %q,
  fallback: [{driver: webhook, url: %q, secret: %s}]}}`, to.twilio.Account, to.twilio.Token, to.twilio.From, to.twilio.URL, to.hook.URL, to.hook.Secret))
	world.Store(w)
	c := gather(t, w)
	var all []*texted
	for i := range people {
		p := &texted{crowd: c, who: fmt.Sprint("text", i), number: fmt.Sprintf("+4915112345%03d", i), sms: to}
		c.secrets = append(c.secrets, p.number)
		p.enrolls(t)
		all = append(all, p)
	}
	return c, to, all
}

// enrolls is the first login, which makes the number a factor.
func (p *texted) enrolls(t *testing.T) {
	t.Helper()
	token := p.begin("kiosk", p.who)
	x := p.send(p.who, "associate", nil, gatewaytest.Request{Method: http.MethodPost, Path: "/mfa/associate", ContentType: "application/json",
		Header: gatewaytest.Bearer(token), Body: fmt.Sprintf(`{"authenticator_types":["oob"],"oob_channels":["sms"],"phone_number":%q}`, p.number)})
	push := gatewaytest.Push{MFAToken: token, OOBCode: x.reply.Text("oob_code")}
	if x = p.types("kiosk", push, p.code(t)); !x.issued() {
		t.Fatalf("%s enrolls: %s", p.who, told(x))
	}
}

// asks has a code sent in a login at one of the gateways of a world.
func (p *texted) asks(at *gatewaytest.World, mfaToken string) (gatewaytest.Push, exchange) {
	x := p.sendTo(at, 3*answerWithin, exchange{who: p.who, what: "challenge"}, gatewaytest.Request{Method: http.MethodPost, Path: "/mfa/challenge",
		ContentType: "application/x-www-form-urlencoded", Body: gatewaytest.Encode("client_id", "spa", "mfa_token", mfaToken, "challenge_type", "oob")})
	return gatewaytest.Push{MFAToken: mfaToken, OOBCode: x.reply.Text("oob_code")}, x
}

// asked is a login whose code has come.
func (p *texted) asked(t *testing.T) (gatewaytest.Push, string) {
	t.Helper()
	push, x := p.asks(p.w, p.begin("spa", p.who))
	if push.OOBCode == "" {
		t.Fatalf("%s: %s", p.who, told(x))
	}
	return push, p.code(t)
}

// code is the latest one that came, as long as nothing failed.
func (p *texted) code(t *testing.T) string {
	t.Helper()
	for _, m := range slices.Backward(p.sms.twilio.Messages()) {
		if m.To == p.number {
			return m.Code
		}
	}
	t.Fatalf("%s got no code", p.who)
	return ""
}

// types finishes a login with a code.
func (p *texted) types(client string, push gatewaytest.Push, code string) exchange {
	return p.token(p.who, "text", []string{"mfa_token:" + push.MFAToken, "text:" + push.OOBCode},
		with(client, "grant_type", gatewaytest.GrantOOB, "mfa_token", push.MFAToken, "oob_code", push.OOBCode, "binding_code", code)...)
}

// gone wants each gateway to say that it cannot tell now whether a code is right.
func (p *texted) gone(t *testing.T, f *finding, push gatewaytest.Push, code string) {
	t.Helper()
	mark := p.mark()
	for range p.w.Processes() {
		if x := p.types("spa", push, code); x.reply.Status != http.StatusServiceUnavailable {
			t.Errorf("a code meanwhile: %s", told(x))
		}
	}
	_, slowest := p.suffer(t, mark)
	f.saw("codes get 503, slowest %.1f s", slowest.Seconds())
}

// Redis stands still between the message and the code. Then the login goes on.
func TestFaultX02Codes(t *testing.T) {
	f := fault(t, "X-02", "Redis frozen while a code is out", true)
	c, _, all := withTexts(t, gatewaytest.PostgreSQL(), 1)
	push, code := all[0].asked(t)
	c.w.State().Freeze(t)
	all[0].gone(t, f, push, code)
	c.w.State().Thaw(t)
	c.served(t)
	if x := all[0].types("spa", push, code); !x.issued() {
		t.Errorf("after the fault: %s", told(x))
	}
	f.saw("the login goes on")
	f.sound(t, c)
}

// Redis dies between the message and the code, and comes back empty. The login is
// over, and its code is worth nothing in the next one.
func TestFaultX01Codes(t *testing.T) {
	f := fault(t, "X-01", "Redis killed while a code is out", false)
	c, _, all := withTexts(t, gatewaytest.PostgreSQL(), 1)
	push, code := all[0].asked(t)
	c.w.State().Stop(t)
	all[0].gone(t, f, push, code)
	c.w.State().Start(t)
	c.served(t)
	if x := all[0].types("spa", push, code); x.reply.Status != http.StatusForbidden || x.reply.Text("error") != "invalid_grant" {
		t.Errorf("after the fault: %s", told(x))
	}
	if next, fresh := all[0].asked(t); code != fresh { // as it is but for one in a million
		if x := all[0].types("spa", next, code); x.reply.Status != http.StatusForbidden {
			t.Errorf("the code of the login that is over: %s", told(x))
		}
		if x := all[0].types("spa", next, fresh); !x.issued() {
			t.Errorf("the next login: %s", told(x))
		}
	}
	f.saw("the login is invalid_grant, the next one goes on")
	f.sound(t, c)
}

// PostgreSQL dies between the message and the code. Then the login goes on, once.
func TestFaultX20Codes(t *testing.T) {
	f := fault(t, "X-20", "PostgreSQL stopped while a code is out", false)
	c, _, all := withTexts(t, gatewaytest.Breakable(), 1)
	push, code := all[0].asked(t)
	c.w.Database().Stop(t)
	all[0].gone(t, f, push, code)
	c.w.Database().Start(t)
	c.served(t)
	if x := all[0].types("spa", push, code); !x.issued() {
		t.Errorf("after the fault: %s", told(x))
	}
	if x := all[0].types("spa", push, code); x.reply.Status != http.StatusForbidden {
		t.Errorf("the same again: %s", told(x))
	}
	f.saw("the login goes on")
	f.sound(t, c)
}

// those who deliver text messages fail. Who waits for them is told so in time, and
// holds nothing that other logins need: there are twice as many as the pools have.
func TestFaultX30(t *testing.T) {
	f := fault(t, "X-30", "text messages that nobody takes", false)
	c, to, all := withTexts(t, gatewaytest.PostgreSQL(), 20)
	for name, with := range map[string]phonetest.Failure{
		"hang": {Hang: true}, "500": {Status: http.StatusInternalServerError}, "429": {Status: http.StatusTooManyRequests, RetryAfter: "60"},
	} {
		to.twilio.Always(&with)
		to.hook.Always(&with)
		f.unsent(t, all, name, with.Hang)
		to.hook.Always(nil)
		push, x := all[0].asks(c.w, all[0].begin("spa", all[0].who))
		if push.OOBCode == "" {
			t.Errorf("%s, with another service: %s", name, told(x))
		} else if x := all[0].types("spa", push, to.hook.Next(t).Code); !x.issued() {
			t.Errorf("%s, with another service: %s", name, told(x))
		}
		to.twilio.Always(nil)
	}
	f.sound(t, c)
}

// unsent has everybody ask for four codes, while the crowd comes.
func (f *finding) unsent(t *testing.T, all []*texted, name string, hang bool) {
	t.Helper()
	const each = 4
	c, to := all[0].crowd, all[0].sms
	c.w.Clock.Wind(30 * time.Second)
	tokens, tries := make([]string, len(all)), to.twilio.Tries()
	for i, p := range all {
		tokens[i] = p.begin("spa", p.who)
	}
	mark := c.mark()
	var asking sync.WaitGroup
	for i, p := range all {
		for range each {
			asking.Go(func() {
				if push, x := p.asks(c.w, tokens[i]); push.OOBCode != "" || x.reply.Status != http.StatusServiceUnavailable {
					t.Errorf("%s: a code that nobody sent: %s", name, told(x))
				}
			})
		}
	}
	if hang {
		eventually(t, "the services to be asked", func() bool { return to.twilio.Tries() >= tries+each*len(all) })
	}
	began := time.Now()
	c.wants(t, c.come(t), name)
	others := time.Since(began)
	asking.Wait()
	failed, slowest := c.suffer(t, mark)
	f.saw("%s: %d of %d codes 503, slowest %.1f s, others through after %.1f s", name, failed, each*len(all), slowest.Seconds(), others.Seconds())
}

// S-5: a gateway is killed two hundred times while it sends. Nobody gets a message more than
// twice, nor with two codes, and whoever asks again logs in with what came then.
func TestFaultS5(t *testing.T) {
	f := fault(t, "S-5", "a gateway killed while it sends", false)
	c, to, all := withTexts(t, gatewaytest.PostgreSQL(), 20)
	const kills = 10
	sent := to.sent()
	for i := range kills { // of the second half, when the second service has been asked as well
		f.cut(t, all, i*2*len(all)/kills+1)
		c.w.Revive(t, 0)
	}
	codes, times, twice := map[string]string{}, map[string]int{}, 0
	for _, m := range to.messages() {
		if times[m.ID]++; times[m.ID] == 2 {
			twice++
		}
		if times[m.ID] > 2 || codes[m.ID] != "" && codes[m.ID] != m.Code {
			t.Errorf("a message came %d times, with the codes %s and %s", times[m.ID], codes[m.ID], m.Code)
		}
		codes[m.ID] = m.Code
	}
	if twice == 0 {
		t.Error("no message came twice: the second service was not asked")
	}
	f.saw("%d sends cut off, %d messages, %d of them twice", kills*len(all), to.sent()-sent, twice)
	f.sound(t, c)
}

// cut kills the first gateway when so many messages have left it, and nobody was told. Then
// everybody asks the other one.
func (f *finding) cut(t *testing.T, all []*texted, after int) {
	t.Helper()
	c, to := all[0].crowd, all[0].sms
	c.w.Clock.Wind(30 * time.Second)
	tokens, before := make([]string, len(all)), to.sent()
	for i, p := range all {
		tokens[i] = p.begin("spa", p.who)
	}
	to.twilio.Always(&phonetest.Failure{Late: true})
	to.hook.Always(&phonetest.Failure{Late: true})
	world, apart := c.w, c.w.Apart()
	var asking sync.WaitGroup
	for i, p := range all {
		asking.Go(func() {
			if push, x := p.asks(apart[0], tokens[i]); push.OOBCode != "" {
				t.Errorf("a code that nobody accepted: %s", told(x))
			}
		})
	}
	eventually(t, "messages to be on their way", func() bool { return to.sent() >= before+after })
	c.w.Kill(t, 0)
	asking.Wait()
	to.twilio.Always(nil)
	to.hook.Always(nil)
	c.w = apart[1]
	for i, p := range all {
		push, x := p.asks(c.w, tokens[i])
		if push.OOBCode == "" {
			t.Fatalf("%s asks again: %s", p.who, told(x))
		}
		if x := p.types("spa", push, p.code(t)); !x.issued() {
			t.Errorf("%s asked again: %s", p.who, told(x))
		}
	}
	c.w = world
}
