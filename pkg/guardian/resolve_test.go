package guardian_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/mfa"
	"github.com/sallyport/sallyport/pkg/record"
	"github.com/sallyport/sallyport/pkg/secret"
)

// polled is what the client's poll comes to.
func polled(t *testing.T, w *world, answer map[string]any) error {
	t.Helper()
	_, err := w.factor.Await(t.Context(), "tx", mfa.Proof{"oob_code": secret.New(answer["oob_code"].(string))}, 0)
	return err
}

// last is the newest event of the record.
func last(t *testing.T, w *world) audit.Event {
	t.Helper()
	all := w.store.Events()
	return all[len(all)-1]
}

// TestResolve: a phone's answer decides, once; the same again is no error, the opposite is
// too late (8.1, step 10).
func TestResolve(t *testing.T) {
	for name, tt := range map[string]struct {
		accepted bool
		reason   string
		want     error
		event    audit.Type
		reported bool
	}{
		"accepted": {true, "", nil, audit.Approved, false},
		"denied":   {false, "", fault.Rejected, audit.Denied, false},
		"mistake":  {false, "mistake", fault.Rejected, audit.Denied, false},
		"hacked":   {false, "I was HACKED", fault.Rejected, audit.Reported, true},
		"fraud":    {false, "Fraude", fault.Rejected, audit.Reported, true},
		"doubt":    {false, "suspicious\nactivity", fault.Rejected, audit.Reported, true},
		"betrug":   {false, "Betrug!", fault.Rejected, audit.Reported, true},
		"tapped":   {true, "hacked", nil, audit.Approved, false}, // a reason belongs to a no
	} {
		for _, d := range []*device{android(), approver(t)} {
			t.Run(name+" "+d.algorithm(), func(t *testing.T) {
				w := newWorld(t)
				m, polling := w.ask(w.enrolled(d), "")
				if err := polled(t, w, polling); !errors.Is(err, fault.Pending) {
					t.Fatal(err)
				}
				claims := w.claims(d, m, tt.accepted)
				if tt.reason != "" {
					claims["auth0_guardian_reason"] = tt.reason
				}
				for range 2 {
					if got := w.answer(m, d.sign(d.header(), claims)); got.Code != http.StatusNoContent || got.Body.Len() != 0 {
						t.Fatalf("%d %s", got.Code, got.Body)
					}
				}
				if err := polled(t, w, polling); !errors.Is(err, tt.want) {
					t.Errorf("the poll says %v", err)
				}
				e := last(t, w)
				if e.Type != tt.event || !e.Success || e.Client != "shop" || e.Transaction != "tx" || e.Address != "203.0.113.7" || len(w.store.Events()) != 3 ||
					!strings.Contains(e.Reason, "GuardianSDK/0.10.2 Android 16; Guardian.Android/0.10.2 Acme/3") || strings.Contains(e.Reason, "\n") {
					t.Errorf("%+v", w.store.Events())
				}
				if w.store.Reported(subject) != tt.reported {
					t.Error("reported")
				}
				claims["auth0_guardian_accepted"] = !tt.accepted
				refused(t, w.answer(m, d.sign(d.header(), claims)), 404, "login_transaction_not_found")
				if err := polled(t, w, polling); !errors.Is(err, tt.want) {
					t.Errorf("the poll says %v after the opposite", err)
				}
			})
		}
	}
}

// TestResolveRefuses has what section 8.1 refuses: the login goes on waiting, and the record
// tells of it.
func TestResolveRefuses(t *testing.T) {
	d, other := android(), approver(t)
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	for name, change := range map[string]func(claims map[string]any){
		"another transaction":   set("sub", "another"),
		"no sub":                func(c map[string]any) { delete(c, "sub") },
		"another audience":      set("aud", "https://other.example/appliance-mfa/api/resolve-transaction"),
		"the host that was hit": set("aud", "https://attacker.example/appliance-mfa/api/resolve-transaction"),
		"another endpoint":      set("aud", "https://gw.example.com/appliance-mfa/api/device-accounts"),
		"audience with a query": set("aud", "https://gw.example.com/api/resolve-transaction?x"),
		"audience over http":    set("aud", "http://gw.example.com/api/resolve-transaction"),
		"no aud":                func(c map[string]any) { delete(c, "aud") },
		"from the future":       func(c map[string]any) { c["iat"], c["exp"] = epoch.Unix()+121, epoch.Unix()+151 },
		"over":                  func(c map[string]any) { c["iat"], c["exp"] = epoch.Unix()-151, epoch.Unix()-121 },
		"lasts too long":        func(c map[string]any) { c["exp"] = epoch.Unix() + 301 },
		"ends before it begins": func(c map[string]any) { c["exp"] = epoch.Unix() - 1 },
		"no iat":                func(c map[string]any) { delete(c, "iat") },
		"exp is a text":         set("exp", "1767323075"),
		"another method":        set("auth0_guardian_method", "sms"),
		"no method":             func(c map[string]any) { delete(c, "auth0_guardian_method") },
		"accepted as a text":    set("auth0_guardian_accepted", "true"),
		"accepted as a number":  set("auth0_guardian_accepted", 1),
		"accepted as null":      set("auth0_guardian_accepted", nil),
		"decides nothing":       func(c map[string]any) { delete(c, "auth0_guardian_accepted") },
		"in another case":       func(c map[string]any) { c["SUB"] = c["sub"]; delete(c, "sub") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, polling := w.ask(w.enrolled(d), "")
			claims := w.claims(d, m, true)
			change(claims)
			refused(t, w.answer(m, d.sign(d.header(), claims)), 401, "invalid_challenge")
			untouched(t, w, polling, fault.BadAnswer)
		})
	}
	headers := map[string]func(h map[string]any){
		"none":                func(h map[string]any) { h["alg"] = "none" },
		"HMAC":                func(h map[string]any) { h["alg"] = "HS256" },
		"the other algorithm": func(h map[string]any) { h["alg"] = other.algorithm() },
		"no algorithm":        func(h map[string]any) { delete(h, "alg") },
		"an extension":        func(h map[string]any) { h["crit"] = []string{"exp"} },
	}
	for name, change := range headers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, polling := w.ask(w.enrolled(d), "")
			header := d.header()
			change(header)
			refused(t, w.answer(m, d.sign(header, w.claims(d, m, true))), 401, "invalid_challenge")
			untouched(t, w, polling, fault.BadAnswer)
		})
	}
	t.Run("another key that it brings along", func(t *testing.T) {
		w := newWorld(t)
		m, polling := w.ask(w.enrolled(d), "")
		header := other.header()
		header["jwk"] = other.jwk()
		refused(t, w.answer(m, other.sign(header, w.claims(d, m, true))), 401, "invalid_challenge")
		untouched(t, w, polling, fault.BadAnswer)
	})
	for _, response := range []string{"", "a.b.c", "....", strings.Repeat("a", 200)} {
		w := newWorld(t)
		m, polling := w.ask(w.enrolled(d), "")
		refused(t, w.answer(m, response), 401, "invalid_challenge")
		untouched(t, w, polling, fault.BadAnswer)
	}
}

// untouched: the login still waits, and the refusal is recorded.
func untouched(t *testing.T, w *world, polling map[string]any, kind fault.Kind) {
	t.Helper()
	if err := polled(t, w, polling); !errors.Is(err, fault.Pending) {
		t.Errorf("the poll says %v", err)
	}
	if e := last(t, w); e.Type != audit.AnswerRefused || e.Success || e.Reason != kind.Error() || e.Subject != subject || e.Transaction != "tx" {
		t.Errorf("%+v", e)
	}
}

// TestResolveQuirks: what the SDKs of all generations send is taken (2.3, 8.1).
func TestResolveQuirks(t *testing.T) {
	d := android()
	set := func(name string, value any) func(h, c map[string]any) {
		return func(_, c map[string]any) { c[name] = value }
	}
	for name, change := range map[string]func(header, claims map[string]any){
		"Android 0.2":              set("aud", "https://gw.example.com/"),
		"Swift 0.1":                set("aud", "https://gw.example.com"),
		"0.3 to 0.8":               set("aud", "https://gw.example.com/api/resolve-transaction"),
		"0.1 with the prefix":      set("aud", "https://gw.example.com/appliance-mfa/"),
		"typed in capitals":        set("aud", "https://GW.example.com:443/appliance-mfa/api/resolve-transaction"),
		"fractions":                func(_, c map[string]any) { c["iat"], c["exp"] = 1767323045.678901, 1767323075.678901 },
		"a clock two minutes fast": func(_, c map[string]any) { c["iat"], c["exp"] = epoch.Unix()+120, epoch.Unix()+150 },
		"a clock two minutes slow": func(_, c map[string]any) { c["iat"], c["exp"] = epoch.Unix()-150, epoch.Unix()-120 },
		"no typ":                   func(h, _ map[string]any) { delete(h, "typ") },
		"what nobody obeys": func(h, _ map[string]any) {
			h["kid"], h["jku"], h["jwk"], h["x5c"] = "x", "https://evil.example/", approver(t).jwk(), []string{"AAAA"}
		},
		"unknown claims": set("jti", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, polling := w.ask(w.enrolled(d), "")
			header, claims := d.header(), w.claims(d, m, true)
			change(header, claims)
			if got := w.answer(m, d.sign(header, claims)); got.Code != http.StatusNoContent {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
			if err := polled(t, w, polling); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("another identifier", func(t *testing.T) {
		w := newWorld(t)
		m, _ := w.ask(w.enrolled(d), "")
		claims := w.claims(d, m, true)
		claims["iss"] = "6F1C2B9E-0000-4000-8000-00000000AB01"
		if got := w.answer(m, d.sign(d.header(), claims)); got.Code != http.StatusNoContent || !strings.Contains(last(t, w).Reason, "another identifier") {
			t.Errorf("%d %+v", got.Code, last(t, w))
		}
	})
	t.Run("under a tenant's path", func(t *testing.T) {
		w := newWorldAt(t, "https://gw.example.com/tenants/acme/")
		m, _ := w.ask(w.enrolled(d), "")
		if got := w.answer(m, d.sign(d.header(), w.claims(d, m, true))); got.Code != http.StatusNoContent {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		claims := w.claims(d, m, true)
		claims["aud"] = "https://gw.example.com/appliance-mfa/api/resolve-transaction"
		refused(t, w.answer(m, d.sign(d.header(), claims)), 401, "invalid_challenge")
	})
}

// TestResolveTransaction: the token names the transaction, and that has to be live (8.1,
// steps 1 to 3).
func TestResolveTransaction(t *testing.T) {
	d := android()
	w := newWorld(t)
	e := w.enrolled(d)
	m, _ := w.ask(e, "")
	right := `{"challenge_response":"` + d.sign(d.header(), w.claims(d, m, true)) + `"}`
	send := func(body, authorization string) (int, string) {
		got := w.request("POST", "/api/resolve-transaction", body, "Authorization", authorization)
		code := ""
		if _, rest, ok := strings.Cut(got.Body.String(), `"errorCode":"`); ok {
			code, _, _ = strings.Cut(rest, `"`)
		}
		return got.Code, code
	}
	token := m.Token.Reveal()
	damaged := token[:len(token)-3] + "AAA"
	for _, tt := range []struct {
		body, authorization string
		status              int
		code                string
	}{
		{right, "", 401, "invalid_bearer_format"},
		{right, "Basic " + token, 401, "invalid_bearer_format"},
		{right, "Bearer ", 401, "invalid_bearer_format"},
		{right, "Bearer a b", 401, "invalid_bearer_format"},
		{right, "Bearer garbage", 401, "invalid_token"},
		{right, "Bearer " + damaged, 401, "invalid_token"},
		{right, "Bearer " + e.Token, 401, "invalid_token"},
		{"{", "Bearer " + damaged, 401, "invalid_token"}, // in this order
		{"", "Bearer " + token, 400, "invalid_body"},
		{"[]", "Bearer " + token, 400, "invalid_body"},
		{"null", "Bearer " + token, 400, "invalid_body"},
		{right + "{}", "Bearer " + token, 400, "invalid_body"},
		{`{"challenge_response":1}`, "Bearer " + token, 400, "invalid_body"},
		{`{"challenge_response":"a","challenge_response":"b"}`, "Bearer " + token, 400, "invalid_body"},
		{`{"x":{"a":1,"\u0061":2},` + right[1:], "Bearer " + token, 400, "invalid_body"},
		{`{"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `,` + right[1:], "Bearer " + token, 400, "invalid_body"},
		{`{"pad":"` + strings.Repeat("x", 16<<10) + `",` + right[1:], "Bearer " + token, 400, "invalid_body"},
	} {
		if status, code := send(tt.body, tt.authorization); status != tt.status || code != tt.code {
			t.Errorf("%.40s %.20s: %d %s, want %d %s", tt.body, tt.authorization, status, code, tt.status, tt.code)
		}
	}
	if status, _ := send(`{"x":{"y":[1]},`+strings.ReplaceAll(right[1:], ".", `\u002e`), "BEARER "+token); status != http.StatusNoContent {
		t.Errorf("escaped, with more members: %d", status)
	}
}

// TestResolveTooLate: what is superseded, expired or gone is refused, and recorded.
func TestResolveTooLate(t *testing.T) {
	d := android()
	w := newWorld(t)
	e := w.enrolled(d)
	older, _ := w.ask(e, "")
	newer, polling := w.ask(e, "")
	refused(t, w.answer(older, d.sign(d.header(), w.claims(d, older, true))), 404, "login_transaction_not_found")
	untouched(t, w, polling, fault.ChallengeNotFound)
	// The answer to one is none to the other.
	refused(t, w.answer(newer, d.sign(d.header(), w.claims(d, older, true))), 401, "invalid_challenge")
	w.clock.wind(5 * time.Minute)
	refused(t, w.answer(newer, d.sign(d.header(), w.claims(d, newer, true))), 404, "login_transaction_not_found")
	w.clock.wind(time.Minute)
	refused(t, w.answer(newer, d.sign(d.header(), w.claims(d, newer, true))), 401, "invalid_token")
	if last := last(t, w); last.Type != audit.AnswerRefused || last.Subject != subject {
		t.Errorf("%+v", last)
	}

	// What was decided in the last moment may be repeated after it: an answer was lost.
	m, _ := w.ask(e, "")
	w.clock.wind(5*time.Minute - time.Second)
	for range 2 {
		if got := w.answer(m, d.sign(d.header(), w.claims(d, m, true))); got.Code != http.StatusNoContent {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		w.clock.wind(2 * time.Second)
	}

	m, polling = w.ask(e, "")
	w.challenges.Down = errors.New("no connection")
	refused(t, w.answer(m, d.sign(d.header(), w.claims(d, m, true))), 503, "temporarily_unavailable")
	w.challenges.Down, w.store.Down = nil, errors.New("no connection")
	refused(t, w.answer(m, d.sign(d.header(), w.claims(d, m, true))), 503, "temporarily_unavailable")
	w.store.Down = nil
	if got := w.answer(m, d.sign(d.header(), w.claims(d, m, true))); got.Code != http.StatusNoContent || polled(t, w, polling) != nil {
		t.Errorf("%d %s", got.Code, got.Body)
	}

	m, _ = w.ask(e, "")
	if err := w.store.RemoveDevice(t.Context(), e.ID, audit.Event{}); err != nil {
		t.Fatal(err)
	}
	refused(t, w.answer(m, d.sign(d.header(), w.claims(d, m, true))), 404, "enrollment_not_found")
}

// TestResolveWithCode: where the page shows a code, a tap without it is not enough, and wrong
// ones count like all others (14.1).
func TestResolveWithCode(t *testing.T) {
	d := android()
	w := newWorld(t)
	e := w.enrolled(d)
	m, polling := w.ask(e, record.BindingToPhone)
	code, ok := polling["binding_code"].(string)
	if !ok || len(code) != 6 || m.Consent != "" {
		t.Fatalf("%v %+v", polling, m)
	}
	right := w.claims(d, m, true)
	refused(t, w.answer(m, d.sign(d.header(), right)), 401, "invalid_challenge")
	untouched(t, w, polling, fault.BadAnswer)
	right["gw_binding_code"] = code
	wrong := maps.Clone(right)
	wrong["gw_binding_code"] = code[1:] + code[:1] + "x"
	for range 3 {
		refused(t, w.answer(m, d.sign(d.header(), wrong)), 401, "invalid_otp")
	}
	if n := w.failures.Failures(subject); n != 3 {
		t.Errorf("%d failures are counted", n)
	}
	got := w.answer(m, d.sign(d.header(), right))
	refused(t, got, 429, "too_many_attempts")
	if got.Header().Get("Retry-After") == "" || !errors.Is(polled(t, w, polling), fault.Pending) {
		t.Errorf("%v", got.Header())
	}
	w.clock.wind(time.Minute)
	right["iat"], right["exp"] = w.clock.Now().Unix(), w.clock.Now().Unix()+30
	if got := w.answer(m, d.sign(d.header(), right)); got.Code != http.StatusNoContent || polled(t, w, polling) != nil {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	// No code is needed for a no.
	m, polling = w.ask(e, record.BindingToPhone)
	if got := w.answer(m, d.sign(d.header(), w.claims(d, m, false))); got.Code != http.StatusNoContent || !errors.Is(polled(t, w, polling), fault.Rejected) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
