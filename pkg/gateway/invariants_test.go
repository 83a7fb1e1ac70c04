package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// invariants reads the database, the log and what everybody was told, after a fault that
// is over (standards 6.3). Nothing of it knows which fault it was.
func (c *crowd) invariants(t *testing.T) {
	t.Helper()
	c.usedOnce(t)
	c.usedNoMore(t)
	c.enrolled(t)
	c.proved(t)
	c.counted(t)
	c.stayed(t)
	c.settled(t)
	c.recorded(t)
	c.silent(t)
}

// usedOnce (I1): nothing that is consumed led to two answers with tokens.
func (c *crowd) usedOnce(t *testing.T) {
	t.Helper()
	first := map[string]exchange{}
	for _, x := range c.since(0) {
		if !x.issued() {
			continue
		}
		for _, used := range x.uses {
			if before, ok := first[used]; ok {
				t.Errorf("I1: %s of %s and %s of %s were both issued for one %s", before.what, before.who, x.what, x.who, used[:strings.Index(used, ":")])
			}
			first[used] = x
		}
	}
}

// usedNoMore (I2): what yielded tokens is sent again, to every gateway. The clock stands
// still, so the latest one-time passwords are in their window.
func (c *crowd) usedNoMore(t *testing.T) {
	t.Helper()
	mfaToken := func(who string) string {
		token := c.begin("spa", who)
		if token == "" {
			t.Fatalf("I2: %s got no mfa_token", who)
		}
		return token
	}
	var refreshed []string
	for _, x := range c.since(0) {
		if !x.issued() {
			continue
		}
		for _, used := range x.uses {
			kind, value, _ := strings.Cut(used, ":")
			for range c.w.Processes() {
				var again exchange
				switch {
				case kind == "code":
					again = c.redeem(mfaToken("rene"), value)
				case kind == "push":
					again = c.poll(x.who, pushOf(value))
				case kind == "mfa_token" && x.who == "anna":
					again = c.prove(t, "spa", "anna", value, c.seeds["anna"])
				case kind == "otp" && x.who == "anna" && strings.HasSuffix(value, fmt.Sprint(c.w.Clock.Now().Unix()/30)):
					again = c.prove(t, "spa", "anna", mfaToken("anna"), c.seeds["anna"])
				case kind == "refresh":
					refreshed = append(refreshed, value)
					continue
				default:
					continue
				}
				if again.issued() || again.reply.Status < http.StatusBadRequest {
					t.Errorf("I2: a used %s was answered with %s", kind, told(again))
				}
			}
		}
	}
	for _, value := range refreshed { // the first one ends the session of the rest
		x := c.token("rita", "reuse", nil, with("spa", "grant_type", "refresh_token", "refresh_token", value)...)
		if x.reply.Status != http.StatusForbidden || x.issued() {
			t.Errorf("I2: a used refresh token was answered with %s", told(x))
		}
	}
}

// enrolled (I3): who was told that the factor is confirmed has it, and is asked for it;
// a factor that was not confirmed opens nothing.
func (c *crowd) enrolled(t *testing.T) {
	t.Helper()
	c.w.Clock.Wind(time.Minute) // a code that nobody has used
	for who, seed := range c.confirmed {
		if x := c.prove(t, "kiosk", who, c.begin("kiosk", who), seed); !x.issued() {
			t.Errorf("I3: %s confirmed a factor, and now: %s", who, told(x))
		}
	}
	for who, seed := range c.drafts {
		if x := c.prove(t, "kiosk", who, c.begin("kiosk", who), seed); x.issued() || x.unknown() {
			t.Errorf("I3: %s confirmed nothing, and logs in: %s", who, told(x))
		}
	}
	for who, seed := range c.maybe {
		x := c.prove(t, "kiosk", who, c.begin("kiosk", who), seed)
		confirmed := c.count(t, "SELECT COUNT(*) FROM authenticators WHERE user_id = $1 AND type = 'otp' AND confirmed_at <> 0 AND deleted_at = 0", "auth0|"+who)
		if x.issued() != (confirmed == 1) {
			t.Errorf("I3: %s has %d confirmed factors, and %s", who, confirmed, told(x))
		}
	}
}

// proved (I4): every session of the crowd has the proof of a factor of the same user,
// and every token that somebody holds is on record.
func (c *crowd) proved(t *testing.T) {
	t.Helper()
	without := c.count(t, `SELECT COUNT(*) FROM sessions s WHERE NOT EXISTS (
		SELECT 1 FROM session_proofs p JOIN authenticators a ON a.id = p.authenticator_id
		WHERE p.session_id = s.id AND a.user_id = s.user_id AND a.confirmed_at <> 0)`)
	if without != 0 {
		t.Errorf("I4: %d sessions have no proof of a second factor", without)
	}
	for _, x := range c.since(0) {
		if x.what == "password" && x.issued() {
			t.Errorf("I4: %s got tokens for the password: %s", x.who, told(x))
		}
		if !x.issued() {
			continue
		}
		var n int
		id := tokenID(t, x.reply.Text("access_token"))
		if err := c.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM access_tokens WHERE id = $1 AND user_id = $2", id, "auth0|"+x.who).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 1 {
			t.Errorf("I4: a token of %s is not on record", x.who)
		}
	}
}

func tokenID(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	var claims struct {
		ID string `json:"jti"`
	}
	if len(parts) != 3 {
		t.Fatal("no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.ID
}

// counted (I5): whatever was looked at is counted, and no more than a day's cap was.
func (c *crowd) counted(t *testing.T) {
	t.Helper()
	const daily = 25
	evaluated := 0
	for _, x := range c.since(0) {
		if x.what == "guess" && x.issued() {
			t.Error("I5: a wrong code was accepted")
		}
		if x.who == "gus" && x.what == "guess" && x.reply.Text("error_description") == "Invalid otp_code." {
			evaluated++
		}
	}
	var recent string
	if err := c.db.QueryRowContext(t.Context(), "SELECT recent FROM user_failures WHERE user_id = 'auth0|gus'").Scan(&recent); err != nil {
		t.Fatalf("I5: %v", err)
	}
	var moments []int64
	if err := json.Unmarshal([]byte(recent), &moments); err != nil {
		t.Fatal(err)
	}
	if evaluated == 0 || evaluated > daily || len(moments) < evaluated || len(moments) > daily {
		t.Errorf("I5: %d guesses were answered, %d counted, %d allowed", evaluated, len(moments), daily)
	}
}

// stayed (I6): who is blocked stays so, and so does what was revoked.
func (c *crowd) stayed(t *testing.T) {
	t.Helper()
	for range c.w.Processes() {
		if r := c.w.Login(t, "dave", gatewaytest.Password); r.Status != http.StatusForbidden || r.Text("mfa_token") != "" {
			t.Errorf("I6: dave is blocked, and gets %d %s", r.Status, r.Body)
		}
		if known(t, c.w, c.gone) {
			t.Error("I6: a revoked token is good again")
		}
	}
}

// settled (I7): the gateways hold no more than before, apart from their pools.
func (c *crowd) settled(t *testing.T) {
	t.Helper()
	const pools = 20 + 50 // of PostgreSQL and of Redis
	for i := range c.began {
		eventually(t, fmt.Sprintf("I7: gateway %d holds what it held before", i), func() bool { return c.w.Descriptors(t)[i] <= c.began[i]+pools })
	}
	for _, path := range []string{"/livez", "/readyz"} {
		for i, status := range c.w.Probe(t, path) {
			if status != http.StatusOK {
				t.Errorf("I7: %s of gateway %d is %d", path, i, status)
			}
		}
	}
}

// recorded (I8): each answer with tokens and each refused guess is in the audit; there is
// no more in it than was answered, apart from what nobody knows the outcome of.
func (c *crowd) recorded(t *testing.T) {
	t.Helper()
	got, unknown := map[string]int{}, map[string]int{}
	for _, x := range c.since(0) {
		switch {
		case x.issued():
			got["tokens.issued "+x.who]++
		case x.unknown():
			unknown[x.who]++
		case x.what == "guess" && x.reply.Text("error_description") == "Invalid otp_code.":
			got["factor.refused "+x.who]++
		case x.reply.Text("error") == "mfa_required":
			got["factor.demanded "+x.who]++
		}
	}
	for what, n := range got {
		kind, who, _ := strings.Cut(what, " ")
		events := c.count(t, "SELECT COUNT(*) FROM audit_events WHERE type = $1 AND subject = $2", kind, "auth0|"+who)
		if c.seeds[who] != "" && kind != "factor.refused" {
			n++ // the enrollment
		}
		if events < n || events > n+unknown[who] {
			t.Errorf("I8: %d times %s was answered, %d are on record, and %d answers are unknown", n, what, events, unknown[who])
		}
	}
}

// silent (I11): no log line holds anything that opens anything, and nothing panicked.
func (c *crowd) silent(t *testing.T) {
	t.Helper()
	log := c.w.Log.String()
	for _, s := range c.secrets {
		if s != "" && strings.Contains(log, s) {
			t.Error("I11: a secret is in the log")
		}
	}
	if i := strings.Index(log, "panic"); i >= 0 {
		t.Errorf("I11: something panicked: %.2000s", log[i:])
	}
}

func (c *crowd) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	if err := c.db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
