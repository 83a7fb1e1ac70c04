package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
	"github.com/sallyport/sallyport/pkg/guardian/phone"
	"github.com/sallyport/sallyport/pkg/secret"
)

// A tapper is somebody whose second factor is a phone, in the middle of a crowd.
type tapper struct {
	*crowd
	who   string
	phone *gatewaytest.Phone
}

// withPhones is a setting with the people of a crowd and a push service.
func withPhones(s gatewaytest.Setting) gatewaytest.Setting {
	s = crowded(s)
	s.Phones = true
	return s
}

// taps gives somebody of the crowd a phone.
func (c *crowd) taps(t *testing.T, who string) *tapper {
	t.Helper()
	p := &tapper{crowd: c, who: who, phone: c.w.EnrollPhone(t, who, phone.Android)}
	c.seeds[who] = p.phone.Account.TOTP.Secret.Reveal()
	c.secrets = append(c.secrets, c.seeds[who], p.phone.Account.Push.Token.Reveal(), p.phone.Account.Token.Reveal())
	return p
}

// asks logs in until the phone is asked, as far as that goes, and returns the last answer.
func (p *tapper) asks() (gatewaytest.Push, exchange) {
	x := p.first("spa", p.who)
	token := x.reply.Text("mfa_token")
	if token == "" {
		return gatewaytest.Push{}, x
	}
	return p.asksAgain(token)
}

func (p *tapper) asksAgain(mfaToken string) (gatewaytest.Push, exchange) {
	x := p.send(p.who, "challenge", nil, gatewaytest.Request{Method: http.MethodPost, Path: "/mfa/challenge",
		ContentType: "application/x-www-form-urlencoded", Body: gatewaytest.Encode("client_id", "spa", "mfa_token", mfaToken, "challenge_type", "oob")})
	return gatewaytest.Push{MFAToken: mfaToken, OOBCode: x.reply.Text("oob_code")}, x
}

// asked is a login whose push has come.
func (p *tapper) asked(t *testing.T) (gatewaytest.Push, phone.Notification) {
	t.Helper()
	push, x := p.asks()
	if push.OOBCode == "" {
		t.Fatalf("%s: %s: %s", p.who, x.what, told(x))
	}
	n := p.phone.Next(t)
	p.secrets = append(p.secrets, push.OOBCode, n.Transaction.Reveal())
	return push, n
}

// poll polls as "spa".
func (c *crowd) poll(who string, p gatewaytest.Push) exchange {
	return c.send(who, "poll", uses(p), polls(p))
}

func uses(p gatewaytest.Push) []string { return []string{"push:" + p.MFAToken + " " + p.OOBCode} }

func polls(p gatewaytest.Push) gatewaytest.Request {
	return gatewaytest.Request{Method: http.MethodPost, Path: "/oauth/token", ContentType: "application/x-www-form-urlencoded",
		Body: gatewaytest.Encode("grant_type", gatewaytest.GrantOOB, "client_id", "spa", "mfa_token", p.MFAToken, "oob_code", p.OOBCode)}
}

// pushOf reads what poll says it would use up.
func pushOf(used string) gatewaytest.Push {
	token, code, _ := strings.Cut(used, " ")
	return gatewaytest.Push{MFAToken: token, OOBCode: code}
}

// later polls once a poll is welcome again.
func (p *tapper) later(push gatewaytest.Push) exchange {
	p.w.Clock.Wind(20 * time.Second)
	return p.poll(p.who, push)
}

// wants polls later, and wants this answer; "" is tokens.
func (p *tapper) wants(t *testing.T, push gatewaytest.Push, status int, code string) {
	t.Helper()
	if x := p.later(push); x.reply.Status != status || x.reply.Text("error") != code || x.issued() != (code == "") {
		t.Fatalf("a poll of %s: %s, want %d %q", p.who, told(x), status, code)
	}
}

// answers sends a phone's answer and returns how it was refused: 204 if it was taken.
func (p *tapper) answers(t *testing.T, n phone.Notification, yes bool) (status int, code string) {
	t.Helper()
	return outcome(t, answerOf(t, p.phone, n, yes))
}

func answerOf(t *testing.T, p *gatewaytest.Phone, n phone.Notification, yes bool) error {
	t.Helper()
	if yes {
		return p.App.Allow(t.Context(), p.Account, n, secret.Text{})
	}
	return p.App.Reject(t.Context(), p.Account, n, "")
}

// outcome reads what a phone was told.
func outcome(t *testing.T, err error) (status int, code string) {
	t.Helper()
	var refused *phone.Refusal
	switch {
	case err == nil:
		return http.StatusNoContent, ""
	case !errors.As(err, &refused):
		t.Fatal(err)
	}
	return refused.Status, refused.Code
}

// taken wants an answer to be taken.
func (p *tapper) taken(t *testing.T, n phone.Notification, yes bool) {
	t.Helper()
	if status, code := p.answers(t, n, yes); status != http.StatusNoContent {
		t.Fatalf("an answer of %s's phone: %d %s", p.who, status, code)
	}
}

// gone wants an answer to be refused because its login is over, and recorded as that.
func (p *tapper) gone(t *testing.T, n phone.Notification, yes bool) {
	t.Helper()
	before := p.events(t, "answer.refused")
	if status, code := p.answers(t, n, yes); status != http.StatusNotFound || code != "login_transaction_not_found" {
		t.Fatalf("an answer of %s's phone: %d %s, want it refused", p.who, status, code)
	}
	if now := p.events(t, "answer.refused"); now != before+1 {
		t.Errorf("%d refused answers are on record, want %d", now, before+1)
	}
}

// events is how many of a type are on record of somebody.
func (p *tapper) events(t *testing.T, kind string) int {
	t.Helper()
	return p.count(t, "SELECT COUNT(*) FROM audit_events WHERE type = $1 AND subject = $2", kind, "auth0|"+p.who)
}

// served waits until each gateway begins logins again, and says how long that took.
func (c *crowd) served(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	all := c.w
	defer func() { c.w = all }()
	for _, node := range all.Apart() {
		c.w = node
		for c.begin("spa", "anna") == "" {
			if time.Since(began) > recovery {
				t.Fatalf("after %v there is no login yet", recovery)
			}
		}
	}
	return time.Since(began)
}

// an approval is redeemed; then a failover brings the approval back, and the login
// that was finished. SQL knows, and there is no second set of tokens.
func TestFaultX06(t *testing.T) {
	f := fault(t, "X-06", "a failover brings back an approval that was redeemed", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Failover()))
	c := gather(t, w)
	alice := c.taps(t, "alice")
	push, n := alice.asked(t)
	alice.taken(t, n, true)
	w.Failover().Cut(t)
	before := alice.events(t, "tokens.issued")
	alice.wants(t, push, http.StatusOK, "")
	w.Failover().Promote(t)
	f.saw("served after %.1f s", c.served(t).Seconds())
	for _, what := range []string{"mfa:{", "oob:{", "approved"} {
		if !strings.Contains(w.Failover().Replica.Dump(t), what) {
			t.Errorf("the failover did not bring back what was redeemed: there is no %s", what)
		}
	}
	for range 2 * len(w.Processes()) {
		alice.wants(t, push, http.StatusForbidden, "invalid_grant")
	}
	if now := alice.events(t, "tokens.issued"); now != before+1 {
		t.Errorf("%d issuances are on record, want one", now-before)
	}
	f.saw("polled again at each gateway: 403, 1 issuance on record")
	f.sound(t, c)
}

// a failover loses a login under way, or just its challenge. Whoever polls is told
// that it is over, and begins again.
func TestFaultX07(t *testing.T) {
	f := fault(t, "X-07", "a failover loses logins that were begun", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Failover()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	half := c.begin("spa", "carol")
	w.Failover().Cut(t)
	whole, lost := alice.asked(t)
	part, x := carol.asksAgain(half)
	if part.OOBCode == "" {
		t.Fatal(told(x))
	}
	orphan := carol.phone.Next(t)
	mark := c.mark()
	w.Failover().Promote(t)
	f.saw("served after %.1f s", c.served(t).Seconds())
	alice.wants(t, whole, http.StatusForbidden, "invalid_grant")
	alice.gone(t, lost, true)
	carol.wants(t, part, http.StatusForbidden, "invalid_grant")
	carol.gone(t, orphan, true)
	for _, x := range c.since(mark) {
		if what := unfit(x); what != "" {
			t.Errorf("%s of %s: %s: %s", x.what, x.who, what, told(x))
		}
	}
	again, n := alice.asked(t)
	alice.taken(t, n, true)
	alice.wants(t, again, http.StatusOK, "")
	again, x = carol.asksAgain(half) // the login was not lost, and may ask once more
	if again.OOBCode == "" {
		t.Fatalf("asked again: %s", told(x))
	}
	carol.taken(t, carol.phone.Next(t), true)
	carol.wants(t, again, http.StatusOK, "")
	f.saw("polls get 403, answers 404; both log in anew")
	f.sound(t, c)
}

// a failover undoes what phones answered. A denial stays one, although Redis has
// forgotten it; an approval may be given once more.
func TestFaultX08(t *testing.T) {
	f := fault(t, "X-08", "a failover forgets what phones answered", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Failover()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	denied, no := alice.asked(t)
	approved, yes := carol.asked(t)
	w.Failover().Cut(t)
	alice.taken(t, no, false)
	carol.taken(t, yes, true)
	w.Failover().Promote(t)
	f.saw("served after %.1f s", c.served(t).Seconds())
	carol.wants(t, approved, http.StatusBadRequest, "authorization_pending")
	carol.taken(t, yes, true)
	carol.wants(t, approved, http.StatusOK, "")
	f.saw("an approval is pending again, and is given again")
	alice.wants(t, denied, http.StatusBadRequest, "authorization_pending")
	alice.gone(t, no, true)
	alice.wants(t, denied, http.StatusBadRequest, "authorization_pending")
	alice.taken(t, no, false) // the phone repeats itself, and the client hears of it after all
	alice.wants(t, denied, http.StatusForbidden, "invalid_grant")
	alice.gone(t, no, true)
	f.saw("a denial lets nobody in")
	if n := alice.events(t, "challenge.denied"); n != 1 {
		t.Errorf("%d denials are on record", n)
	}
	f.sound(t, c)
}

// the replica takes over while the gateways hold connections to the master, which
// goes on as a replica. Nothing was lost, and nobody is told anything that is not so.
func TestFaultX12(t *testing.T) {
	f := fault(t, "X-12", "a replica takes over under held connections", false)
	w := gatewaytest.New(t, withPhones(gatewaytest.Failover()))
	c := gather(t, w)
	alice, carol := c.taps(t, "alice"), c.taps(t, "carol")
	push, n := alice.asked(t)
	other, asked := carol.asked(t)
	alice.wants(t, push, http.StatusBadRequest, "authorization_pending")
	mark := c.mark()
	stop, polled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(polled)
		for {
			select {
			case <-stop:
				return
			default:
				c.poll("alice", push)
			}
		}
	}()
	carol.taken(t, asked, true)
	w.Failover().Promote(t)
	took := c.served(t)
	close(stop)
	<-polled
	failed, slowest := c.suffer(t, mark)
	for _, x := range c.since(mark) {
		if x.what == "poll" && x.reply.Status != http.StatusServiceUnavailable && x.reply.Text("error") != "slow_down" && x.reply.Text("error") != "authorization_pending" {
			t.Errorf("a poll of what nobody answered: %s", told(x))
		}
	}
	f.saw("served after %.1f s; of %d answers %d were 503, slowest %.1f s", took.Seconds(), len(c.since(mark)), failed, slowest.Seconds())
	alice.taken(t, n, true)
	w.Clock.Wind(time.Minute) // the interval has grown
	alice.wants(t, push, http.StatusOK, "")
	carol.wants(t, other, http.StatusOK, "")
	f.sound(t, c)
}
