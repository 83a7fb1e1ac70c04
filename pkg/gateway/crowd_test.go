package gateway_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// The people of a crowd: who logs in with one-time passwords, with recovery codes, by
// refresh, and who guesses. Newcomers enroll a factor, one a round; drafts begin to and
// never confirm.
var regulars = []string{"anna", "rene", "rita", "gus"}

const newcomers = 24

// crowded is a setting with the people of a crowd.
func crowded(s gatewaytest.Setting) gatewaytest.Setting {
	s.People = slices.Clone(regulars)
	for i := range newcomers {
		s.People = append(s.People, newcomer(i), draft(i))
	}
	return s
}

func newcomer(i int) string { return fmt.Sprintf("new%d", i) }
func draft(i int) string    { return fmt.Sprintf("draft%d", i) }

// answerWithin is how long an answer may take whatever fails (I7); recovery is how long after
// the fault everything must work again.
const (
	answerWithin = 5 * time.Second
	recovery     = 10 * time.Second
)

// An exchange is a request of somebody and what came back.
type exchange struct {
	who, what string
	uses      []string // what it would use up: "otp:anna:493827", "code:...", "refresh:...", "mfa_token:..."
	reply     gatewaytest.Reply
	err       error // there was no answer
	took      time.Duration
}

// issued reports whether the exchange yielded tokens.
func (x exchange) issued() bool {
	return x.err == nil && x.reply.Status == http.StatusOK && x.reply.Text("access_token") != ""
}

// unknown reports whether the sender cannot know what happened.
func (x exchange) unknown() bool {
	return x.err != nil || x.reply.Status >= http.StatusInternalServerError
}

// A crowd is people who log in at once, round after round, at all gateways in turn, and
// remember what they sent and what they were told: what invariants reads afterwards.
type crowd struct {
	w     *gatewaytest.World
	db    *sql.DB // the same database, beside the gateways
	seeds map[string]string
	rene  struct{ code, token, lost string } // the next code; a request whose answer is missing
	rita  string                             // the refresh token
	gone  string                             // an access token that was revoked before anything failed
	round int
	began []int // the descriptors of the gateways

	mu        sync.Mutex
	sent      []exchange
	secrets   []string // whatever must be in no log
	confirmed map[string]string
	maybe     map[string]string // the confirmation was not answered
	drafts    map[string]string
}

// gather enrolls the regulars and lets everybody log in once.
func gather(t *testing.T, w *gatewaytest.World) *crowd {
	t.Helper()
	c := &crowd{w: w, db: w.SQL(t), seeds: map[string]string{}, confirmed: map[string]string{}, maybe: map[string]string{}, drafts: map[string]string{},
		secrets: []string{gatewaytest.Password, gatewaytest.Secret}}
	for _, who := range regulars {
		e := w.Enroll(t, who)
		c.seeds[who] = e.Seed
		c.secrets = append(c.secrets, e.Seed, e.Recovery, e.Tokens.Text("access_token"))
		if who == "rene" {
			c.rene.code = e.Recovery
		}
	}
	c.wants(t, c.rounds(t, 1), "before anything failed")
	if c.gone = c.live(t); !known(t, w, c.gone) {
		t.Fatal("a token that was just issued is not known")
	}
	revoked(t, about(t, w, "/oauth/revoke", "spa", c.gone))
	c.wants(t, c.rounds(t, 1), "before anything failed")
	c.began = w.Descriptors(t)
	return c
}

// send sends a form or JSON and remembers.
func (c *crowd) send(who, what string, uses []string, r gatewaytest.Request) exchange {
	return c.sendTo(c.w, 3*answerWithin, exchange{who: who, what: what, uses: uses}, r)
}

func (c *crowd) sendTo(w *gatewaytest.World, patience time.Duration, x exchange, r gatewaytest.Request) exchange {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	x.reply, x.err = w.Send(ctx, r)
	x.took = time.Since(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, x)
	for _, name := range []string{"access_token", "refresh_token", "id_token", "mfa_token", "recovery_code", "secret"} {
		if s := x.reply.Text(name); s != "" {
			c.secrets = append(c.secrets, s)
		}
	}
	return x
}

func (c *crowd) token(who, what string, uses []string, pairs ...string) exchange {
	return c.send(who, what, uses, gatewaytest.Request{Method: http.MethodPost, Path: "/oauth/token",
		ContentType: "application/x-www-form-urlencoded", Body: gatewaytest.Encode(pairs...)})
}

// begin sends a password and returns the mfa_token, empty if none was given.
func (c *crowd) begin(client, who string) string { return c.first(client, who).reply.Text("mfa_token") }

func (c *crowd) first(client, who string) exchange {
	return c.token(who, "password", nil, with(client, "grant_type", "password", "username", who, "password", gatewaytest.Password,
		"audience", things, "scope", "openid offline_access read:things")...)
}

// prove sends the one-time password of the moment.
func (c *crowd) prove(t *testing.T, client, who, mfaToken, seed string) exchange {
	step := c.w.Clock.Now().Unix() / 30
	return c.token(who, "otp", []string{fmt.Sprintf("otp:%s:%d", who, step), "mfa_token:" + mfaToken},
		with(client, "grant_type", gatewaytest.GrantOTP, "mfa_token", mfaToken, "otp", c.w.Code(t, seed, 0))...)
}

// login is both steps, as far as they go; it returns the last.
func (c *crowd) login(t *testing.T, client, who, seed string) exchange {
	x := c.first(client, who)
	if token := x.reply.Text("mfa_token"); token != "" {
		return c.prove(t, client, who, token, seed)
	}
	return x
}

// The ways of the regulars. Each returns what it wanted and did not get, empty if all is
// well.

func (c *crowd) anna(t *testing.T) string {
	mfaToken := c.begin("spa", "anna")
	if mfaToken == "" {
		return "anna got no mfa_token"
	}
	return wanted(c.prove(t, "spa", "anna", mfaToken, c.seeds["anna"]))
}

// recover logs in with a recovery code. Where no answer came before, it asks for that
// again, as the contract says (T-22): it is told the next code, or the code is good still.
func (c *crowd) recover() string {
	r := &c.rene
	if r.lost != "" {
		x := c.redeem(r.token, r.lost)
		if x.unknown() {
			return wanted(x)
		}
		r.lost = ""
		if next := x.reply.Text("recovery_code"); next != "" {
			r.code = next
			return ""
		}
	}
	mfaToken := c.begin("spa", "rene")
	if mfaToken == "" {
		return "rene got no mfa_token"
	}
	x := c.redeem(mfaToken, r.code)
	switch {
	case x.issued():
		r.code = x.reply.Text("recovery_code")
	case x.unknown():
		r.token, r.lost = mfaToken, r.code
	}
	return wanted(x)
}

func (c *crowd) redeem(mfaToken, code string) exchange {
	return c.token("rene", "recovery", []string{"code:" + code, "mfa_token:" + mfaToken},
		with("spa", "grant_type", gatewaytest.GrantRecovery, "mfa_token", mfaToken, "recovery_code", code)...)
}

// renew refreshes, and logs in anew where there is nothing to refresh: after an answer
// that was lost, the old refresh token may have been used.
func (c *crowd) renew(t *testing.T) string {
	if c.rita != "" {
		x := c.token("rita", "refresh", []string{"refresh:" + c.rita}, with("spa", "grant_type", "refresh_token", "refresh_token", c.rita)...)
		switch {
		case x.issued():
			c.rita = x.reply.Text("refresh_token")
			return ""
		case x.unknown():
			return wanted(x)
		}
		c.rita = ""
	}
	mfaToken := c.begin("spa", "rita")
	if mfaToken == "" {
		return "rita got no mfa_token"
	}
	x := c.prove(t, "spa", "rita", mfaToken, c.seeds["rita"])
	if x.issued() {
		c.rita = x.reply.Text("refresh_token")
	}
	return wanted(x)
}

// guess tries a wrong code, which is looked at or not.
func (c *crowd) guess(t *testing.T) string {
	mfaToken := c.begin("spa", "gus")
	if mfaToken == "" {
		return "gus got no mfa_token"
	}
	x := c.token("gus", "guess", nil, with("spa", "grant_type", gatewaytest.GrantOTP, "mfa_token", mfaToken, "otp", c.w.Code(t, c.seeds["gus"], 40))...)
	if x.reply.Status == http.StatusForbidden || x.reply.Status == http.StatusTooManyRequests {
		return ""
	}
	return "gus: " + x.what + ": " + told(x)
}

// enroll takes a newcomer through the first enrollment, and somebody else half the way.
func (c *crowd) enroll(t *testing.T, n int) string {
	who := newcomer(n)
	for _, name := range []string{draft(n), who} {
		mfaToken := c.begin("kiosk", name)
		if mfaToken == "" {
			return name + " got no mfa_token"
		}
		x := c.send(name, "associate", nil, gatewaytest.Request{Method: http.MethodPost, Path: "/mfa/associate",
			ContentType: "application/json", Header: gatewaytest.Bearer(mfaToken), Body: `{"authenticator_types":["otp"]}`})
		seed := x.reply.Text("secret")
		if seed == "" {
			return name + ": associate: " + told(x)
		}
		if name != who {
			c.drafts[name] = seed
			continue
		}
		x = c.prove(t, "kiosk", who, mfaToken, seed)
		switch {
		case x.issued():
			c.confirmed[who] = seed
		case x.unknown():
			c.maybe[who] = seed
		}
		return wanted(x)
	}
	return ""
}

func wanted(x exchange) string {
	if x.issued() {
		return ""
	}
	return x.who + ": " + x.what + ": " + told(x)
}

func told(x exchange) string {
	if x.err != nil {
		return x.err.Error()
	}
	return fmt.Sprintf("%d %s", x.reply.Status, x.reply.Body)
}

// rounds lets everybody come n times and returns what they wanted and did not get.
func (c *crowd) rounds(t *testing.T, n int) (missing []string) {
	t.Helper()
	for range n {
		c.w.Clock.Wind(30 * time.Second)
		missing = append(missing, c.come(t)...)
	}
	return missing
}

// come is one round, without a new time step: for a moment when a gateway cannot be told.
func (c *crowd) come(t *testing.T) []string {
	n := c.round % newcomers
	c.round++
	ways := []func() string{
		func() string { return c.anna(t) }, c.recover, func() string { return c.renew(t) },
		func() string { return c.guess(t) }, func() string { return c.enroll(t, n) },
	}
	out := make([]string, len(ways))
	var all sync.WaitGroup
	for i, way := range ways {
		all.Go(func() { out[i] = way() })
	}
	all.Wait()
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// wants fails the test if anybody missed anything.
func (c *crowd) wants(t *testing.T, missing []string, when string) {
	t.Helper()
	if len(missing) > 0 {
		t.Fatalf("%s:\n%s", when, strings.Join(missing, "\n"))
	}
}

// suffer is what a round looks like while something fails: nobody waits longer than
// that, and every answer is JSON; a refusal for want of something is a 503 that says
// when to come again. It returns how many there were, and the slowest answer.
func (c *crowd) suffer(t *testing.T, since int) (failed int, slowest time.Duration) {
	t.Helper()
	for _, x := range c.since(since) {
		slowest = max(slowest, x.took)
		if what := unfit(x); what != "" {
			t.Errorf("%s of %s: %s: %s", x.what, x.who, what, told(x))
		}
		if x.unknown() {
			failed++
		}
	}
	if slowest > answerWithin {
		t.Errorf("an answer took %v", slowest)
	}
	return failed, slowest
}

// unfit says what is wrong with the form of an answer.
func unfit(x exchange) string {
	switch {
	case x.err != nil:
		return "no answer"
	case x.reply.JSON == nil:
		return "no JSON"
	case x.reply.Status == http.StatusServiceUnavailable:
		if x.reply.Header.Get("Retry-After") == "" || x.reply.Text("error") != "temporarily_unavailable" {
			return "a 503 without what belongs to it"
		}
	case x.reply.Status >= http.StatusInternalServerError:
		return "no 503"
	}
	return ""
}

// live is the latest access token of anna.
func (c *crowd) live(t *testing.T) string {
	t.Helper()
	for _, x := range slices.Backward(c.since(0)) {
		if x.who == "anna" && x.issued() {
			return x.reply.Text("access_token")
		}
	}
	t.Fatal("nobody has a token")
	return ""
}

// mark is where the exchanges stand now; since returns what came after.
func (c *crowd) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

func (c *crowd) since(mark int) []exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent[mark:])
}

// heals comes until everybody gets what they want, which must be soon, and says when.
func (c *crowd) heals(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		missing := c.rounds(t, 1)
		took := time.Since(began)
		if len(missing) == 0 {
			return took
		}
		if took > recovery {
			t.Fatalf("%v after the fault:\n%s", took, strings.Join(missing, "\n"))
		}
	}
}
